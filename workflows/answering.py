"""A process that a caller's update created stays until that caller is answered."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

CALLER_LIFE = timedelta(minutes=10)
"""A command is driven again within seconds, unless the API, the relay and the database are all away."""


async def caller_told(told: Callable[[], bool]) -> None:
    """Waits for the caller's update, and until every update has its answer.

    A server that dies forgets an update that no worker has accepted yet, and not the start that came with
    it: the run may be over before the command is driven again, and an ended run answers nobody.
    """
    if not told():
        with suppress(TimeoutError):
            await workflow.wait_condition(told, timeout=CALLER_LIFE)
    await workflow.wait_condition(workflow.all_handlers_finished)
