"""Two strategies on one account, in two workers, Redis dying between: never above the broker's limits."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from cli.embedded import EmbeddedEngines
from tests.workflows.traders import Floor, Trader, floor_of, working

pytestmark = pytest.mark.campaign

PER_SECOND = 10
ORDERS = 14
"""Of each strategy: together more than two seconds of what the account may send."""


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines), working(engines):
        yield floor


async def strategy(floor: Floor, trader: Trader) -> list[dict[str, Any]]:
    return await asyncio.gather(*(floor.place(trader, quantity=1) for _ in range(ORDERS)))


def by_second(calls: list[dict[str, Any]]) -> Counter[str]:
    """Calls in each calendar second of the sandbox's clock."""
    return Counter(datetime.fromisoformat(call["at"]).replace(microsecond=0).isoformat() for call in calls)


async def test_two_strategies_on_one_account_keep_the_brokers_pace(
    floor: Floor, engines: EmbeddedEngines
) -> None:
    trader = await floor.trader()
    begun = [asyncio.create_task(strategy(floor, trader)) for _ in range(2)]
    while not await floor.sent(trader):
        await asyncio.sleep(0.02)
    engines.kill("redis")
    answers = [answer for each in begun for answer in await each]
    for answer in answers:
        await floor.reaches(answer["order_id"], "filled")
    calls = await floor.sent(trader)
    assert len(calls) == 2 * ORDERS
    assert {call["status"] for call in calls} == {200}, "the broker had to refuse one"
    assert max(by_second(calls).values()) <= PER_SECOND, by_second(calls)
    assert (await floor.position(trader))["quantity"] == 2 * ORDERS


async def test_quotes_are_asked_once_a_second(floor: Floor) -> None:
    """Those who wait for the same second share a call; whoever comes later has the next one."""
    trader = await floor.trader()
    prices = {"INFY": 1500, "TCS": 3100, "HDFCBANK": 1000}
    before = len(await quotes(floor))
    for _ in range(2):
        async with floor.database.transaction() as connection:
            await connection.execute("DELETE FROM trading.quotes")
        answers = await asyncio.gather(
            *(floor.place(trader, symbol=name, quantity=1, price=price) for name, price in prices.items())
        )
        for answer in answers:
            await floor.reaches(answer["order_id"], "filled")
    asked = (await quotes(floor))[before:]
    assert all(sum(name in call["path"] for call in asked) >= 2 for name in prices), asked
    assert {call["status"] for call in asked} == {200}
    assert max(by_second(asked).values()) == 1, by_second(asked)


async def quotes(floor: Floor) -> list[dict[str, Any]]:
    answer = await floor.http.get("/_control/journal", params={"target": "kite"})
    return [item for item in answer.json()["items"] if item["path"].startswith("/kite/quote?")]
