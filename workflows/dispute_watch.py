"""DisputeWatch: finds the disputes that no webhook has told of, before their time to answer runs out."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from models.contracts.policies import READ_PROVIDER
    from models.contracts.queues import Queue
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.disputes import DisputeInput, FindUntold, WatchInput
    from workflows.ports.disputes import DisputeGatewayPort
    from workflows.visible import show, working

LOOK_BACK = timedelta(days=30)
"""A bank gives a few days to answer; what is older was found by an earlier round."""


@workflow.defn(name="DisputeWatch")
class DisputeWatch:
    """`dispute-watch`. Several times a day: each dispute at the gateway that we have no record of gets its
    process, as its webhook would have started it."""

    @workflow.run
    async def run(self, given: WatchInput) -> int:
        working("reading the gateway's disputes")
        untold = await workflow.execute_activity_method(
            DisputeGatewayPort.untold,
            FindUntold(since=workflow.now() - LOOK_BACK),
            task_queue=Queue.RAZORPAY,
            summary="disputes that no webhook told of",
            **READ_PROVIDER.options(),
        )
        for dispute_id in untold.dispute_ids:
            with suppress(WorkflowAlreadyStartedError):
                await workflow.start_child_workflow(
                    "Dispute",
                    DisputeInput(dispute_id=dispute_id, assertion_key=given.assertion_key),
                    id=workflow_id(Kind.DISPUTE, dispute_id),
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    static_summary=f"Dispute {dispute_id}",
                    static_details=f"Found at the gateway; no webhook told of it. "
                    f"What it is: `GET /v1/finance/disputes/{dispute_id}`",
                )
        show(state="done")
        working(f"{len(untold.dispute_ids)} disputes found that no webhook had told of")
        return len(untold.dispute_ids)
