"""Payments under a gateway that fails: callback, webhook and poll raced, repeated, forged; one capture each.

Every choice of the load comes from its seed, which is printed: `TREUM_LOAD_SEED` plays it again. How threads
and gateway then race is theirs; what has to hold, holds in every order.
"""

import asyncio
import hashlib
import hmac
import json
import os
import random
import secrets
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from cli.demo.stage import Person
from tests.faults.journeys import SURELY, verified
from tests.faults.whole import Clients, Whole

SEED = int(os.environ.get("TREUM_LOAD_SEED", "20261123"))
A_CUSTOMER = 5
"""Payments of one customer: within the day of the basic tier and below the velocity that is flagged."""
PRICE = 24_000_00
AT_ONCE = 10
SETTLED_SECONDS = 150.0
STUCK_SECONDS = 3.0
"""A payment that is not captured by then waits to be sure of an outcome: its own clock is put on."""

PATIENCE = 60
KILLED = ("worker-billing", "api", "temporal", "postgres")
KILLS = 50
KILLED_PATIENCE_SECONDS = 240.0
"""How long a client asks again while engines die: longer than all the kills take."""

CALLS = (
    ("/capture", "timeout_after"), ("/capture", "timeout_before"), ("/capture", "error_5xx"),
    ("/capture", "error_429"), ("/orders", "timeout_after"), ("/orders", "error_5xx"), ("/payments", "slow"),
)  # fmt: skip
WEBHOOKS = ("drop_webhook", "duplicate_webhook", "reorder_webhooks", "tampered_webhook")
STATES = """
    SELECT p.payment_id, p.status, p.gateway_payment_id, p.failure_code, p.amount, p.amount_refunding,
           (SELECT count(*) FROM finance.invoices i WHERE i.payment_id = p.payment_id) AS documents,
           (SELECT count(*) FROM finance.journal_entries e
            WHERE e.refs @> ARRAY[p.payment_id]) AS entries
    FROM finance.payments p WHERE p.payment_id = ANY(%s)"""


@dataclass(frozen=True)
class Plan:
    """What one customer does at one checkout, and what the world does meanwhile."""

    customer: int
    course: int
    outcome: str
    delay_ms: int
    callbacks: int
    webhooks: int
    forged: bool
    fault: tuple[str, str, int, float] | None
    """Path, kind, times, seconds."""


def plans(size: int, chance: random.Random) -> list[Plan]:
    """Drawn at random; each fault of the webhooks comes in one of them at least."""
    drawn: list[Plan] = []
    for number in range(size):
        fault: tuple[str, str, int, float] | None = None
        if chance.random() < 0.5:
            match, kind = chance.choice(CALLS)
            fault = match, kind, chance.randint(1, 2), chance.uniform(0.02, 0.3)
        elif chance.random() < 0.6:
            fault = "payment.", chance.choice(WEBHOOKS), chance.randint(1, 3), chance.uniform(0.05, 0.5)
        drawn.append(
            Plan(
                customer=number // A_CUSTOMER,
                course=number % A_CUSTOMER,
                outcome=chance.choice(["success", "success", "success", "late_authorized", "again"]),
                delay_ms=chance.choice([0, 0, chance.randint(1, 1500)]),
                callbacks=chance.randint(0, 3),
                webhooks=chance.randint(0, 2),
                forged=chance.random() < 0.3,
                fault=fault,
            )
        )
    chance.shuffle(drawn)
    lacking = [
        kind for kind in WEBHOOKS if all(plan.fault is None or plan.fault[1] != kind for plan in drawn)
    ]
    free = [at for at, plan in enumerate(drawn) if plan.fault is None or plan.fault[1] not in WEBHOOKS]
    for at, kind in zip(sorted(free, key=lambda at: drawn[at].fault is not None), lacking, strict=False):
        fault = "payment.", kind, 2, chance.uniform(0.05, 0.5)
        # What nobody else tells either, after a webhook that never came, the poll has to find.
        silent = {"callbacks": 0, "webhooks": 0} if kind == "drop_webhook" else {}
        drawn[at] = replace(drawn[at], fault=fault, **silent)
    return drawn


class Load:
    """Customers, courses and the payments that they make."""

    def __init__(self, stage: Clients, size: int, seed: int) -> None:
        self.stage = stage
        self.plans = plans(size, random.Random(seed))
        self.secret = stage.sandbox.get("/_control/credentials").json()["razorpay"]["webhook_secret"]
        with ThreadPoolExecutor(AT_ONCE) as side_by_side:
            self.courses = list(side_by_side.map(self._course, range(A_CUSTOMER)))
            wanted = 1 + max(plan.customer for plan in self.plans)
            self.customers = list(side_by_side.map(lambda _: verified(stage), range(wanted)))
        self.payments: list[str] = []

    def _course(self, number: int) -> str:
        lesson = {"title": "A", "type": "text", "content": "a"}
        draft = {
            "title": f"Reading a chart, part {number + 1}",
            "slug": f"charts-{secrets.token_hex(6)}",
            "category": "trading",
            "level": "beginner",
            "price": PRICE,
            "syllabus": {"modules": [{"title": "One", "lessons": [lesson]}]},
        }
        instructor = self.stage.staff("instructor")
        made = self.stage.call("POST", "/courses", instructor, expect=201, json=draft)
        self.stage.call("POST", f"/courses/{made['course_id']}/publish", instructor, json={})
        return str(made["course_id"])

    def play(self) -> list[str]:
        """Plays every plan, many at once; what failed."""
        with ThreadPoolExecutor(AT_ONCE) as side_by_side:
            return [each for each in side_by_side.map(self._tried, self.plans) if each]

    def _tried(self, plan: Plan) -> str:
        try:
            self._one(plan)
        except Exception as failure:  # noqa: BLE001  # told with its plan when all are done
            told = f"{plan}: {type(failure).__name__}: {failure}"
            print(told)
            return told
        return ""

    def _one(self, plan: Plan) -> None:
        customer = self.customers[plan.customer]
        path = f"/courses/{self.courses[plan.course]}/enroll"
        checkout = self.stage.call("POST", path, customer, expect=201)
        self.payments.append(checkout["payment_id"])
        if plan.fault is not None:
            match, kind, times, seconds = plan.fault
            self.stage.control(
                "faults", target="razorpay", match=match, fault=kind, times=times, seconds=seconds
            )
        order = checkout["gateway_order_id"]
        brought = self._paid(plan, order)
        hints = [lambda: self._callback(customer, checkout["payment_id"], brought)] * plan.callbacks
        hints += [lambda event=f"evt_{secrets.token_hex(7)}": self._webhook(order, event)] * plan.webhooks
        if plan.forged:
            hints += [lambda: self._forged(customer, checkout["payment_id"], order, brought)]
        with ThreadPoolExecutor(4) as racing:
            for raced in [racing.submit(hint) for hint in hints]:
                raced.result()

    def _paid(self, plan: Plan, order: str) -> dict[str, Any]:
        """The customer at the gateway's checkout: what the browser brings back."""
        if plan.outcome == "again":
            self.stage.control("razorpay/checkout", order_id=order, method="card", outcome="failure")
        outcome = "late_authorized" if plan.outcome == "late_authorized" else "success"
        given = {"order_id": order, "method": "upi", "outcome": outcome, "delay_ms": plan.delay_ms}
        return dict(self.stage.control("razorpay/checkout", **given))

    def _callback(self, customer: Person, payment: str, brought: dict[str, Any]) -> None:
        if brought["razorpay_signature"]:
            self.stage.call("POST", f"/payments/{payment}/confirm", customer, json=_names(brought))

    def _webhook(self, order: str, event: str) -> None:
        """The gateway's word once more, as it may come: genuine, late, of a state that is long past."""
        raw = _event(order)
        signature = hmac.new(self.secret.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"X-Razorpay-Signature": signature, "X-Razorpay-Event-Id": event}
        self.stage.call("POST", "/webhooks/razorpay", headers=headers, content=raw)

    def _forged(self, customer: Person, payment: str, order: str, brought: dict[str, Any]) -> None:
        headers = {"X-Razorpay-Signature": "0" * 64, "X-Razorpay-Event-Id": f"evt_{secrets.token_hex(7)}"}
        self.stage.call("POST", "/webhooks/razorpay", expect=400, headers=headers, content=_event(order))
        forged = {**_names(brought), "razorpay_signature": "0" * 64}
        self.stage.call("POST", f"/payments/{payment}/confirm", customer, expect=422, json=forged)

    def settled(self) -> list[dict[str, Any]]:
        """Every payment's row, once all are captured; what still waits is hurried by its own clock."""
        deadline, looked = monotonic() + SETTLED_SECONDS, monotonic()
        while True:
            rows = self.rows()
            stuck = [row["payment_id"] for row in rows if row["status"] != "captured"]
            if not stuck or monotonic() > deadline:
                return rows
            if monotonic() - looked > STUCK_SECONDS:
                asyncio.run(self._hurry(stuck))
                looked = monotonic()
            sleep(0.3)

    def rows(self) -> list[dict[str, Any]]:
        """Every payment as it stands; Postgres may be one of those that were killed."""
        for _ in range(PATIENCE):
            with (
                suppress(psycopg.OperationalError),
                psycopg.connect(self.stage.endpoints["postgres"], row_factory=dict_row) as connection,
            ):
                return connection.execute(STATES, [self.payments]).fetchall()
            sleep(0.5)
        raise AssertionError("Postgres did not come back")

    async def _hurry(self, payments: list[str]) -> None:
        endpoints = self.stage.endpoints
        with suppress(RPCError, RuntimeError):  # Temporal was just killed: the next round comes
            client = await Client.connect(endpoints["temporal"], namespace=endpoints["namespace"])
            skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=False))
            for payment in payments:
                with suppress(RPCError):  # it ended meanwhile
                    await skipper.fast_forward(client.get_workflow_handle(f"payment:{payment}"), SURELY)


def _names(brought: dict[str, Any]) -> dict[str, Any]:
    names = ("razorpay_payment_id", "razorpay_order_id", "razorpay_signature")
    return {name: brought[name] for name in names}


def _event(order: str) -> bytes:
    entity = {"id": f"pay_{secrets.token_hex(7)}", "order_id": order, "status": "failed"}
    return json.dumps({"event": "payment.failed", "payload": {"payment": {"entity": entity}}}).encode()


@pytest.mark.parametrize("size", [10, pytest.param(200, marks=pytest.mark.campaign)])
def test_each_payment_is_captured_once_and_invoiced_once(whole: Whole, size: int) -> None:
    print(f"seed {SEED}")
    begun = monotonic()
    load = Load(whole.clients, size, SEED)
    assert {plan.fault[1] for plan in load.plans if plan.fault} >= set(WEBHOOKS)
    ready = monotonic()
    failures = load.play()
    played = monotonic()
    rows = load.settled()
    times = (ready - begun, played - ready, monotonic() - played)
    print(f"{size} payments: made ready, played, settled in {[round(each, 1) for each in times]} s")
    assert failures == []
    assert len(rows) == size
    judged(whole, rows)


@pytest.mark.campaign
def test_payments_survive_fifty_kills_at_random_moments(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL of billing worker, API, Temporal and Postgres in the middle of such a load, again and again."""
    print(f"seed {SEED}")
    monkeypatch.setattr("tests.faults.whole.PATIENCE_SECONDS", KILLED_PATIENCE_SECONDS)
    chance, done = random.Random(SEED), threading.Event()
    killed: Counter[str] = Counter()
    loads = [Load(whole.clients, 40, SEED + number) for number in range(2)]

    def kill() -> None:
        for _ in range(KILLS):
            sleep(chance.uniform(0.5, 2.5))
            name = chance.choice(KILLED)
            whole.kill(name)
            killed[name] += 1
        done.set()

    killing = threading.Thread(target=kill)
    killing.start()
    failures = [failure for load in loads for failure in load.play()]
    while not done.is_set():
        # What is left of the kills falls into more of the same.
        loads.append(Load(whole.clients, A_CUSTOMER, SEED + len(loads)))
        failures += loads[-1].play()
    killing.join()
    print(f"{sum(len(load.payments) for load in loads)} payments, killed {dict(killed)}")
    assert failures == []
    for load in loads:
        judged(whole, load.settled())


def judged(whole: Whole, rows: list[dict[str, Any]]) -> None:
    """One capture, one invoice and one posting each, by the gateway's journal, the books and the checker."""
    assert {row["payment_id"]: row["status"] for row in rows if row["status"] != "captured"} == {}
    booked = {(row["documents"], row["entries"], row["amount"], row["amount_refunding"]) for row in rows}
    assert booked == {(1, 1, PRICE, 0)}
    taken = Counter(
        call["effect"]["payment_id"]
        for call in whole.clients.journal("razorpay")
        if (call["effect"] or {}).get("captured")
    )
    assert {taken[row["gateway_payment_id"]] for row in rows} == {1}
    book = whole.clients.call("GET", "/finance/trial-balance", whole.clients.staff("finance"))
    assert book["total_debit"] == book["total_credit"] > 0
    assert whole.findings() == {}
