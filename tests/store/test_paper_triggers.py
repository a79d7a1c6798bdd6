"""The paper broker's triggers in the record: fired once whoever reads the market, and only by the market."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.errors import Rejected
from domain.exits import legs
from domain.trading import Product, Side
from store import trading_paper
from tests.store.papers import MORNING, NIGHT, Paper, paper

__all__ = ["paper"]


@pytest.mark.parametrize(("price", "limit"), [(3200, "3200"), (3000, "2970"), (2500, "2970")])
async def test_a_touched_level_fires_its_leg_once_however_many_read_it(
    paper: Paper, price: int, limit: str
) -> None:
    trigger = await paper.guard()
    readings = [paper.market(price) for _ in range(6)] + [paper.triggers.book() for _ in range(6)]
    await asyncio.gather(*readings)
    shown = (await paper.triggers.book()).value
    assert [(each.trigger_id, each.status) for each in shown] == [(trigger, "triggered")]
    fired = await paper.orders()
    assert [(row["side"], row["quantity"], row["price"]) for row in fired] == [("SELL", 10, Decimal(limit))]
    assert shown[0].fired == fired[0]["broker_order_id"]


async def test_a_level_that_was_touched_between_two_readings_of_the_account_has_fired(paper: Paper) -> None:
    await paper.guard()
    await paper.market(3201)
    await paper.market(3100)
    assert [each.status for each in (await paper.triggers.book()).value] == ["triggered"]
    fired = (await paper.orders())[0]["broker_order_id"]
    assert (await paper.broker.order(fired)).value.average_price == 3201


async def test_what_is_fired_below_its_limit_rests_until_the_market_comes_back(paper: Paper) -> None:
    await paper.guard()
    await paper.market(2900)
    fired = (await paper.orders())[0]["broker_order_id"]
    assert (await paper.order(fired)).filled_quantity == 0
    await paper.market(2990)
    assert (await paper.order(fired)).average_price == 2970


async def test_a_price_of_a_market_that_is_shut_touches_nothing(paper: Paper) -> None:
    await paper.guard()
    assert await paper.market(3300, NIGHT) == []
    assert [each.status for each in (await paper.triggers.book()).value] == ["active"]
    await paper.market(3300, MORNING + timedelta(days=1))
    assert [each.status for each in (await paper.triggers.book()).value] == ["triggered"]


async def test_what_was_taken_back_does_not_fire_and_what_fired_cannot_be_taken_back(paper: Paper) -> None:
    dropped, fired = await paper.guard(4), await paper.guard(6)
    await paper.triggers.drop(dropped)
    await paper.market(3200)
    shown = {each.trigger_id: each.status for each in (await paper.triggers.book()).value}
    assert shown == {dropped: "deleted", fired: "triggered"}
    for trigger in (dropped, fired, "0", "x"):
        with pytest.raises(Rejected):
            await paper.triggers.drop(trigger)
    assert [row["quantity"] for row in await paper.orders()] == [6]


async def test_shares_that_are_not_held_are_not_sold(paper: Paper) -> None:
    """Nor those that an open order is selling already: the trigger has fired, and its order was refused."""
    await paper.guard()
    await paper.deal(Side.SELL, 1, price=3500)
    await paper.market(3200)
    shown = (await paper.triggers.book()).value
    assert [(each.status, each.fired) for each in shown] == [("triggered", None)]
    assert await paper.orders() == []


async def test_a_closed_account_fires_nothing(paper: Paper) -> None:
    await paper.guard()
    async with paper.database.transaction() as connection:
        await connection.execute("UPDATE trading.accounts SET status = 'closed'")
    assert await paper.market(3200) == []
    assert await paper.orders() == []


async def test_a_trigger_is_refused_too_near_and_ends_after_a_year(paper: Paper) -> None:
    near = legs(Side.SELL, Decimal("3107.70"), Decimal(3000), Decimal("0.05"))
    with pytest.raises(Rejected, match="broker_refused_input"):
        await paper.triggers.place("NSE", "TCS", Product.DELIVERY, Side.SELL, 10, near, Decimal(3100))
    await paper.guard()
    await paper.market(3101, MORNING + timedelta(days=366))
    assert [each.status for each in (await paper.triggers.book()).value] == ["expired"]


async def test_its_clock_is_the_markets(paper: Paper) -> None:
    await paper.market(3101, MORNING + timedelta(hours=2))
    async with paper.database.reading() as connection:
        now = await trading_paper.now(connection)
    assert abs(now - MORNING - timedelta(hours=2)) < timedelta(minutes=2)


async def test_a_late_reading_does_not_take_the_price_back(paper: Paper) -> None:
    await paper.market(3150, MORNING + timedelta(seconds=10))
    await paper.market(3120, MORNING + timedelta(seconds=8))
    shown = (await paper.broker.quotes([("NSE", "TCS"), ("NSE", "NOBODY")])).value
    assert {name: quote.last_price for name, quote in shown.items()} == {("NSE", "TCS"): 3150}
