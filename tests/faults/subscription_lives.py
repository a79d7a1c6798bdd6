"""Subscribers who live through virtual years as they please, and a judge who reads the gateway's journal."""

import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from domain.billing_calendar import UNATTENDED_LIMIT, is_bank_day, ist_date, needs_approval
from domain.gst import split
from models.messages.disputes import Dispute, PaymentDisputed
from tests.workflows.subscribers import Subscriber, Town, eventually

PLANS = {
    "pln_premium_basic_monthly": 1,
    "pln_premium_monthly": 2,
    "pln_enterprise_monthly": 1,
    "pln_premium_quarterly": 4,
    "pln_premium_yearly": 4,
}
METHODS = ("card", "upi", "emandate")
LEADS = {"card": timedelta(hours=36, minutes=5), "upi": timedelta(hours=25), "emandate": timedelta(hours=24)}
"""From the notice to the debit (`india.md`)."""

MEAN_DAYS = 75.0
"""Between two things that a subscriber does."""

SOON = (20.0, 40.0)
"""Days before each of the things that a subscriber certainly does."""

ENDED = ("cancelled", "expired")
MONTH = timedelta(days=28)
SPREAD = timedelta(days=10)
"""How late a debit may come by retries, holidays and leads: two closer than a month less this are one too
many. Above the limit each try may wait three days for the customer."""


@dataclass
class Life:
    """One subscriber's, as the subscriber remembers it."""

    one: Subscriber
    method: str
    chance: random.Random
    wants: deque[str] = field(default_factory=deque)
    """What they certainly do, in this order, before they do as they please."""
    tokens: list[str] = field(default_factory=list)
    methods: dict[str, str] = field(default_factory=dict)
    """Of each token."""
    cancelled_at: datetime | None = None
    """When they last said that it is to end, and were told that it will."""
    did: Counter[str] = field(default_factory=Counter)
    disputed: bool = False
    story: list[str] = field(default_factory=list)
    """What was done when, for who has to find out why."""


async def begin(place: Town, chance: random.Random, wants: Iterable[str] = ()) -> Life:
    """Who is to do certain things takes the dear monthly plan, from which every change may be had."""
    wanted = deque(wants)
    plan = "pln_premium_monthly" if wanted else chance.choices([*PLANS], [*PLANS.values()])[0]
    method = chance.choice(METHODS)
    trial = plan in ("pln_premium_monthly", "pln_premium_basic_monthly") and chance.random() < 0.5
    one = await place.subscribe(plan, trial=trial)
    life = Life(one, method, chance, wanted)
    if trial:
        await place.forward(one, timedelta(days=chance.uniform(1, 13)))
    await pay(place, life)
    await place.status(one, "active")
    return life


async def pay(place: Town, life: Life) -> None:
    with suppress(RPCError):
        await place.pay(life.one, life.method)
    life.tokens.append(life.one.token_id)
    life.methods.setdefault(life.one.token_id, life.method)


async def live(place: Town, life: Life, days: float) -> None:
    """Goes from deed to deed until the days are over or the subscription has ended."""
    now = await place.now(life.one)
    end = now + timedelta(days=days)
    while now < end:
        row = await place.row(life.one)
        if row["status"] in ENDED:
            break
        rest = life.chance.uniform(*SOON) if life.wants else life.chance.expovariate(1 / MEAN_DAYS) + 0.1
        wanted = now + timedelta(days=rest)
        asked_at = row["next_debit_at"]
        approves = asked_at is not None and needs_approval(row["amount"], life.method)
        stop = min(wanted, end, *([asked_at + timedelta(hours=2)] if approves and asked_at > now else []))
        await pass_time(place, life, stop)
        now = stop
        if (await place.row(life.one))["status"] == "awaiting_approval":
            await approve(place, life, now)
        elif stop == wanted:
            await do_something(place, life, now)
    await hear_webhooks(place, life)


async def pass_time(place: Town, life: Life, until: datetime) -> None:
    """To that moment, or to the subscription's end. Time that is still passing after a lost answer is waited
    for: what is done next is done at that moment, and not on the way to it."""
    while (left := until - await place.now(life.one)) > timedelta():
        try:
            if not await place.forward(life.one, left):
                return
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return
            life.story.append(f"time stood still: {error}")


async def hear_webhooks(place: Town, life: Life) -> None:
    """What the gateway would tell of a debit that was taken for absent and came through after all: on virtual
    time the minutes of certainty pass in no time, so that a starved machine may send one later than that."""
    for debit in await place.debits(life.one):
        order_id = debit["gateway_order_id"]
        found = place.gateway.debits_of(order_id, debit["due_at"]) if debit["state"] == "void" else []
        if not any(payment.captured for payment in found):
            continue
        await life.one.handle.signal("gateway_event", {"event_number": 1, "gateway_order_id": order_id})

        async def settled(payment_id: str = debit["payment_id"]) -> bool:
            query = "SELECT state FROM finance.debits WHERE payment_id = %s AND state <> 'void'"
            return bool(await place.rows(query, payment_id))

        await eventually(settled, "a debit that came late to be taken or given back")
        if await place.rows(
            "SELECT 1 FROM finance.debits WHERE payment_id = %s AND state = 'returned'", debit["payment_id"]
        ):
            await place.refund_of(debit["payment_id"])
        life.did["told late"] += 1


async def approve(place: Town, life: Life, now: datetime) -> None:
    """Eight in ten; who does not lets the link run out."""
    if life.chance.random() > 0.8:
        return
    order_id = (await place.debits(life.one))[-1]["gateway_order_id"]
    # Another plan may have taken the place of the one that the debit was for.
    await place.http.post("/_control/razorpay/approve", json={"order_id": order_id, "now": now.isoformat()})
    with suppress(RPCError):
        await life.one.handle.signal("gateway_event", {"event_number": 1, "gateway_order_id": order_id})
    life.did["approve"] += 1


async def do_something(place: Town, life: Life, now: datetime) -> None:
    name = life.wants.popleft() if life.wants else ""
    deed = next((deed for deed in DEEDS if deed.__name__ == name), None)
    deed = deed or life.chance.choices([*DEEDS], [*DEEDS.values()])[0]
    try:
        await deed(place, life, now)
        done = deed.__name__
    except (WorkflowUpdateFailedError, RPCError):
        done = f"{deed.__name__} refused"
    life.did[done] += 1
    life.story.append(f"{now:%Y-%m-%d %H:%M} {done}")


async def no_money(place: Town, life: Life, now: datetime) -> None:
    """The bank refuses the next debits."""
    times = life.chance.randint(1, 5)
    await place.control("/razorpay/debit", token_id=life.tokens[-1], outcome="failure", times=times)


async def pauses(place: Town, life: Life, now: datetime) -> None:
    await place.command(life.one, "pause")


async def resumes(place: Town, life: Life, now: datetime) -> None:
    await place.command(life.one, "resume")


async def changes(place: Town, life: Life, now: datetime) -> None:
    """To any plan; where that takes a checkout, seven in ten pay."""
    plan_id = life.chance.choice([*PLANS])
    answer = await place.command(life.one, "change_plan", plan_id=plan_id)
    if answer["pending_plan_id"] == plan_id and life.chance.random() < 0.7:
        life.method = life.chance.choice(METHODS)
        await pay(place, life)
        life.cancelled_at = None
        life.did["upgrade"] += 1

        async def there() -> bool:
            return (await place.row(life.one))["token_id"] == life.tokens[-1]

        await eventually(there, f"{life.one.subscription_id} to begin {plan_id}")


async def disputes(place: Town, life: Life, now: datetime) -> None:
    """Opened; the next time the bank decides."""
    payment_id = (await place.row(life.one))["payment_id"]
    state = Dispute.OPENED if not life.disputed else life.chance.choice((Dispute.WON, Dispute.LOST))
    told = PaymentDisputed(
        payment_id=payment_id, reference_id=life.one.subscription_id, dispute_id="disp_1", state=state
    )
    await life.one.handle.signal("payment_disputed", told)
    life.disputed = state is Dispute.OPENED
    life.did[f"dispute {state}"] += 1

    async def known() -> bool:
        return bool((await place.row(life.one))["on_hold"]) is life.disputed

    await eventually(known, "the dispute to be known")


async def ends_mandate(place: Town, life: Life, now: datetime) -> None:
    """At their bank."""
    await place.control("/razorpay/mandate", token_id=life.tokens[-1], state="cancelled")


async def leaves(place: Town, life: Life, now: datetime) -> None:
    await place.command(life.one, "cancel", at_period_end=life.chance.random() < 0.6)
    life.cancelled_at = now


DEEDS: dict[Callable[[Town, Life, datetime], Awaitable[None]], int] = {
    no_money: 4, pauses: 2, resumes: 3, changes: 5, disputes: 2, ends_mandate: 1, leaves: 2,
}  # fmt: skip
"""What a subscriber may do, and how often one does it beside the others."""

ONCE_EACH = (
    ("pauses", "resumes", "no_money"),
    ("changes", "disputes", "disputes"),
    ("no_money", "ends_mandate"),
    ("pauses", "resumes", "leaves"),
)
"""What the lives of a small load certainly do, so that it cannot pass by nothing having happened."""


# --- the judge ---------------------------------------------------------------------------------------


async def judged(place: Town, lives: list[Life]) -> list[str]:
    """What the gateway's journal says against the promises; empty where they were kept."""
    journal = await place.journal()
    notices = {
        item["effect"]["order_id"]: item
        for item in journal
        if item["path"].endswith("/orders") and item["effect"] and item["body"].get("notification")
    }
    sent: dict[str, list[dict[str, Any]]] = {}
    for item in journal:
        if item["path"].endswith("/payments/create/recurring") and item["effect"]:
            sent.setdefault(item["body"]["token"], []).append(item)
    findings: list[str] = []
    for life in lives:
        debits = [item for token in life.tokens for item in sent.get(token, [])]
        findings += [f"{life.one.subscription_id}: {found}" for found in _broken(life, debits, notices)]
        findings += [f"{life.one.subscription_id}: {found}" for found in await _doubled(place, debits)]
    return findings


async def seen(place: Town, lives: list[Life]) -> Counter[str]:
    """What took place: deeds that were not refused, what became of debits, and holidays that moved one."""
    done = sum((life.did for life in lives), Counter[str]())
    subscriptions = [life.one.subscription_id for life in lives]
    debits = await place.rows(
        "SELECT state, count(*) AS n FROM finance.debits WHERE subscription_id = ANY(%s) GROUP BY state",
        subscriptions,
    )
    done.update({f"debit {row['state']}": row["n"] for row in debits})
    # The period that a renewal pays for begins when it was planned.
    renewals = await place.rows(
        """SELECT r.starts_on, d.due_at FROM finance.debits d JOIN finance.revenue_plans r USING (payment_id)
           WHERE d.subscription_id = ANY(%s) AND d.attempt = 1""",
        subscriptions,
    )
    moved = [each for each in renewals if ist_date(each["due_at"]) > each["starts_on"]]
    done["moved by a holiday"] = sum(not is_bank_day(each["starts_on"]) for each in moved)
    return done


def _broken(life: Life, debits: list[dict[str, Any]], notices: dict[str, dict[str, Any]]) -> list[str]:
    found = []
    orders = Counter(item["body"]["order_id"] for item in debits)
    found += [f"order {order} was debited {times} times" for order, times in orders.items() if times > 1]
    for item in debits:
        at, order = datetime.fromisoformat(item["at"]), item["body"]["order_id"]
        notice = notices.get(order)
        if notice is None or notice["body"]["notification"]["token_id"] != item["body"]["token"]:
            found.append(f"debit {order} without a notice")
            continue
        lead = at - datetime.fromisoformat(notice["at"])
        # The rule's own lead for the method, and not our margin; the journal's times are whole seconds.
        if lead < LEADS[life.methods[item["body"]["token"]]]:
            found.append(f"debit {order} {lead} after its notice")
        if life.cancelled_at is not None and at > life.cancelled_at:
            found.append(f"debit {order} at {at}, cancelled at {life.cancelled_at}")
    return found


async def _doubled(place: Town, debits: list[dict[str, Any]]) -> list[str]:
    """Money taken and kept twice for one period, by the gateway's own books."""
    kept = []
    for item in debits:
        # Asked as of the debit: a look must not age what is under way.
        answer = place.gateway.debits_of(item["body"]["order_id"], datetime.fromisoformat(item["at"]))
        for payment in answer:
            if payment.captured and payment.amount_refunded < payment.amount:
                kept.append((datetime.fromisoformat(item["at"]), payment.amount, payment.id))
    kept.sort()
    return [
        f"{second} of {after} so soon after {first} of {before}, {amount} each"
        for (before, amount, first), (after, other, second) in pairwise(kept)
        if after - before < MONTH - (2 * SPREAD if amount > UNATTENDED_LIMIT else SPREAD) and amount == other
    ]


def off_days(debits: list[dict[str, Any]]) -> list[date]:
    """Days on which a bank mandate was debited although banks rest."""
    return [day for each in debits if not is_bank_day(day := ist_date(each["sent_at"]))]


async def income(place: Town, through: date) -> tuple[int, int, int]:
    """Of the whole book: income, what it should be by the periods that were sold, and what is deferred
    beyond what is still to be earned or given back; paise.

    What it should be is counted here from the periods alone: whole days of those that run, and of those that
    were cut all that did not go back.
    """
    periods = await place.rows(
        """SELECT r.payment_id, r.net, r.starts_on, r.ends_on,
                  (SELECT coalesce(sum(i.taxable), 0)::bigint FROM finance.invoices i
                   WHERE i.payment_id = r.payment_id AND i.kind <> 'invoice') AS credited,
                  EXISTS (SELECT FROM finance.revenue_segments s
                          WHERE s.payment_id = r.payment_id AND s.cut_on IS NOT NULL) AS cut
           FROM finance.revenue_plans r"""
    )
    due = 0
    for period in periods:
        days = (period["ends_on"] - period["starts_on"]).days
        done = min(max((through - period["starts_on"]).days + 1, 0), days)
        whole = period["net"] - period["credited"]
        due += whole if period["cut"] else whole * done // days
    booked = {
        row["account"]: row["net"]
        for row in await place.rows(
            "SELECT account, sum(credit - debit)::bigint AS net FROM finance.journal_lines GROUP BY account"
        )
    }
    sold = sum(period["net"] - period["credited"] for period in periods)
    earned = booked.get("revenue_subscriptions", 0)
    return earned, due, booked.get("deferred_revenue", 0) - (sold - earned)


async def sold_at_gateway(place: Town, since: int) -> int:
    """Net price in paise of what the gateway has taken and not given back, from its own books; of the orders
    that were made after the first `since` calls of its journal, which other tests have made."""
    orders: set[str] = set()
    for item in (await place.journal())[since:]:
        if item["path"].endswith("/orders") and item["effect"]:
            orders.add(item["effect"]["order_id"])
    net = 0
    for order in orders:
        for payment in place.gateway.debits_of(order, datetime.now(UTC)):
            if payment.captured:
                # One refund a payment: its credit note takes back the tax of what was refunded.
                net += split(payment.amount, intra_state=False, rate=18).taxable
                net -= split(payment.amount_refunded, intra_state=False, rate=18).taxable
    return net
