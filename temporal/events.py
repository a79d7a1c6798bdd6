"""An outside event on its way to its process: a signal, which starts the process where it does not run."""

from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from models.contracts.commands import Drive
from temporal.commands import TASK_TIMEOUT, attributes


async def tell(client: Client, workflow_id: str, signal: str, argument: Any, start: Drive | None) -> None:
    """Signals the process; with `start`, start and signal are one step, so that neither comes alone.

    Raises:
        RPCError: NOT_FOUND where the process does not run and `start` is None.
        WorkflowAlreadyStartedError: it ran and is over; nothing is left that the event could move.
    """
    if start is None:
        await client.get_workflow_handle(workflow_id).signal(signal, argument)
        return
    await client.start_workflow(
        start.workflow_type,
        start.start,
        id=workflow_id,
        task_queue=start.queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
        if start.rerun
        else WorkflowIDReusePolicy.REJECT_DUPLICATE,
        static_summary=start.summary,
        static_details=start.details,
        search_attributes=attributes(start),
        task_timeout=TASK_TIMEOUT,
        start_signal=signal,
        start_signal_args=[argument],
    )
