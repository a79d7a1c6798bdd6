"""What the record shows before its own run knows."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

HEARD_WITHIN = timedelta(seconds=2)
"""Within the time of an answer: the step is done again as soon as a worker has the run."""


async def heard(known: Callable[[], bool]) -> None:
    """Waits until `known` holds, `HEARD_WITHIN` at most; the caller judges after it.

    A step of ours writes the record before its run hears of it, and a worker may die between the two. Whoever
    decides by what the record shows must not be refused by what the run has not heard yet: a refusal stands.
    """
    if not known():
        with suppress(TimeoutError):
            await workflow.wait_condition(known, timeout=HEARD_WITHIN)
