"""A refund that meets a dispute, an old payment, a bank that returns it, and a decision that comes late."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import GatewayEvent, RefundInput
from models.messages.disputes import DisputeInput, PaymentDisputed
from models.messages.refunds import ReturnedInput
from temporal.events import tell
from tests.workflows.shop import AMOUNT, Purchase, Shop, eventually, refusal, shop

LONG_AGO = timedelta(days=200)


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Shop]:
    async with shop(engines, database) as made:
        yield made


async def failed(place: Shop, refund_id: str) -> None:
    """The bank returns a refund, and the gateway's webhook says so."""
    row = await place.refund_row(refund_id, "processed")
    await place.control("/razorpay/refund", refund_id=row["gateway_refund_id"], outcome="failed")
    await returned(place, row)


async def returned(place: Shop, row: dict) -> None:
    payments = await place.rows("SELECT * FROM finance.payments WHERE payment_id = %s", row["payment_id"])
    given = ReturnedInput(
        refund_id=row["refund_id"],
        payment_id=row["payment_id"],
        gateway_payment_id=payments[0]["gateway_payment_id"],
        assertion_key=place.engines.settings.assertion_public_key,
    )
    process = workflow_id(Kind.REFUND, row["refund_id"])
    start = Drive(
        workflow_type="ReturnedRefund",
        workflow_id=process,
        queue=Queue.BILLING,
        start=given.model_dump(mode="json"),
        rerun=True,
    )
    await tell(place.client, process, "gateway_event", GatewayEvent(event_number=1), start)


async def asked(place: Shop, method: str, path: str, now: str = "", **body: Any) -> dict[str, Any]:
    """A call to the gateway with our own keys, at its time `now`."""
    keys = (await place.http.get("/_control/credentials")).json()["razorpay"]
    answer = await place.http.request(
        method,
        f"/razorpay/v1{path}",
        json=body or None,
        auth=httpx.BasicAuth(keys["key_id"], keys["key_secret"]),
        headers={"X-Sandbox-Now": now} if now else None,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_a_bank_returns_is_owed_again_and_paid_by_transfer(place: Shop) -> None:
    one = await place.bought()
    refund_id, handle = await place.refund(one, "finance", "usr_finance", speed="instant")
    await handle.result()
    sent = await place.refund_row(refund_id, "processed")
    at_gateway = await asked(place, "GET", f"/refunds/{sent['gateway_refund_id']}")
    assert (at_gateway["speed_requested"], at_gateway["speed_processed"]) == ("optimum", "instant")
    assert sent["arn"] == at_gateway["acquirer_data"]["arn"]
    await failed(place, refund_id)
    row = await place.refund_row(refund_id, "manual_payout")
    assert (row["failure_code"], bool(row["returned_at"])) == ("returned_by_bank", True)
    owed = await place.status(one, "refund_pending")
    assert (owed["amount_refunding"], owed["amount_refunded"]) == (AMOUNT, 0)
    book = await place.book(one.payment_id)
    assert book == {"gateway_clearing": AMOUNT, "refunds_payable": -AMOUNT}
    now = place.client.get_workflow_handle(workflow_id(Kind.REFUND, refund_id))
    own = place.decision(refund_id, "paid_out", one.user_id, utr="HDFCR52026112300000101")
    assert await refusal(now.execute_update("paid_out", own)) == "own_case"
    paid = place.decision(refund_id, "paid_out", "usr_finance", utr="HDFCR52026112300000101")
    assert (await now.execute_update("paid_out", paid))["status"] == "processed"
    await now.result()
    assert await place.book(one.payment_id) == {"gateway_clearing": AMOUNT, "bank": -AMOUNT}
    assert (await place.payment(one))["status"] == "refunded"
    assert [document["kind"] for document in await place.documents(one)] == ["invoice", "credit_note"]
    # The same word once more: what was paid by transfer stays paid.
    await returned(place, row)
    await place.client.get_workflow_handle(workflow_id(Kind.REFUND, refund_id)).result()
    await place.refund_row(refund_id, "processed")
    steps = await place.rows(
        "SELECT status, source FROM finance.refund_timeline WHERE refund_id = %s ORDER BY number", refund_id
    )
    assert [(step["status"], step["source"]) for step in steps] == [
        ("approved", "finance"),
        ("pending", "gateway"),
        ("processed", "gateway"),
        ("manual_payout", "bank"),
        ("processed", "finance"),
    ]


async def test_a_false_word_of_a_failure_changes_nothing(place: Shop) -> None:
    one = await place.bought()
    refund_id, handle = await place.refund(one, "finance", "usr_finance")
    await handle.result()
    row = await place.refund_row(refund_id, "processed")
    before = await place.book(one.payment_id)
    await returned(place, row)
    await place.client.get_workflow_handle(workflow_id(Kind.REFUND, refund_id)).result()
    assert (await place.refund_row(refund_id, "processed"))["version"] == row["version"]
    assert await place.book(one.payment_id) == before


@pytest.mark.campaign
async def test_a_return_that_the_gateway_does_not_tell_for_days_reaches_a_person(place: Shop) -> None:
    one = await place.bought()
    refund_id, refunding = await place.refund(one, "finance", "usr_finance")
    await refunding.result()
    row = await place.refund_row(refund_id, "processed")
    await place.control("/razorpay/refund", refund_id=row["gateway_refund_id"], outcome="failed")
    match = f"/{(await place.payment(one))['gateway_payment_id']}/refunds"
    await place.control("/faults", target="razorpay", match=match, fault="error_5xx", times=10_000)
    await returned(place, row)
    handle = place.client.get_workflow_handle(workflow_id(Kind.REFUND, refund_id))
    await TimeSkipper(place.client).fast_forward(handle, timedelta(days=6, hours=3))
    await eventually(handle.describe, lambda run: run.search_attributes.get("TreumNeedsAttention") == [True])
    await place.refund_row(refund_id, "processed")
    await place.control("/faults/heal", target="razorpay")
    await place.hint(handle)
    await place.refund_row(refund_id, "manual_payout")
    utr, ahead = "HDFCR52026112300000103", timedelta(days=9)
    paid = place.decision(refund_id, "paid_out", "usr_finance", utr=utr, lifetime=ahead)
    assert (await handle.execute_update("paid_out", paid))["status"] == "processed"
    await handle.result()


async def test_what_the_gateway_refuses_after_six_months_finance_pays(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one)
    then = (datetime.now(UTC) - LONG_AGO).isoformat()
    path = f"/payments/{brought['razorpay_payment_id']}/capture"
    await asked(place, "POST", path, then, amount=AMOUNT, currency="INR")
    assert (await place.confirm(handle, brought))["status"] == "captured"
    refund_id, refunding = await place.refund(one, "finance", "usr_finance")
    row = await place.refund_row(refund_id, "manual_payout")
    assert (row["failure_code"], row["gateway_refund_id"]) == ("gateway_refused", None)
    assert [document["kind"] for document in await place.documents(one)] == ["invoice", "credit_note"]
    paid = place.decision(refund_id, "paid_out", "usr_finance", utr="HDFCR52026112300000102")
    await refunding.execute_update("paid_out", paid)
    await refunding.result()
    assert (await place.book(one.payment_id)) == {"gateway_clearing": AMOUNT, "bank": -AMOUNT}


async def _disputed_while_asked(place: Shop, outcome: str) -> tuple[Purchase, str]:
    """A refund that waits for finance while the bank opens a dispute, is agreed to, and then decided."""
    one = await place.bought()
    await place.rows(
        "UPDATE finance.user_subscriptions SET status = 'active' WHERE subscription_id = %s RETURNING 1",
        one.subscription_id,
    )
    refund_id, refunding = await place.refund(one, "support", "usr_support")
    gateway_payment = (await place.payment(one))["gateway_payment_id"]
    dispute = (await place.control("/razorpay/dispute", payment_id=gateway_payment, phase="created"))["id"]
    disputing = await place.client.start_workflow(
        "Dispute",
        DisputeInput(dispute_id=dispute, assertion_key=place.engines.settings.assertion_public_key),
        id=workflow_id(Kind.DISPUTE, dispute),
        task_queue=Queue.BILLING,
    )
    await place.status(one, "disputed")
    await refunding.execute_update("approve", place.decision(refund_id, "approve", "usr_finance"))
    await place.refund_row(refund_id, "approved")
    assert await place.effects("refunded", gateway_payment) == []
    await place.control("/razorpay/dispute", payment_id=gateway_payment, phase=outcome)
    await place.hint(disputing)
    await disputing.result()
    await refunding.result()
    return one, refund_id


async def test_a_refund_waits_for_the_end_of_a_dispute_and_goes_on_where_it_is_won(place: Shop) -> None:
    one, refund_id = await _disputed_while_asked(place, "won")
    await place.refund_row(refund_id, "processed")
    assert (await place.payment(one))["status"] == "refunded"
    assert await place.book(one.payment_id) == {}


async def test_a_lost_dispute_leaves_nothing_to_give_back(place: Shop) -> None:
    one, refund_id = await _disputed_while_asked(place, "lost")
    row = await place.refund_row(refund_id, "rejected")
    assert row["failure_code"] == "dispute_lost"
    payment = await place.payment(one)
    assert (payment["status"], payment["amount_refunding"], payment["amount_lost"]) == ("disputed", 0, AMOUNT)
    assert [document["kind"] for document in await place.documents(one)] == ["invoice"]


async def _dispute(place: Shop, one: Purchase, **given: Any) -> tuple[str, WorkflowHandle[Any, Any]]:
    """The customer's bank opens a dispute of a payment; the id of that payment at the gateway."""
    await place.rows(
        "UPDATE finance.user_subscriptions SET status = 'active' WHERE subscription_id = %s RETURNING 1",
        one.subscription_id,
    )
    gateway_payment = (await place.payment(one))["gateway_payment_id"]
    made = await place.control("/razorpay/dispute", payment_id=gateway_payment, phase="created", **given)
    handle = await place.client.start_workflow(
        "Dispute",
        DisputeInput(dispute_id=made["id"], assertion_key=place.engines.settings.assertion_public_key),
        id=workflow_id(Kind.DISPUTE, made["id"]),
        task_queue=Queue.BILLING,
    )
    await place.status(one, "disputed")
    return gateway_payment, handle


@pytest.mark.parametrize("part", [None, 50_000])
async def test_finance_pays_nothing_that_a_dispute_holds_or_has_paid(place: Shop, part: int | None) -> None:
    one = await place.bought()
    gateway_payment = (await place.payment(one))["gateway_payment_id"]
    await place.control("/razorpay/refund", payment_id=gateway_payment, outcome="pending")
    refund_id, handle = await place.refund(one, "finance", "usr_finance")
    sent = await place.refund_row(refund_id, "pending")
    await place.control("/razorpay/refund", refund_id=sent["gateway_refund_id"], outcome="failed")
    await place.hint(handle)
    await place.refund_row(refund_id, "manual_payout")
    _, disputing = await _dispute(place, one, **({"amount": part} if part else {}))
    utr = f"HDFCR5202611230000020{1 if part else 0}"
    early = place.decision(refund_id, "paid_out", "usr_finance", utr=utr)
    assert await refusal(handle.execute_update("paid_out", early)) == "payment_disputed"
    await place.control("/razorpay/dispute", payment_id=gateway_payment, phase="lost")
    await place.hint(disputing)
    await disputing.result()
    if part:
        left = AMOUNT - part
        await eventually(lambda: place.refund_row(refund_id, "manual_payout"), lambda r: r["amount"] == left)
        assert (await place.book(one.payment_id))["refunds_payable"] == -left
        paid = place.decision(refund_id, "paid_out", "usr_finance", utr=utr)
        assert (await handle.execute_update("paid_out", paid))["status"] == "processed"
        assert await place.book(one.payment_id) == {"gateway_clearing": left, "bank": -left}
    else:
        row = await place.refund_row(refund_id, "rejected")
        assert (row["failure_code"], row["utr"]) == ("dispute_lost", None)
        assert await place.book(one.payment_id) == {}
    await handle.result()
    payment = await place.payment(one)
    assert payment["amount_refunding"] + payment["amount_lost"] == AMOUNT
    assert [document["kind"] for document in await place.documents(one)] == ["invoice", "credit_note"]


async def test_a_refund_returned_after_a_lost_dispute_is_owed_no_more(place: Shop) -> None:
    one = await place.bought()
    refund_id, handle = await place.refund(one, "finance", "usr_finance")
    await handle.result()
    await place.refund_row(refund_id, "processed")
    gateway_payment, disputing = await _dispute(place, one)
    await place.control("/razorpay/dispute", payment_id=gateway_payment, phase="lost")
    await place.hint(disputing)
    await disputing.result()
    await failed(place, refund_id)
    row = await place.refund_row(refund_id, "rejected")
    assert row["failure_code"] == "dispute_lost"
    assert await place.book(one.payment_id) == {}


@pytest.mark.parametrize("end", ["won", "lost"])
async def test_what_a_process_owes_waits_for_the_end_of_a_dispute(place: Shop, end: str) -> None:
    one = await place.bought()
    gateway_payment, disputing = await _dispute(place, one)
    refund_id = mint(Prefix.REFUND)
    given = RefundInput(
        refund_id=refund_id,
        payment_id=one.payment_id,
        amount=150_000,
        requested_by=one.user_id,
        authority="system",
        reason_code="no_longer_wanted",
        assertion_key=place.engines.settings.assertion_public_key,
    )
    process = workflow_id(Kind.REFUND, refund_id)
    owing = await place.client.start_workflow("Refund", given, id=process, task_queue=Queue.BILLING)
    await eventually(owing.describe, lambda run: run.search_attributes.get("TreumState") == ["waiting"])
    await place.control("/razorpay/dispute", payment_id=gateway_payment, phase=end)
    await place.hint(disputing)
    state = (await disputing.result())["status"]
    told = PaymentDisputed(
        payment_id=one.payment_id, reference_id=one.subscription_id, dispute_id="disp_1", state=state
    )
    await owing.signal("payment_disputed", told)
    await owing.result()
    asked = await place.rows("SELECT status, amount FROM finance.refunds WHERE refund_id = %s", refund_id)
    paid = {"status": "processed", "amount": 150_000}
    assert asked == ([paid] if end == "won" else [])


async def test_a_decision_that_was_made_in_time_holds_however_late_it_is_driven(place: Shop) -> None:
    one = await place.bought()
    refund_id, handle = await place.refund(one, "support", "usr_support")
    long_ago = {"command_id": "cmd_mine", "lifetime": timedelta(days=-1)}
    late = place.decision(refund_id, "approve", "usr_finance", **long_ago)
    assert await refusal(handle.execute_update("approve", late, id="cmd_another")) == "assertion_invalid"
    unbound = place.decision(refund_id, "approve", "usr_finance", lifetime=timedelta(days=-1))
    assert await refusal(handle.execute_update("approve", unbound, id="cmd_mine")) == "assertion_invalid"
    await handle.execute_update("approve", late, id="cmd_mine")
    await handle.result()
    await eventually(lambda: place.payment(one), lambda row: row["status"] == "refunded")
