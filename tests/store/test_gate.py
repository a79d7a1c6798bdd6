"""The gate of an account's pace: so many calls in a window, in the order in which they were asked for."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from activities.pacing import LONGEST_WAIT_SECONDS, WINDOW_MS, Bucket, Gate
from cli.embedded import EmbeddedEngines
from domain.errors import RateLimited
from store.database import Database

WINDOW = WINDOW_MS / 1000
MOST = Bucket.READ.value[1]


@pytest.fixture
async def gate(engines: EmbeddedEngines) -> AsyncIterator[Gate]:
    client = Redis.from_url(engines.settings.redis)
    async with Database(engines.settings.postgres) as database:
        yield Gate(client, database)
    await client.aclose()


async def passing(gate: Gate, calls: list[int], apart: float = 0.01) -> list[float | None]:
    """When each went, in seconds after the first was asked for; None: it was refused."""
    account, began = f"acc_{secrets.token_hex(4)}", time.monotonic()

    async def one(number: int, count: int) -> float | None:
        await asyncio.sleep(number * apart)  # in this order
        try:
            await gate.passed(account, Bucket.READ, count)
        except RateLimited:
            return None
        return time.monotonic() - began

    return await asyncio.gather(*(one(number, count) for number, count in enumerate(calls)))


async def test_each_window_takes_so_many_and_the_first_to_ask_go_first(gate: Gate) -> None:
    went = [at for at in await passing(gate, [1] * (2 * MOST + 5)) if at is not None]
    assert len(went) == 2 * MOST + 5
    assert max(went[:MOST]) < WINDOW <= min(went[MOST : 2 * MOST])
    assert max(went[MOST : 2 * MOST]) < 2 * WINDOW <= min(went[2 * MOST :])
    for first, beyond in zip(sorted(went), sorted(went)[MOST:], strict=False):
        assert beyond - first > 1.0, "eleven within a second"
    # Nobody waits longer than the windows before it last: a place is given once, not fought for.
    assert max(went) < 2 * WINDOW + 0.5


async def test_two_calls_of_one_go_together(gate: Gate) -> None:
    went = [at for at in await passing(gate, [2] * 8) if at is not None]
    assert max(went[:5]) < WINDOW <= min(went[5:])


async def test_who_would_wait_too_long_is_refused_and_takes_no_place(gate: Gate) -> None:
    places = MOST * (int(LONGEST_WAIT_SECONDS / WINDOW) + 1)
    went = await passing(gate, [1] * (places + 5), apart=0)
    assert went.count(None) == 5
