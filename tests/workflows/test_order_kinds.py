"""After-market and immediate orders, the last modification, and the broker's own square-off."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from cli.embedded import EmbeddedEngines
from models.messages.trading import BrokerEvent
from tests.workflows.traders import Floor, eventually, floor_of, working

EVENING = "2026-11-23T18:00:00+05:30"


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


@pytest.fixture(autouse=True)
async def morning(floor: Floor) -> AsyncIterator[None]:
    yield
    await floor.clock()
    await floor.market("RELIANCE", price=1400, manual=False)


async def test_an_after_market_order_rests_at_the_broker_and_can_be_taken_back(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.clock(EVENING)
    answer = await floor.place(trader, symbol="RELIANCE", price=Decimal(1400), quantity=1, variety="amo")
    row = await floor.reaches(answer["order_id"], "open")
    placed = await floor.placed(answer["order_id"])
    assert [call["path"] for call in placed] == ["/kite/orders/amo"]
    gone = await floor.update(answer["order_id"], "cancel")
    assert gone.refused is None, gone
    assert (await floor.reaches(answer["order_id"], "cancelled"))["filled_quantity"] == row["filled_quantity"]


async def test_an_immediate_order_that_finds_nobody_is_over_at_once(floor: Floor) -> None:
    trader = await floor.trader()
    answer = await floor.place(
        trader, symbol="RELIANCE", price=Decimal(1390), quantity=1, validity="IOC", product="MIS"
    )
    ended = await floor.reaches(answer["order_id"], "cancelled", "filled", "expired")
    assert (ended["status"], ended["filled_quantity"]) == ("cancelled", 0)


async def test_the_broker_takes_no_26th_modification_and_is_not_asked(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.market("RELIANCE", manual=True)
    answer = await floor.place(trader, symbol="RELIANCE", price=Decimal(1390), quantity=1)
    await floor.reaches(answer["order_id"], "open")
    async with floor.database.transaction() as connection:
        await connection.execute(
            "UPDATE trading.orders SET modifications = 24 WHERE order_id = %s", (answer["order_id"],)
        )
    last = await floor.update(answer["order_id"], "modify", price="1391")
    assert last.refused is None, last
    one_more = await floor.update(answer["order_id"], "modify", price="1392")
    assert one_more.refused == "modifications_spent"
    assert (await floor.order(answer["order_id"]))["price"] == 1391


async def test_the_brokers_own_square_off_is_taken_up_and_closes_the_position(floor: Floor) -> None:
    trader = await floor.trader()
    answer = await floor.place(trader, symbol="RELIANCE", price=Decimal(1400), quantity=3, product="MIS")
    await floor.reaches(answer["order_id"], "filled")
    await floor.clock("2026-11-23T15:20:30+05:30")
    handle = floor.client.get_workflow_handle(f"foreign-orders:{trader.account_id}")

    async def flat() -> bool:
        await handle.signal("broker_event", BrokerEvent(event_number=1))
        return (await floor.position(trader))["quantity"] == 0

    await eventually(flat, "the broker's closing order to be in the position")
    adopted = await floor.rows(
        "SELECT side, quantity, status FROM trading.orders WHERE account_id = %s AND adopted",
        trader.account_id,
    )
    assert [tuple(row.values()) for row in adopted] == [("SELL", 3, "filled")]
