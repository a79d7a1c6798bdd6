"""Quotes one a second, history three a second, of two workers together, while Redis and Postgres die."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg_pool import PoolTimeout
from redis.asyncio import Redis

from activities.brokers import Brokers
from activities.pacing import Bucket
from cli.embedded import EmbeddedEngines
from domain.errors import RateLimited
from domain.signals import Timeframe
from providers.candles import HouseMarket
from store import trading_accounts
from tests.workflows.traders import Floor, Trader, floor_of, working

pytestmark = pytest.mark.campaign
"""It kills engines that other modules of its worker share."""

SPAN = timedelta(minutes=30)
TOKEN = 408065
"""INFY's."""
CALLERS = 3
"""Of each worker, so that somebody always waits for the next turn."""


class Worker:
    """What one worker process asks a broker with: a Redis client and a memory of its own."""

    def __init__(self, floor: Floor, trader: Trader) -> None:
        self.redis = Redis.from_url(floor.settings.redis, socket_timeout=2.0, socket_connect_timeout=2.0)
        self.brokers = Brokers(floor.settings, floor.database, floor.vault, self.redis)
        self._floor, self._account_id = floor, trader.account_id

    async def quote(self) -> None:
        session = await self.brokers.session(self._account_id)
        assert session is not None
        await self.brokers.quote(session, "NSE", "INFY")

    async def history(self) -> None:
        async with self._floor.database.reading() as connection:
            account = await trading_accounts.account_of(connection, self._account_id)
            assert account is not None
            token = await trading_accounts.token_of(connection, self._floor.vault, account)
        market = HouseMarket(self.brokers.kite, token or "")
        now = datetime.fromisoformat("2026-11-23T10:00:00+05:30")
        async with self.brokers.gate.turn(self._account_id, Bucket.HISTORY):
            await market.candles(TOKEN, Timeframe.M1, now - SPAN, now)


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor:
        yield floor


@pytest.fixture(scope="module")
async def trader(floor: Floor, engines: EmbeddedEngines) -> Trader:
    async with working(engines):
        return await floor.trader()


async def asked(floor: Floor, path: str) -> list[dict[str, Any]]:
    answer = await floor.http.get("/_control/journal", params={"target": "kite"})
    return [item for item in answer.json()["items"] if item["path"].startswith(path)]


@pytest.mark.parametrize(
    ("kind", "path", "most"),
    [("quote", "/kite/quote", 1), ("history", "/kite/instruments/historical", 3)],
)
async def test_no_second_of_the_brokers_clock_has_too_many(
    floor: Floor, engines: EmbeddedEngines, trader: Trader, kind: str, path: str, most: int
) -> None:
    workers = [Worker(floor, trader), Worker(floor, trader)]
    before = len(await asked(floor, path))
    wanted = before + 4 * most

    async def keep_asking(ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            with suppress(RateLimited, psycopg.Error, PoolTimeout):
                await ask()

    going = [
        asyncio.create_task(keep_asking(getattr(worker, kind))) for worker in workers for _ in range(CALLERS)
    ]
    try:
        async with asyncio.timeout(60):
            await enough(floor, path, before + most)
            engines.kill("redis")
            await enough(floor, path, before + 2 * most)
            engines.kill("postgres")
            await enough(floor, path, wanted)
    finally:
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        for worker in workers:
            await worker.redis.aclose()
    calls = (await asked(floor, path))[before:]
    assert {call["status"] for call in calls} == {200}, "the broker had to refuse one"
    seconds = Counter(datetime.fromisoformat(call["at"]).replace(microsecond=0) for call in calls)
    assert max(seconds.values()) <= most, seconds


async def enough(floor: Floor, path: str, number: int) -> None:
    while len(await asked(floor, path)) < number:
        await asyncio.sleep(0.05)
