"""A provider's blocking client, called in a thread while the activity shows that it lives."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from temporalio import activity

Answer = TypeVar("Answer")

BEAT_SECONDS = 2.0
"""Less than half of the heartbeat timeouts in `models/contracts/policies.py`."""


async def in_thread(call: Callable[[], Answer]) -> Answer:
    """The answer of a blocking call, heartbeating until it comes; raises what the call raises."""
    work = asyncio.ensure_future(asyncio.to_thread(call))
    while not work.done():
        activity.heartbeat()
        await asyncio.wait({work}, timeout=BEAT_SECONDS)
    return work.result()
