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

MOST = Bucket.READ.value[1]


@pytest.fixture
async def client(engines: EmbeddedEngines) -> AsyncIterator[Redis]:
    client = Redis.from_url(engines.settings.redis)
    yield client
    await client.aclose()


@pytest.fixture
async def gate(engines: EmbeddedEngines, client: Redis) -> AsyncIterator[Gate]:
    async with Database(engines.settings.postgres) as database:
        yield Gate(client, database)


async def passing(gate: Gate, client: Redis, calls: list[int]) -> list[float]:
    """The places that were given to those who asked at once, in milliseconds after the first place. Nobody
    went before the place that was given; who was refused has none."""
    account, began = f"acc_{secrets.token_hex(4)}", time.monotonic()

    async def one(count: int) -> float:
        await gate.passed(account, Bucket.READ, count)
        return time.monotonic() - began

    asking = asyncio.gather(*(one(count) for count in calls), return_exceptions=True)
    await asyncio.sleep(0.5)  # all have asked by then, and none has been forgotten
    given = await client.zrange(f"pace:{Bucket.READ.value[0]}:{account}", 0, -1, withscores=True)
    places = [place - given[0][1] for _, place in given]
    answers = await asking
    refused = [each for each in answers if isinstance(each, BaseException)]
    assert all(isinstance(each, RateLimited) for each in refused), refused
    went = sorted(each for each in answers if not isinstance(each, BaseException))
    firsts = places[:: calls[0]]
    assert all(at * 1000 > place - 2 for at, place in zip(went, firsts, strict=True))
    return places


def apart(places: list[float]) -> float:
    """The least time between a call and the one that is one too many for a window with it."""
    return min(beyond - first for first, beyond in zip(places, places[MOST:], strict=False))


async def test_each_window_takes_so_many_and_a_place_is_given_once(gate: Gate, client: Redis) -> None:
    places = await passing(gate, client, [1] * (2 * MOST + 5))
    assert len(places) == 2 * MOST + 5
    assert apart(places) >= WINDOW_MS
    # Nobody waits for more than the windows of those before.
    assert places[-1] < 2 * WINDOW_MS + 500


async def test_two_calls_of_one_have_two_places_at_once(gate: Gate, client: Redis) -> None:
    places = await passing(gate, client, [2] * 8)
    assert places[::2] == places[1::2]
    assert (len(places), apart(places) >= WINDOW_MS) == (16, True)


async def test_who_would_wait_too_long_is_refused_and_takes_no_place(gate: Gate, client: Redis) -> None:
    most = MOST * (int(LONGEST_WAIT_SECONDS * 1000 / WINDOW_MS) + 1)
    places = await passing(gate, client, [1] * (2 * most))
    assert most <= len(places) < 2 * most
    assert places[-1] < LONGEST_WAIT_SECONDS * 1000 + 500
