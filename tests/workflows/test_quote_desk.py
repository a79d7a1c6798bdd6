"""Quotes of one account's orders: one call for all who wait together, each its own answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from activities.brokers import Brokers, Session
from cli.embedded import EmbeddedEngines
from domain.errors import Rejected
from tests.workflows.traders import Floor, Trader, floor_of, working

SYMBOLS = ("INFY", "TCS", "SBIN", "RELIANCE", "HDFCBANK", "NOBODY")


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


@pytest.fixture
async def brokers(floor: Floor) -> AsyncIterator[Brokers]:
    redis = Redis.from_url(floor.settings.redis, socket_timeout=2.0)
    yield Brokers(floor.settings, floor.database, floor.vault, redis)
    await redis.aclose()


async def session_of(brokers: Brokers, trader: Trader) -> Session:
    session = await brokers.session(trader.account_id)
    assert session is not None
    return session


async def asked(floor: Floor) -> list[dict[str, Any]]:
    answer = await floor.http.get("/_control/journal", params={"target": "kite"})
    return [item for item in answer.json()["items"] if item["path"].startswith("/kite/quote")]


async def test_those_who_wait_together_share_one_call(floor: Floor, brokers: Brokers) -> None:
    session = await session_of(brokers, await floor.trader())
    before = len(await asked(floor))
    given_up = asyncio.create_task(brokers.quote(session, "NSE", "INFY"))
    others = [asyncio.create_task(brokers.quote(session, "NSE", symbol)) for symbol in SYMBOLS]
    await asyncio.sleep(0)
    given_up.cancel()
    told = await asyncio.gather(*others)
    assert [each.value.symbol if each.value else None for each in told] == [*SYMBOLS[:-1], None]
    assert len(await asked(floor)) - before == 1
    # Whoever comes after the call has left waits for the next.
    later = await brokers.quote(session, "NSE", "INFY")
    assert later.at >= told[0].at
    assert len(await asked(floor)) - before == 2
    kept = await floor.rows("SELECT symbol FROM trading.quotes WHERE broker = 'kite' AND symbol = 'HDFCBANK'")
    assert len(kept) == 1


async def test_an_ended_session_is_told_to_all_of_them(floor: Floor, brokers: Brokers) -> None:
    trader = await floor.trader()
    session = await session_of(brokers, trader)
    # Signed in anew: the broker ends the session of before.
    await floor.begin(trader.user_id, account_id=trader.account_id)
    await floor.complete(trader.account_id, trader.broker_user)
    told = await asyncio.gather(
        *(brokers.quote(session, "NSE", symbol) for symbol in SYMBOLS), return_exceptions=True
    )
    assert {each.code for each in told if isinstance(each, Rejected)} == {"session_expired"}
    assert len(told) == len([each for each in told if isinstance(each, Rejected)])
