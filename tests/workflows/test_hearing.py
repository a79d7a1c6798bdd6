"""What the record shows may be decided, though the run has not heard yet of its own step.

A worker that dies between a step's write and its answer leaves the two apart; so does a decision that comes
with the run's first task, which is how it is asked here.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from cli.embedded import EmbeddedEngines
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import RefundInput
from tests.workflows.shop import Shop, refusal, shop
from tests.workflows.test_dispute import bought, disputed, giving_in, row
from tests.workflows.test_payment_review import HIGH, decision, scored, tier
from tests.workflows.test_refund_returns import failed


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Shop]:
    async with shop(engines, database) as made:
        yield made


async def test_a_dispute_is_given_up_before_its_run_has_heard_of_its_own_record(place: Shop) -> None:
    dispute_id, handle = await disputed(place, await bought(place))
    await handle.execute_update("accept", giving_in(place, dispute_id, "usr_finance"))
    assert (await handle.result())["status"] == "lost"
    assert len(await place.effects("lost", dispute_id)) == 1


async def test_whose_dispute_it_is_is_heard_before_it_is_judged(place: Shop) -> None:
    one = await bought(place)
    dispute_id, handle = await disputed(place, one)
    own = giving_in(place, dispute_id, one.user_id)
    assert await refusal(handle.execute_update("accept", own)) == "own_case"
    assert (await row(place, dispute_id, "open"))["approvers"] == []
    await handle.execute_update("accept", giving_in(place, dispute_id, "usr_finance"))
    await handle.result()


@pytest.mark.parametrize(("action", "becomes"), [("approve", "processed"), ("reject", "rejected")])
async def test_a_refund_is_judged_before_its_run_has_heard_of_its_own_record(
    place: Shop, action: str, becomes: str
) -> None:
    refund_id = mint(Prefix.REFUND)
    given = RefundInput(
        refund_id=refund_id,
        payment_id=(await place.bought()).payment_id,
        requested_by="usr_support",
        authority="support",
        assertion_key=place.engines.settings.assertion_public_key,
    )
    start = WithStartWorkflowOperation(
        "Refund",
        given,
        id=workflow_id(Kind.REFUND, refund_id),
        task_queue=Queue.BILLING,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    await place.client.execute_update_with_start_workflow(
        action, place.decision(refund_id, action, "usr_finance"), start_workflow_operation=start
    )
    assert (await place.refund_row(refund_id, becomes))["approvers"] == ["usr_finance"]


async def test_a_returned_refund_is_paid_before_its_run_has_heard_of_its_own_record(place: Shop) -> None:
    one = await place.bought()
    refund_id, handle = await place.refund(one, "finance", "usr_finance")
    await handle.result()
    await failed(place, refund_id)
    paid = place.decision(refund_id, "paid_out", "usr_finance", utr="HDFCR52026112300000901")
    now = place.client.get_workflow_handle(workflow_id(Kind.REFUND, refund_id))
    assert (await now.execute_update("paid_out", paid))["status"] == "processed"


async def test_a_refund_that_owes_no_transfer_takes_none(place: Shop) -> None:
    refund_id, handle = await place.refund(await place.bought(), "support", "usr_support")
    paid = place.decision(refund_id, "paid_out", "usr_finance", utr="HDFCR52026112300000902")
    assert await refusal(handle.execute_update("paid_out", paid)) == "no_payout_due"
    assert (await place.refund_row(refund_id, "requested"))["utr"] is None


async def test_a_payment_is_released_before_its_run_has_heard_of_the_review(place: Shop) -> None:
    one = await place.purchase(amount=HIGH)
    await tier(place, one, "intermediate")
    await scored(place, one, "location", 90)
    handle = await place.open(one)
    brought = await place.pay(one)
    early = asyncio.create_task(handle.execute_update("release", decision(place, one, "release")))
    await asyncio.sleep(0.1)
    await place.hint(handle)
    await early
    await place.status(one, "captured")
    assert len(await place.effects("captured", brought["razorpay_payment_id"])) == 1


async def test_a_payment_that_nobody_reviews_is_not_released(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    assert await refusal(handle.execute_update("release", decision(place, one, "release"))) == "not_in_review"
    assert (await place.payment(one))["status"] == "created"
    assert (await place.confirm(handle, await place.pay(one)))["status"] == "captured"
