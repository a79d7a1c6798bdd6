"""A broker that is down: nobody asks it, the orders wait and say so, and none is fired blindly after."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cli.embedded import EmbeddedEngines
from domain.broker_health import FAILURES_TO_OPEN, LONGEST_PAUSE, pause_after
from models.contracts.identifiers import Prefix, mint
from models.messages.trading import SignalOrigin
from store import broker_health
from tests.workflows.traders import Floor, eventually, floor_of, working


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


@pytest.fixture(autouse=True)
async def healthy(floor: Floor) -> AsyncIterator[None]:
    yield
    await floor.control("/faults/heal", target="kite")
    async with floor.database.reading() as connection:
        await broker_health.answered(connection, "kite")


async def calls(floor: Floor) -> int:
    answer = await floor.http.get("/_control/journal", params={"target": "kite"})
    return len(answer.json()["items"])


async def opened(floor: Floor) -> list[dict[str, Any]]:
    return await floor.rows("SELECT 1 FROM trading.broker_health WHERE open_until > clock_timestamp()")


def signal(entry: int) -> SignalOrigin:
    now = datetime.now(UTC)
    return SignalOrigin(
        signal_id=mint(Prefix.SIGNAL),
        entry_price=Decimal(entry),
        published_at=now - timedelta(minutes=5),
        expires_at=now + timedelta(hours=1),
    )


async def test_orders_wait_for_a_broker_that_is_down_and_are_judged_anew(floor: Floor) -> None:
    plain, acted, dropped = [await floor.trader() for _ in range(3)]
    await floor.fault("", "error_5xx", times=10_000)
    answers = await asyncio.gather(
        floor.place(plain), floor.place(acted, origin=signal(1500)), floor.place(dropped)
    )
    orders = [answer["order_id"] for answer in answers]
    await eventually(lambda: opened(floor), "the breaker to open")
    for order_id in orders:
        await eventually(lambda order=order_id: waits(floor, order), "the order to say what it waits for")
    before = await calls(floor)
    gone = await floor.update(orders[2], "cancel")
    assert gone.refused is None, gone
    await floor.reaches(orders[2], "cancelled")
    assert await calls(floor) == before, "a broker that is down was asked"
    await floor.control("/faults/heal", target="kite")
    # Meanwhile the market has gone away from the signal.
    await floor.market(price=1550)
    try:
        await floor.reaches(orders[1], "risk_rejected")
    finally:
        await floor.market(price=1500)
    assert (await floor.order(orders[1]))["reason_code"] == "signal_drifted"
    await floor.reaches(orders[0], "filled")
    assert [len(await floor.placed(order)) for order in orders] == [1, 0, 0]
    assert await floor.rows("SELECT 1 FROM trading.broker_health WHERE open_until IS NOT NULL") == []


async def waits(floor: Floor, order_id: str) -> bool:
    row = await floor.order(order_id)
    return (row["status"], row["reason_code"]) == ("queued", "broker_down")


async def test_an_order_ends_at_its_deadline_while_the_broker_is_down(floor: Floor) -> None:
    trader = await floor.trader()
    async with floor.database.reading() as connection:
        for _ in range(FAILURES_TO_OPEN):
            await broker_health.failed(connection, "kite")
        await connection.execute(
            "UPDATE trading.broker_health SET open_until = clock_timestamp() + interval '1 hour'"
        )
    soon = signal(1500).model_copy(update={"expires_at": datetime.now(UTC) + timedelta(seconds=1.5)})
    answer = await floor.place(trader, origin=soon)
    assert (answer["status"], answer["reason_code"]) == ("queued", "broker_down")
    ended = await floor.reaches(answer["order_id"], "expired")
    assert ended["reason_code"] == "broker_down"
    assert await floor.sent(trader) == []


async def test_one_caller_alone_asks_an_open_broker_again(floor: Floor) -> None:
    async with floor.database.reading() as connection:
        for _ in range(FAILURES_TO_OPEN - 1):
            await broker_health.failed(connection, "test")
        assert (await broker_health.ask(connection, "test")).wait == 0.0
        await broker_health.failed(connection, "test")
        assert 0 < (await broker_health.ask(connection, "test")).wait <= 5.0
        await _let_pass(floor)
    asked = await asyncio.gather(*(_asked(floor) for _ in range(8)))
    assert sorted(each.wait > 0 for each in asked) == [False, *[True] * 7]
    async with floor.database.reading() as connection:
        await broker_health.failed(connection, "test")
        assert 5.0 < (await broker_health.ask(connection, "test")).wait <= 10.0
        await broker_health.answered(connection, "test")
        assert await broker_health.ask(connection, "test") == broker_health.Health(ailing=False, wait=0.0)


async def _asked(floor: Floor) -> broker_health.Health:
    async with floor.database.reading() as connection:
        return await broker_health.ask(connection, "test")


async def _let_pass(floor: Floor) -> None:
    async with floor.database.reading() as connection:
        await connection.execute(
            "UPDATE trading.broker_health SET open_until = clock_timestamp() WHERE broker = 'test'"
        )


def test_the_pause_doubles_to_its_longest() -> None:
    assert [pause_after(n).total_seconds() for n in range(1, 7)] == [5, 10, 20, 40, 60, 60]
    assert pause_after(10**6) == LONGEST_PAUSE
