"""The shortest ways through each process, over HTTP: what a campaign kills in the middle of."""

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from datetime import datetime, time, timedelta
from itertools import count
from time import monotonic, sleep
from typing import Any, TypeVar

import exchange_calendars
import httpx
import pandas
import psycopg
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from cli.demo import learning, markets, people
from cli.demo.run import IST
from cli.demo.stage import BrokenPromise, Person, Stage, promise
from temporal.schedules import RECONCILIATION

T = TypeVar("T")
MONTH = timedelta(days=34)
SURELY = timedelta(minutes=2)
"""Longer than a payment and a refund look for an outcome before they take it as absent."""
TRY_AGAIN = ('no_answer"', '"login_expired"', '"broker_unavailable"')
"""Refusals that a person meets by asking once more: the answer to a login was lost, the login is spent, the
broker is away."""
ASKED_SECONDS = 60.0
NOTICED = timedelta(days=29)
"""By then the renewal's debit is announced and has not left."""


def newcomer(stage: Stage, name: str = "Asha Raghavan") -> Person:
    """Registered, and with an address to bill to."""
    person = people.register(stage, name)
    billing = {"billing": {"name": name, "state": "KA"}}
    stage.call("PUT", f"/users/{person.user_id}/profile", person, json=billing)
    return person


def verified(stage: Stage, name: str = "Asha Raghavan") -> Person:
    person = newcomer(stage, name)
    people.submit_kyc(stage, person)
    path = f"/users/{person.user_id}/kyc"
    stage.until(path, person, lambda kyc: kyc["status"] == "verified", "basic KYC is verified")
    return person


def subscribed(stage: Stage, person: Person) -> tuple[str, str]:
    """(subscription, payment) of a premium plan, paid."""
    plans = stage.call("GET", "/billing/plans")["items"]
    plan = next(p for p in plans if p["tier"] == "premium" and p["cycle"] == "monthly")
    mitc = {"purpose": "research_services", "document": "mitc", "version": "current"}
    stage.call("POST", f"/users/{person.user_id}/consents", person, expect=(200, 201), json=mitc)
    checkout = stage.call(
        "POST", "/billing/subscriptions", person, expect=201, json={"plan_id": plan["plan_id"]}
    )
    paid(stage, person, checkout)
    subscription = checkout["subscription_id"]
    active(stage, person, subscription)
    return subscription, checkout["payment_id"]


def paid(stage: Stage, person: Person, checkout: dict[str, Any], hurried: str = "") -> None:
    """Callback and webhook race; the capture is held against the journal by the checker. `hurried`: the
    process whose own clock is put on by what it waits to be sure of an outcome."""
    answer = stage.control(
        "razorpay/checkout", order_id=checkout["gateway_order_id"], method="upi", outcome="success"
    )
    payment = f"/payments/{checkout['payment_id']}"
    stage.call("POST", f"{payment}/confirm", person, json=answer)
    if hurried:
        asyncio.run(_forward(stage, hurried, SURELY))
    stage.until(f"{payment}/status", person, lambda p: p["status"] == "captured", "a checkout is captured")


def active(stage: Stage, person: Person, subscription: str) -> None:
    path = f"/billing/subscriptions/{subscription}"
    stage.until(path, person, lambda s: s["status"] == "active", "the subscription is active")


def onboarding(stage: Stage) -> None:
    verified(stage)


def review(stage: Stage, judging: Callable[[], None] = lambda: None) -> None:
    """A name like a listed one, decided by compliance. `judging` is called while the checks run."""
    person = newcomer(stage, people.LISTED)
    people.submit_kyc(stage, person)
    judging()
    path = f"/users/{person.user_id}/kyc"
    stage.until(path, person, lambda k: k["status"] == "manual_review", "a resembling name is reviewed")
    officer = stage.staff("compliance")
    cases = stage.call("GET", "/kyc/reviews", officer, params={"limit": 200})["items"]
    case = next(case for case in cases if case["user_id"] == person.user_id)
    decision = {"decision": "approve", "reason": "another date of birth"}
    stage.call("POST", f"/kyc/reviews/{case['case_id']}/decision", officer, json=decision)
    stage.until(path, person, lambda k: k["status"] == "verified", "an approval verifies")


def plan(stage: Stage) -> None:
    """A plan, paid, renewed by its own clock, then cancelled."""
    person = verified(stage)
    subscription, _ = subscribed(stage, person)
    asyncio.run(_forward(stage, f"subscription:{subscription}", MONTH))
    active(stage, person, subscription)
    offered = stage.call("GET", "/billing/plans")["items"]
    cheaper = min(
        (each for each in offered if each["cycle"] == "monthly" and each["amount"]),
        key=lambda each: int(each["amount"]),
    )
    change = {"plan_id": cheaper["plan_id"]}
    stage.call("POST", f"/billing/subscriptions/{subscription}/change-plan", person, json=change)
    stage.call("POST", f"/billing/subscriptions/{subscription}/cancel", person, json={})


def paused(stage: Stage) -> None:
    """Paused while a debit is announced, resumed, and another plan wanted from the next period."""
    person = verified(stage)
    subscription, _ = subscribed(stage, person)
    asyncio.run(_forward(stage, f"subscription:{subscription}", NOTICED))
    path = f"/billing/subscriptions/{subscription}"
    stage.call("POST", f"{path}/pause", person, json={})
    stage.call("POST", f"{path}/resume", person, json={})
    active(stage, person, subscription)


def missed(stage: Stage) -> None:
    """A debit that fails, then one whose answer is lost: dunning, and the gateway asked what it did."""
    person = verified(stage)
    subscription, _ = subscribed(stage, person)
    stage.control("razorpay/debit", subscription=subscription, outcome="failure")
    asyncio.run(_forward(stage, f"subscription:{subscription}", MONTH))
    stage.control("faults", target="razorpay", match="recurring", fault="timeout_after", times=1, seconds=0.1)
    asyncio.run(_forward(stage, f"subscription:{subscription}", MONTH))
    active(stage, person, subscription)
    told_late(stage, subscription)


def told_late(stage: Stage, subscription: str) -> None:
    """The gateway's word about a debit that is long over, signed as the gateway signs."""
    entity = {"id": f"pay_{secrets.token_hex(7)}", "order_id": failed_debit(stage, subscription)}
    raw = json.dumps({"event": "payment.failed", "payload": {"payment": {"entity": entity}}}).encode()
    secret = stage.sandbox.get("/_control/credentials").json()["razorpay"]["webhook_secret"]
    headers = {
        "X-Razorpay-Signature": hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest(),
        "X-Razorpay-Event-Id": f"evt_{secrets.token_hex(7)}",
        "Content-Type": "application/json",
    }
    stage.call("POST", "/webhooks/razorpay", headers=headers, content=raw)


async def _forward(stage: Stage, process: str, by: timedelta) -> None:
    """Lets a process's own clock run."""
    client = await Client.connect(stage.endpoints["temporal"], namespace=stage.endpoints["namespace"])
    skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=False))
    try:
        await skipper.fast_forward(client.get_workflow_handle(process), by)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise  # else it ended before: there is nothing left to hurry


def failed_debit(stage: Stage, subscription: str) -> str:
    """The gateway's order of the subscription's debit that failed, once it is known to have failed."""
    asked = "SELECT gateway_order_id FROM finance.debits WHERE subscription_id = %s AND state = 'failed'"
    deadline = monotonic() + 60
    while monotonic() < deadline:
        with psycopg.connect(stage.endpoints["postgres"]) as connection:
            if row := connection.execute(asked, [subscription]).fetchone():
                return str(row[0])
        sleep(0.1)
    raise BrokenPromise("a debit that the bank refuses is marked as failed")


def course(stage: Stage, submitting: Callable[[], None] = lambda: None) -> None:
    """A course to its certificate. `submitting` is called before a quiz is handed in."""
    person = verified(stage)
    enrolled = _enrolled(stage, person)
    enrollment, progress = enrolled["enrollment_id"], f"/users/{person.user_id}/progress"
    paid(stage, person, enrolled)

    def mine(seen: dict[str, Any]) -> dict[str, Any]:
        return learning.mine(seen, enrollment)

    stage.until(progress, person, lambda p: mine(p)["status"] == "active", "payment opens the course")
    instructor = stage.staff("instructor")
    answers = stage.call("GET", f"/courses/{course_of(stage)}/answers", instructor)["assessments"]
    for quiz in learning.finish_lessons(stage, person, enrollment, progress):
        attempt = stage.call(
            "POST", f"/assessments/{quiz}/attempts", person, expect=201, json={"enrollment_id": enrollment}
        )
        given = {q["question_id"]: answers[quiz][q["question_id"]] for q in attempt["questions"]}
        body = {"attempt_id": attempt["attempt_id"], "answers": given}
        submitting()
        stage.call("POST", f"/assessments/{quiz}/submit", person, json=body)
    wanted = "a passed course gives a certificate"
    done = stage.until(progress, person, lambda p: mine(p)["certificate_id"], wanted)
    shown = stage.call("GET", f"/certificates/{mine(done)['certificate_id']}/verify")
    promise(shown["valid"], "the certificate that a course names verifies")


def edits(stage: Stage) -> None:
    """An instructor drafts a course."""
    slug = f"charts-{secrets.token_hex(4)}"
    draft = {
        "title": "Reading a chart",
        "slug": slug,
        "category": "trading",
        "level": "beginner",
        "price": 0,
        "syllabus": {
            "modules": [{"title": "One", "lessons": [{"title": "A", "type": "text", "content": "a"}]}]
        },
    }
    stage.call("POST", "/courses", stage.staff("instructor"), expect=201, json=draft)


def refund(stage: Stage) -> None:
    """A course, paid and given back."""
    _given_back(stage)


def lost_answers(stage: Stage) -> None:
    """The gateway captures and refunds, and neither answer arrives."""
    stage.control("faults", target="razorpay", match="/capture", fault="timeout_after", times=1, seconds=0.1)
    person = verified(stage)
    paid(stage, person, _enrolled(stage, person))
    stage.control("faults", target="razorpay", match="/refund", fault="timeout_after", times=1, seconds=0.1)
    _given_back(stage, "support")


def _enrolled(stage: Stage, person: Person) -> dict[str, Any]:
    return dict(stage.call("POST", f"/courses/{course_of(stage)}/enroll", person, expect=201))


def course_of(stage: Stage) -> str:
    """The seeded course with a price."""
    items = stage.call("GET", "/courses", params={"limit": 200})["items"]
    # Those that journeys publish begin so, and have no quiz.
    seeded = (item for item in items if item["price"] and not item["slug"].startswith("charts-"))
    return str(next(seeded)["course_id"])


def _given_back(stage: Stage, by: str = "finance") -> None:
    person = verified(stage)
    enrolled = _enrolled(stage, person)
    paid(stage, person, enrolled)
    _refunded(stage, enrolled["payment_id"], by)


def _refunded(stage: Stage, payment: str, by: str = "finance", *, hurried: bool = False) -> None:
    """Asked for by that role; what support asks, finance agrees to."""
    body = {"payment_id": payment, "reason": "a change of mind"}
    asked = stage.call("POST", "/payments/refund", stage.staff(by), expect=202, json=body)
    finance = stage.staff("finance")
    if by == "support":
        agreed = {"reason": "granted"}
        stage.call("POST", f"/finance/refunds/{asked['refund_id']}/approve", finance, json=agreed)
    if hurried:
        asyncio.run(_forward(stage, f"refund:{asked['refund_id']}", SURELY))
    path = f"/payments/refunds/{asked['refund_id']}"
    stage.until(path, finance, lambda r: r["status"] == "processed", "a refund is processed")


def unsent(stage: Stage) -> None:
    """A capture and a refund that never reached the gateway: sent anew on proof of absence."""
    person = verified(stage)
    stage.control("faults", target="razorpay", match="/capture", fault="timeout_before", times=1, seconds=0.1)
    enrolled = _enrolled(stage, person)
    payment = enrolled["payment_id"]
    paid(stage, person, enrolled, hurried=f"payment:{payment}")
    stage.control("faults", target="razorpay", match="/refund", fault="timeout_before", times=1, seconds=0.1)
    _refunded(stage, payment, hurried=True)


def unpaid(stage: Stage) -> None:
    """An enrollment whose payment never comes."""
    person = verified(stage)
    enrolled = _enrolled(stage, person)
    asyncio.run(_forward(stage, f"enrollment:{enrolled['enrollment_id']}", timedelta(days=8)))


def complaint(stage: Stage) -> None:
    body = {"subject": "a fee", "text": "too high"}
    made = stage.call("POST", "/complaints", newcomer(stage), expect=201, json=body)
    action = f"/staff/runs/complaint:{made['complaint_id']}/actions/resolve"
    stage.call("POST", action, stage.staff("support"), json={"note": "given back"})


def rescreening(stage: Stage) -> None:
    stage.call("POST", "/kyc/rescreenings", stage.staff("compliance"), expect=202)


def signals(stage: Stage) -> None:
    """A run on real candles, and a signal that is published, watched until it is entered, and withdrawn."""
    analyst = stage.staff("analyst")
    again(lambda: markets.open_market_data(stage, analyst))
    wanted = {"strategy": "trend", "exchange": "NSE", "symbol": markets.SYMBOL, "timeframe": "1d"}
    stage.call("POST", "/signals/runs", analyst, expect=(200, 201, 202), json=wanted)
    signal = markets.draft_by_hand(stage, analyst)
    stage.call("POST", f"/signals/{signal}/publish", analyst, json={})
    stage.control("kite/market", symbol="INFY", price=1500.0)
    path = f"/signals/{signal}"
    stage.until(path, analyst, lambda s: s["status"] == "live", "a signal whose price is reached is live")
    stage.call("POST", f"/signals/{signal}/withdraw", analyst, json={"reason": "drawn up for a test"})


def orders(stage: Stage) -> None:
    """One order filled in two parts, one modified and taken back, one stopped by the kill switch."""
    person = verified(stage)
    account = connected(stage, person)
    first = placed(stage, person, account)
    resting = waits(stage, person, first, "open")
    for _ in range(2):
        stage.control("kite/fill", order_id=resting["broker_order_id"], quantity=5)
    waits(stage, person, first, "filled")
    second = placed(stage, person, account)
    resting = waits(stage, person, second, "open")
    stage.call("PUT", f"/trading/orders/{second}", person, json={"quantity": 8})
    stage.call("DELETE", f"/trading/orders/{second}", person)
    waits(stage, person, second, "cancelled")
    third = placed(stage, person, account)
    waits(stage, person, third, "open")
    switch = f"/trading/accounts/{account}/kill-switch"
    stage.call("POST", switch, person, expect=202, json={"flatten": True})
    waits(stage, person, third, "cancelled")
    # What closes the position trades by itself.
    stage.control("kite/market", symbol=markets.SYMBOL, manual=False)
    stage.until(switch, person, lambda s: s["status"] == "done", "the kill switch reports")
    stage.call("DELETE", switch, person, json={})
    stage.call("DELETE", f"/trading/accounts/{account}", person, expect=(200, 204))


def lost_order(stage: Stage) -> None:
    """The broker takes the order and its answer is lost: found by its tag."""
    person = verified(stage)
    account = connected(stage, person)
    stage.control(
        "faults", target="kite", match="/orders/regular", fault="timeout_after", times=1, seconds=0.1
    )
    order = placed(stage, person, account)
    waits(stage, person, order, "open")
    stage.call("DELETE", f"/trading/orders/{order}", person)
    waits(stage, person, order, "cancelled")


def unsent_order(stage: Stage) -> None:
    """An order that never reached the broker: sent anew on proof of absence."""
    person = verified(stage)
    account = connected(stage, person)
    stage.control(
        "faults", target="kite", match="/orders/regular", fault="timeout_before", times=1, seconds=0.1
    )
    order = placed(stage, person, account)
    waits(stage, person, order, "open")
    stage.call("DELETE", f"/trading/orders/{order}", person)
    waits(stage, person, order, "cancelled")


def settled_order(stage: Stage) -> None:
    """A lost order on a day that is over: the broker shows today only, so a person looks and settles it.

    Moves the exchange to its next day, so it is played alone."""
    person = verified(stage)
    account = connected(stage, person)
    stage.control(
        "faults", target="kite", match="/orders/regular", fault="timeout_before", times=1, seconds=0.1
    )
    order = placed(stage, person, account)
    open_market(stage, next(DAYS))
    connected(stage, person)
    waits(stage, person, order, "needs_person")
    action = f"/staff/runs/order:{order}/actions/resolve_order"
    stage.call("POST", action, stage.staff("support"), json={"decision": "absent"})
    # It never left on its day, and does not leave on another.
    path = f"/trading/orders/{order}"
    stage.until(path, person, lambda o: o["status"] == "expired", "the order has ended with its day")


def connected(stage: Stage, person: Person) -> str:
    """A login's token is spent once: where the answer to it is lost, the customer logs in anew."""
    return again(lambda: markets.connect_broker(stage, person))


def again(ask: Callable[[], T]) -> T:
    """What a person does who gets such a refusal, for a while."""
    deadline = monotonic() + ASKED_SECONDS
    while True:
        try:
            return ask()
        except httpx.TransportError:
            if monotonic() > deadline:
                raise
        except BrokenPromise as failure:
            if monotonic() > deadline or not any(code in str(failure) for code in TRY_AGAIN):
                raise
        sleep(0.2)


def placed(stage: Stage, person: Person, account: str) -> str:
    price = stage.control("kite/market", symbol=markets.SYMBOL, manual=True)["last_price"]
    terms = {
        "account_id": account,
        "exchange": "NSE",
        "symbol": markets.SYMBOL,
        "side": "BUY",
        "quantity": 10,
        "order_type": "LIMIT",
        "price": f"{price:.2f}",
        "product": "CNC",
    }
    return str(stage.call("POST", "/trading/orders", person, expect=201, json=terms)["order_id"])


def waits(stage: Stage, person: Person, order: str, status: str) -> dict[str, Any]:
    ended = (status, "rejected", "risk_rejected", "needs_person")
    path = f"/trading/orders/{order}"
    seen = stage.until(path, person, lambda o: o["status"] in ended, f"the order is {status}")
    assert seen["status"] == status, seen
    return seen


def reconciled(stage: Stage) -> None:
    """The sandbox's present day settled and compared; one line that nobody's payment explains, and whatever
    another journey's kill keeps out of the book until later: a large one is decided by two people."""
    day = datetime.now(IST).date()
    stage.control("razorpay/settle", date=day.isoformat())
    stage.control(
        "razorpay/plant", kind="extra_line", date=day.isoformat(), amount=secrets.randbelow(10**6) + 100
    )
    finance = stage.staff("finance")
    asked = {"date": day.isoformat()}
    stage.call("POST", "/finance/reconciliations", finance, expect=(200, 201, 202), json=asked)
    path = f"/finance/reconciliations/{day.isoformat()}"

    def open_breaks(seen: dict[str, Any]) -> list[dict[str, Any]]:
        return [each for each in seen["breaks"] if each["status"] != "resolved"]

    asyncio.run(_daily(stage))
    seen = stage.until(path, finance, open_breaks, "the planted break is found")
    for each in open_breaks(seen):
        claim = {"resolution": "claim_gateway", "note": "not ours: claimed from the gateway"}
        for who in (finance, stage.staff("finance2"))[: 2 if each["two_people"] else 1]:
            # 409: a later comparison has mended it, or this person decided it in an earlier play.
            resolve = f"/finance/breaks/{each['break_id']}/resolve"
            stage.call("POST", resolve, who, expect=(200, 409), json=claim)
    stage.until(path, finance, lambda r: not open_breaks(r), "finance resolves the break")


async def _daily(stage: Stage) -> None:
    """The schedule's turn of the day, now."""
    client = await Client.connect(stage.endpoints["temporal"], namespace=stage.endpoints["namespace"])
    await client.get_schedule_handle(RECONCILIATION).trigger()


def open_market(stage: Stage, days: int = 0) -> None:
    """11:00 of the exchange's newest session, so that no night, weekend or holiday stops an order; or of the
    session so many after that."""
    sessions = exchange_calendars.get_calendar("XBOM").sessions
    day = sessions[sessions.searchsorted(pandas.Timestamp(datetime.now(IST).date()), side="right") - 1 + days]
    stage.control("clock", now=datetime.combine(day.date(), time(11), IST).isoformat(), run=True)


DAYS = count(1)
"""Each `settled_order` needs a day that no other has had: the exchange's clock never goes back."""
Journey = Callable[[Stage], None]
JOURNEYS: dict[str, Journey] = {
    journey.__name__: journey
    for journey in (
        onboarding,
        review,
        rescreening,
        complaint,
        plan,
        paused,
        missed,
        course,
        edits,
        refund,
        lost_answers,
        unsent,
        unpaid,
        signals,
        orders,
        lost_order,
        unsent_order,
        settled_order,
        reconciled,
    )
}
