"""Orders that a customer makes in the broker's own app: found, followed, in the book, each once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from activities.foreign_orders import adopted_id
from api.trading.postbacks import foreign_orders
from cli.embedded import EmbeddedEngines
from models.messages.trading import BrokerEvent
from temporal.events import tell
from tests.workflows.traders import Floor, Trader, eventually, floor_of, working


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


async def made_elsewhere(floor: Floor, trader: Trader, **terms: Any) -> str:
    wanted = {
        "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 7,
        "order_type": "LIMIT", "price": 1500, "product": "CNC", **terms,
    }  # fmt: skip
    answer = await floor.control("/kite/order", user_id=trader.broker_user, **wanted)
    return str(answer["order_id"])


async def hint(floor: Floor, trader: Trader) -> None:
    """As a postback of an order that none of ours is: it may come before a new session looks itself."""
    begun = foreign_orders(trader.account_id, trader.user_id)
    told = BrokerEvent(event_number=1).model_dump(mode="json")
    await tell(floor.client, begun.workflow_id, "broker_event", told, begun)


async def adopted(floor: Floor, trader: Trader) -> list[dict[str, Any]]:
    return await floor.rows(
        "SELECT * FROM trading.orders WHERE account_id = %s AND adopted", trader.account_id
    )


async def test_an_order_made_elsewhere_becomes_a_position_once(floor: Floor) -> None:
    trader = await floor.trader()
    own = await floor.place(trader)
    broker_order = await made_elsewhere(floor, trader)
    await asyncio.gather(*(hint(floor, trader) for _ in range(5)))
    order_id = adopted_id(trader.account_id, broker_order)
    await eventually(lambda: adopted(floor, trader), "the order to be taken up")
    row = await floor.reaches(order_id, "filled")
    assert (row["broker_order_id"], row["filled_quantity"], row["adopted"]) == (broker_order, 7, True)
    await floor.reaches(own["order_id"], "filled")
    assert (await floor.position(trader))["quantity"] == 17
    await hint(floor, trader)
    assert len(await adopted(floor, trader)) == 1
    trades = await floor.rows("SELECT * FROM trading.trades WHERE account_id = %s", trader.account_id)
    assert sorted(trade["order_id"] for trade in trades) == sorted([order_id, own["order_id"]])


async def test_one_that_rests_can_be_taken_back_through_us(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.market(manual=True)
    try:
        broker_order = await made_elsewhere(floor, trader)
        await hint(floor, trader)
        order_id = adopted_id(trader.account_id, broker_order)
        await eventually(lambda: adopted(floor, trader), "the order to be taken up")
        await floor.reaches(order_id, "open")
        gone = await floor.update(order_id, "cancel")
        assert gone.refused is None, gone
        await floor.reaches(order_id, "cancelled")
    finally:
        await floor.market(manual=False)


async def test_an_order_of_ours_whose_answer_is_lost_is_not_taken_for_anothers(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault("/kite/orders/regular", "timeout_after", seconds=0.3)
    placing = asyncio.create_task(floor.place(trader))
    while not placing.done():
        await hint(floor, trader)
    await floor.reaches(placing.result()["order_id"], "filled")
    assert await adopted(floor, trader) == []


async def test_what_we_do_not_trade_in_is_left_alone(floor: Floor) -> None:
    trader = await floor.trader()
    await made_elsewhere(floor, trader, product="MTF")
    await made_elsewhere(floor, trader)
    await hint(floor, trader)
    rows = await eventually(lambda: adopted(floor, trader), "the other order to be taken up")
    assert [row["product"] for row in rows] == ["CNC"]
