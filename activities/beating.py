"""Provider calls, blocking ones in a thread, while the activity heartbeats."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import activity

T = TypeVar("T")

BEAT_SECONDS = 2.0


async def in_thread(call: Callable[[], T]) -> T:
    """The answer of `call`, or what it raises; a lost worker is noticed by its missing heartbeat.

    The thread has a copy of this context, so that spans and kill points know their activity. A call that is
    on its way cannot be called back: a cancelled activity ends with it, so that what it holds for the call
    (a sender's lock) is held until nothing more can leave.
    """
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await awaited(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


async def awaited(call: Awaitable[T]) -> T:
    """The answer of an asynchronous call, or what it raises; a lost worker is noticed as above."""
    running = asyncio.ensure_future(call)
    while True:
        done, _ = await asyncio.wait({running}, timeout=BEAT_SECONDS)
        if done:
            return running.result()
        activity.heartbeat()
