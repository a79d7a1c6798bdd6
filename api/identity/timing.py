"""Answers that must not tell by their time whether an account exists."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FLOOR_SECONDS = 0.15
"""More than either path takes on an idle machine: a few statements, and one password hash."""


@asynccontextmanager
async def same_time(seconds: float = FLOOR_SECONDS) -> AsyncIterator[None]:
    """Leaves no sooner than `seconds` after it was entered, whatever was done or raised inside."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        yield
    finally:
        await asyncio.sleep(max(0.0, end - loop.time()))
