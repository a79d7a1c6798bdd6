"""The refund's process: policy, approvals, the gateway, the books, bank payout, lost answers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from models.contracts.search_attributes import Attribute
from tests.workflows.shop import AMOUNT, Purchase, Shop, eventually, refusal, shop

LARGE = 60_000_00


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Shop]:
    async with shop(engines, database) as made:
        yield made


async def _heard(one: Purchase) -> list[dict]:
    assert one.buyer is not None
    return [said for said in await one.buyer.query("heard") if said["signal"] == "refunded"]


async def test_a_refund_asked_by_support_waits_for_finance_and_reverses_the_books(place: Shop) -> None:
    one = await place.bought()
    refund_id, handle = await place.refund(one, "support", "usr_support")
    assert (await place.refund_row(refund_id, "requested"))["approvals_due"] == 1
    answer = await handle.execute_update("approve", place.decision(refund_id, "approve", "usr_finance"))
    assert answer["status"] in ("approved", "pending", "processed")
    row = await place.refund_row(refund_id, "processed")
    assert row["approvers"] == ["usr_finance"]
    assert (await place.status(one, "refunded"))["amount_refunded"] == AMOUNT
    invoice, note = await place.documents(one)
    assert note["kind"] == "credit_note"
    assert note["original_invoice_id"] == invoice["invoice_id"]
    assert note["number"].startswith("CN/")
    assert (note["total"], note["igst"], note["taxable"]) == (AMOUNT, 30493, 169407)
    assert await place.book(one.payment_id) == {}
    assert [(said["amount"], said["full"]) for said in await _heard(one)] == [(AMOUNT, True)]
    assert len(await place.effects("refunded", row["gateway_refund_id"])) == 1
    await handle.result()


async def test_parts_add_up_to_the_whole_and_never_to_more(place: Shop) -> None:
    one = await place.bought()
    parts = [33_333, 66_667, 50_001]
    for part in parts:
        refund_id, handle = await place.refund(one, "finance", "usr_finance", part)
        await handle.result()
        assert (await place.refund_row(refund_id, "processed"))["amount"] == part
    assert (await place.payment(one))["status"] == "partially_refunded"
    assert await refusal(place.refund(one, "finance", "usr_finance", 49_900)) == "refund_exceeds_payment"
    _, handle = await place.refund(one, "finance", "usr_finance")
    await handle.result()
    assert (await place.payment(one))["status"] == "refunded"
    invoice, *notes = await place.documents(one)
    for part in ("taxable", "cgst", "sgst", "igst", "total"):
        assert sum(note[part] for note in notes) == invoice[part]
    assert [said["full"] for said in await _heard(one)] == [False, False, False, True]
    assert await place.book(one.payment_id) == {}


async def test_refunds_asked_at_once_never_exceed_the_payment(place: Shop) -> None:
    one = await place.bought()
    asked = await asyncio.gather(
        *(place.refund(one, "finance", "usr_finance", 60_000) for _ in range(6)), return_exceptions=True
    )
    granted = [found for found in asked if not isinstance(found, BaseException)]
    assert len(granted) == 3
    await asyncio.gather(*(handle.result() for _, handle in granted))
    row = await place.payment(one)
    assert row["amount_refunded"] == 180_000
    effects = await place.effects("refunded", row["gateway_payment_id"])
    assert sum(effect["refunded"] for effect in effects) == 180_000


async def test_a_customer_gets_what_the_rules_grant_and_no_more(place: Shop) -> None:
    one = await place.bought()
    # A running subscription grants nothing; a cancelled one its unexpired part.
    assert await refusal(place.refund(one, "customer")) == "refund_not_granted"
    await place.rows(
        """UPDATE finance.user_subscriptions SET status = 'cancelled',
               current_period_start = now() - interval '10 days',
               current_period_end = now() + interval '20 days'
           WHERE subscription_id = %s RETURNING 1""",
        one.subscription_id,
    )
    assert await refusal(place.refund(one, "customer", amount=AMOUNT)) == "refund_not_granted"
    refund_id, handle = await place.refund(one, "customer")
    await handle.result()
    row = await place.refund_row(refund_id, "processed")
    # Of thirty days the first ten and today were used.
    assert row["amount"] == AMOUNT * 19 // 30
    assert await refusal(place.refund(one, "customer")) == "refund_not_granted"
    assert row["approvals_due"] == 0
    assert await refusal(place.refund(one, "customer", "usr_another")) == "not_found"


async def large(place: Shop) -> Purchase:
    """A captured payment above the limit of one person."""
    one = await place.purchase(amount=LARGE)
    await place.rows(
        "UPDATE user_management.kyc_status SET tier = 'intermediate' WHERE user_id = %s RETURNING 1",
        one.user_id,
    )
    handle = await place.open(one)
    assert (await place.confirm(handle, await place.pay(one)))["status"] == "captured"
    return one


async def test_what_two_people_have_agreed_to_is_paid(place: Shop) -> None:
    one = await large(place)
    refund_id, handle = await place.refund(one, "support", "usr_support")
    for who, status in (
        ("usr_finance", {"requested"}),
        ("usr_finance2", {"approved", "pending", "processed"}),
    ):
        answer = await handle.execute_update("approve", place.decision(refund_id, "approve", who))
        assert answer["status"] in status
    row = await place.refund_row(refund_id, "processed")
    assert (row["amount"], row["approvers"]) == (LARGE, ["usr_finance", "usr_finance2"])
    (effect,) = await place.effects("refunded", row["gateway_refund_id"])
    assert effect["refunded"] == LARGE
    assert (await place.status(one, "refunded"))["amount_refunded"] == LARGE
    assert await place.book(one.payment_id) == {}
    await handle.result()


async def test_a_large_refund_in_small_parts_takes_as_many_people(place: Shop) -> None:
    one = await large(place)
    first, paid = await place.refund(one, "finance", "usr_finance", 30_000_00)
    await paid.result()
    assert (await place.refund_row(first, "processed"))["approvals_due"] == 0
    gateway_payment = (await place.payment(one))["gateway_payment_id"]
    for authority, who, due in (("finance", "usr_finance", 1), ("support", "usr_support", 2)):
        part, asking = await place.refund(one, authority, who, 20_000_01)
        assert (await place.refund_row(part, "requested"))["approvals_due"] == due
        assert len(await place.effects("refunded", gateway_payment)) == 1
        refused = place.decision(part, "reject", "usr_finance2")
        assert (await asking.execute_update("reject", refused))["status"] == "rejected"
    # What was rejected counts no more.
    _, within = await place.refund(one, "finance", "usr_finance", 20_000_00)
    await within.result()
    assert (await place.payment(one))["amount_refunded"] == 50_000_00


async def test_what_a_process_owes_counts_for_no_one(place: Shop) -> None:
    one = await large(place)
    owed, handle = await place.refund(one, "system", "subscription", 30_000_00)
    await handle.result()
    await place.refund_row(owed, "processed")
    _, within = await place.refund(one, "finance", "usr_finance", 30_000_00)
    await within.result()
    assert (await place.payment(one))["status"] == "refunded"


async def test_two_people_agree_above_the_limit(place: Shop) -> None:
    one = await large(place)
    refund_id, handle = await place.refund(one, "support", "usr_support", 50_000_01)
    assert (await place.refund_row(refund_id, "requested"))["approvals_due"] == 2

    def by(subject: str, action: str = "approve", **more: str):
        return handle.execute_update("approve", place.decision(refund_id, action, subject, **more))

    assert await refusal(by("usr_support")) == "second_person_required"
    assert await refusal(by("usr_compliance", role="compliance")) == "role_required"
    assert await refusal(by("usr_finance", action="reject")) == "assertion_invalid"
    assert (await by("usr_finance"))["status"] == "requested"
    assert await refusal(by("usr_finance")) == "second_person_required"
    forged = place.decision(refund_id, "approve", "usr_finance2")
    forged.assertion.assertion = forged.assertion.assertion.replace("usr_finance2", "usr_finance3")
    assert await refusal(handle.execute_update("approve", forged)) == "assertion_invalid"
    assert (await place.refund_row(refund_id, "requested"))["status"] == "requested"
    rejection = place.decision(refund_id, "reject", "usr_finance2")
    assert (await handle.execute_update("reject", rejection))["status"] == "rejected"
    assert await place.effects("refunded", (await place.payment(one))["gateway_payment_id"]) == []
    assert (await place.payment(one))["amount_refunding"] == 0


async def test_nobody_decides_about_their_own_refund(place: Shop) -> None:
    one = await place.bought()
    refund_id, handle = await place.refund(one, "support", "usr_support")
    for action in ("approve", "reject"):
        own = place.decision(refund_id, action, one.user_id)
        assert await refusal(handle.execute_update(action, own)) == "own_case"
    assert (await place.refund_row(refund_id, "requested"))["approvers"] == []
    gateway_payment = (await place.payment(one))["gateway_payment_id"]
    await place.control("/razorpay/refund", payment_id=gateway_payment, outcome="pending")
    await handle.execute_update("approve", place.decision(refund_id, "approve", "usr_finance"))
    row = await place.refund_row(refund_id, "pending")
    await place.control("/razorpay/refund", refund_id=row["gateway_refund_id"], outcome="failed")
    await place.hint(handle)
    await place.refund_row(refund_id, "manual_payout")
    own = place.decision(refund_id, "paid_out", one.user_id, utr="HDFCR52026112300000004")
    assert await refusal(handle.execute_update("paid_out", own)) == "own_case"
    paid = place.decision(refund_id, "paid_out", "usr_finance", utr="HDFCR52026112300000004")
    assert (await handle.execute_update("paid_out", paid))["status"] == "processed"
    await handle.result()


async def test_a_lost_answer_is_found_by_our_receipt(place: Shop) -> None:
    one = await place.bought()
    await place.control(
        "/faults", target="razorpay", match="/refund", fault="timeout_after", times=1, seconds=0
    )
    refund_id, handle = await place.refund(one, "finance", "usr_finance")
    await handle.result()
    row = await place.refund_row(refund_id, "processed")
    effects = await place.effects("refunded", (await place.payment(one))["gateway_payment_id"])
    assert [effect["refund_id"] for effect in effects] == [row["gateway_refund_id"]]


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("fault", "tries"), [("timeout_after", ["sent"]), ("timeout_before", ["void", "sent"])]
)
async def test_a_person_hears_of_an_outcome_that_the_gateway_does_not_tell_for_days(
    place: Shop, fault: str, tries: list[str]
) -> None:
    one = await place.bought()
    gateway_payment = (await place.payment(one))["gateway_payment_id"]
    match = f"/{gateway_payment}/refund"
    await place.control("/faults", target="razorpay", match=match, fault=fault, times=1, seconds=0)
    # From here on the gateway does not answer at all.
    await place.control("/faults", target="razorpay", match=f"{match}s", fault="error_5xx", times=10_000)
    refund_id, handle = await place.refund(one, "finance", "usr_finance")
    skipper = TimeSkipper(place.client)
    await skipper.fast_forward(handle, timedelta(days=1))
    assert not await _attention(handle)
    await skipper.fast_forward(handle, timedelta(days=5, hours=3))
    await eventually(lambda: _attention(handle), bool)
    assert (await place.refund_row(refund_id, "approved"))["approvals_due"] == 0
    await place.control("/faults/heal", target="razorpay")
    await place.hint(handle)
    await place.refund_row(refund_id, "processed")
    assert not await _attention(handle)
    assert len(await place.effects("refunded", gateway_payment)) == 1
    found = await place.rows(
        "SELECT state FROM finance.attempts WHERE object_id = %s ORDER BY number", refund_id
    )
    assert [attempt["state"] for attempt in found] == tries
    await handle.result()


async def _attention(handle: WorkflowHandle[Any, Any]) -> bool:
    return bool((await handle.describe()).typed_search_attributes.get(Attribute.NEEDS_ATTENTION.value))


async def test_a_refund_that_the_bank_takes_later_is_pending_until_told(place: Shop) -> None:
    one = await place.bought()
    gateway_payment = (await place.payment(one))["gateway_payment_id"]
    await place.control("/razorpay/refund", payment_id=gateway_payment, outcome="pending")
    refund_id, handle = await place.refund(one, "finance", "usr_finance")
    row = await place.refund_row(refund_id, "pending")
    assert (await place.payment(one))["status"] == "refund_pending"
    assert (await place.book(one.payment_id))["refunds_payable"] == -AMOUNT
    await place.control("/razorpay/refund", refund_id=row["gateway_refund_id"], outcome="processed")
    await place.hint(handle)
    await handle.result()
    assert (await place.refund_row(refund_id, "processed"))["status"] == "processed"
    assert await place.book(one.payment_id) == {}


async def test_what_the_bank_turns_down_is_paid_by_transfer_with_its_utr(place: Shop) -> None:
    one, refund_id, handle = await _turned_down(place)
    needs = await eventually(
        lambda: handle.describe(), lambda run: "TreumNeedsAttention" in run.search_attributes
    )
    assert needs.search_attributes["TreumNeedsAttention"] == [True]
    without = place.decision(refund_id, "paid_out", "usr_finance")
    assert await refusal(handle.execute_update("paid_out", without)) == "utr_required"
    paid = place.decision(refund_id, "paid_out", "usr_finance", utr="HDFCR52026112300000001")
    assert (await handle.execute_update("paid_out", paid))["status"] == "processed"
    await handle.result()
    assert (await place.refund_row(refund_id, "processed"))["utr"] == "HDFCR52026112300000001"
    book = await place.book(one.payment_id)
    assert book == {"gateway_clearing": AMOUNT, "bank": -AMOUNT}
    assert len(await _heard(one)) == 1


async def test_one_transfer_pays_one_refund(place: Shop) -> None:
    utr = "HDFCR52026112300000002"
    (_, first, paying), (_, second, asking) = [await _turned_down(place) for _ in range(2)]
    await paying.execute_update("paid_out", place.decision(first, "paid_out", "usr_finance", utr=utr))
    again = place.decision(second, "paid_out", "usr_finance", utr=utr)
    assert await refusal(asking.execute_update("paid_out", again)) == "utr_already_used"
    assert (await place.refund_row(second, "manual_payout"))["utr"] is None
    corrected = place.decision(second, "paid_out", "usr_finance", utr="HDFCR52026112300000003")
    assert (await asking.execute_update("paid_out", corrected))["status"] == "processed"
    await asking.result()


async def _turned_down(place: Shop) -> tuple[Purchase, str, WorkflowHandle[Any, Any]]:
    """A refund that the bank has not taken, so that finance has to pay it."""
    one = await place.bought()
    gateway_payment = (await place.payment(one))["gateway_payment_id"]
    await place.control("/razorpay/refund", payment_id=gateway_payment, outcome="pending")
    refund_id, handle = await place.refund(one, "finance", "usr_finance")
    row = await place.refund_row(refund_id, "pending")
    await place.control("/razorpay/refund", refund_id=row["gateway_refund_id"], outcome="failed")
    await place.hint(handle)
    await place.refund_row(refund_id, "manual_payout")
    return one, refund_id, handle
