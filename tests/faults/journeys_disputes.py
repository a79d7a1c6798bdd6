"""Ways through a dispute and through a refund that came back, over HTTP."""

import asyncio
import secrets
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import psycopg
from temporalio.client import Client, ScheduleOverlapPolicy

from cli.demo.stage import BrokenPromise, Person, Stage
from temporal.schedules import DISPUTES
from tests.faults import journeys

SECONDS = 60.0
GATEWAY_PAYMENT = "SELECT gateway_payment_id FROM finance.payments WHERE payment_id = %s"
GATEWAY_REFUND = "SELECT gateway_refund_id FROM finance.refunds WHERE refund_id = %s"
LIVE_DISPUTE = """SELECT dispute_id FROM finance.disputes
    WHERE payment_id = %s AND status IN ('open', 'under_review')"""


def disputed(stage: Stage) -> None:
    """A course whose money the customer's bank asks back: won by us at first, then given up."""
    person = journeys.verified(stage)
    enrolled = journeys._enrolled(stage, person)
    journeys.paid(stage, person, enrolled)
    dispute, at_gateway = opened(stage, enrolled["payment_id"])
    won(stage, dispute, at_gateway)
    again, _ = opened(stage, enrolled["payment_id"], told=False)
    given_up(stage, again)


def returned(stage: Stage) -> None:
    """A course, paid and given back; the bank returns the refund, and finance pays it."""
    person = journeys.verified(stage)
    enrolled = journeys._enrolled(stage, person)
    journeys.paid(stage, person, enrolled)
    body = {"payment_id": enrolled["payment_id"], "reason": "a change of mind"}
    finance = stage.staff("finance")
    asked = stage.call("POST", "/payments/refund", finance, expect=202, json=body)["refund_id"]
    path = f"/payments/refunds/{asked}"
    stage.until(path, finance, lambda r: r["status"] == "processed", "a refund is processed")
    came_back(stage, asked, finance)


def opened(stage: Stage, payment: str, *, told: bool = True) -> tuple[str, str]:
    """(dispute, the payment at the gateway): the customer's bank asks for the money back. Where no webhook
    tells of it, the next look at the gateway finds it."""
    at_gateway = str(_of(stage, GATEWAY_PAYMENT, payment))
    if not told:
        stage.control("faults", target="razorpay", match="dispute.created", fault="drop_webhook", times=1)
    _played(stage, at_gateway, "created")
    if not told:
        asyncio.run(_watched(stage))
    dispute = str(_of(stage, LIVE_DISPUTE, payment))
    seen(stage, dispute, "open")
    return dispute, at_gateway


async def _watched(stage: Stage) -> None:
    client = await Client.connect(stage.endpoints["temporal"], namespace=stage.endpoints["namespace"])
    await client.get_schedule_handle(DISPUTES).trigger(overlap=ScheduleOverlapPolicy.ALLOW_ALL)


def _played(stage: Stage, at_gateway: str, phase: str) -> None:
    """What the bank does. The sandbox may be killed between doing it and saying so."""
    try:
        stage.control("razorpay/dispute", payment_id=at_gateway, phase=phase)
    except BrokenPromise as failure:
        if "with 409" not in str(failure):
            raise


def seen(stage: Stage, dispute: str, status: str) -> dict[str, Any]:
    path, finance = f"/finance/disputes/{dispute}", stage.staff("finance")
    return dict(stage.until(path, finance, lambda d: d["status"] == status, f"the dispute is {status}"))


def given_up(stage: Stage, dispute: str) -> None:
    """Finance accepts, once; above ₹50,000 a second person too."""
    accept, body = f"/finance/disputes/{dispute}/accept", {"reason": "the customer is right"}
    answer = stage.call("POST", accept, stage.staff("finance"), json=body)
    if answer["approvals"] < answer["approvals_due"]:
        stage.call("POST", accept, stage.staff("finance2"), json=body)
    seen(stage, dispute, "lost")


def won(stage: Stage, dispute: str, at_gateway: str) -> None:
    _played(stage, at_gateway, "won")
    seen(stage, dispute, "won")


def came_back(stage: Stage, refund: str, who: Person) -> None:
    """The customer's bank returns a processed refund, and finance pays it by transfer."""
    path = f"/payments/refunds/{refund}"
    at_gateway = _of(stage, GATEWAY_REFUND, refund)
    stage.control("razorpay/refund", refund_id=at_gateway, outcome="failed")
    stage.until(path, who, lambda r: r["status"] == "manual_payout", "a returned refund is owed again")
    transfer = {"utr": f"HDFCR{secrets.randbelow(10**17):017d}"}
    stage.call("POST", f"/staff/runs/refund:{refund}/actions/paid_out", stage.staff("finance"), json=transfer)
    stage.until(path, who, lambda r: r["status"] == "processed", "a transfer pays it")


def _of(stage: Stage, query: str, key: str) -> Any:
    """The first value of the first row, as soon as there is one."""
    deadline = monotonic() + SECONDS
    while monotonic() < deadline:
        with suppress(psycopg.OperationalError), psycopg.connect(stage.endpoints["postgres"]) as connection:
            row = connection.execute(query, [key]).fetchone()
            if row is not None:
                return row[0]
        sleep(0.1)
    raise BrokenPromise(f"{key} has a row in time")


journeys.JOURNEYS |= {journey.__name__: journey for journey in (disputed, returned)}
