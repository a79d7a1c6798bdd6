"""A quick read inside the workflow task, and patience where it gave no answer: six events fewer a read."""

from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from models.contracts.policies import GLANCE, Step
    from models.contracts.queues import Queue


async def glanced(
    read: Callable[[Any, Any], Any], what: Any, patience: Step, summary: str, queue: Queue | None = None
) -> Any:
    """What `read` answers, a provider's read that the process's own worker serves too: a glance answers
    nearly always; a provider that is slow or away is asked with `patience`, on `queue`.

    Raises:
        ActivityError: no answer within `patience`, or cancelled.
    """
    try:
        return await workflow.execute_local_activity_method(read, what, **GLANCE.local())
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
    return await workflow.execute_activity_method(
        read, what, task_queue=queue, summary=summary, **patience.options()
    )
