"""The paper broker's orders in the record: filled by the market that somebody read, ended by its clock."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

from activities.paper_day import PaperDay
from domain.market_calendar import INDIA_2026, trading_date
from domain.paper_market import phase_of
from domain.trading import BrokerStatus, OrderType, Product, Side, Variety
from models.messages.trading import Modify
from store import paper_matching
from store.database import Connection
from tests.store.papers import MORNING, Paper, paper

__all__ = ["paper"]

BEFORE_SQUARE_OFF = MORNING + timedelta(hours=5, minutes=18)
"""15:18 in Mumbai."""
SQUARED = MORNING + timedelta(hours=5, minutes=22)
EVENING = MORNING + timedelta(hours=8)
SHUT = MORNING + timedelta(hours=5, minutes=35)


async def rows(paper: Paper, product: str = "MIS") -> list[tuple[Any, ...]]:
    async with paper.database.reading() as connection:
        cursor = await connection.execute(
            """SELECT side, quantity, status, fill_price, trading_day FROM trading.paper_orders
               WHERE account_id = %s AND product = %s ORDER BY updated_at""",
            (paper.account_id, product),
        )
        return [tuple(row.values()) for row in await cursor.fetchall()]


async def test_a_limit_that_was_met_between_two_looks_at_the_account_is_filled_at_its_price(
    paper: Paper,
) -> None:
    order = await paper.deal(Side.BUY, 4, price=3050)
    assert (await paper.order(order)).status is BrokerStatus.OPEN
    told = await asyncio.gather(*[paper.market(3040) for _ in range(4)])
    assert [(row["broker_order_id"], row["status"]) for each in told for row in each] == [(order, "complete")]
    await paper.market(3100)
    seen = await paper.order(order)
    assert (seen.status, seen.filled_quantity, seen.average_price) == (BrokerStatus.COMPLETE, 4, 3050)


async def test_a_limit_beyond_the_market_is_filled_at_the_market(paper: Paper) -> None:
    assert (await paper.order(await paper.deal(Side.BUY, 4, price=3150))).average_price == 3100
    resting = await paper.deal(Side.BUY, 4, price=3050)
    await paper.broker.modify("regular", resting, Modify(price=Decimal(3200)))
    assert (await paper.order(resting)).average_price == 3100


async def test_a_stop_that_was_touched_between_two_looks_is_filled_when_its_limit_is_met(
    paper: Paper,
) -> None:
    stop = {"order_type": OrderType.STOP_LIMIT, "trigger_price": Decimal(3000)}
    order = await paper.deal(Side.SELL, 4, price=2990, **stop)
    fallen = await paper.deal(Side.SELL, 4, price=2998, **stop)
    assert (await paper.order(order)).status is BrokerStatus.TRIGGER_PENDING
    await paper.market(2995)
    await paper.market(3100)
    assert (await paper.order(order)).average_price == 2995
    # It was below the second one's limit when it was touched; that one rests until the market comes back.
    assert (await paper.order(fallen)).average_price == 2998


async def test_a_market_that_is_shut_or_of_another_day_fills_nothing(paper: Paper) -> None:
    await paper.market(3100, EVENING)
    order = await paper.deal(Side.BUY, 4, price=3200, variety=Variety.AFTER_MARKET)
    assert (await paper.order(order)).status is BrokerStatus.OPEN
    # The next morning the last price of before is known yet, and is no price of that day.
    async with paper.database.transaction() as connection:
        await connection.execute(
            """INSERT INTO trading.last_prices VALUES ('NSE', 'INFY', 1500, %s, clock_timestamp())
               ON CONFLICT (exchange, symbol) DO UPDATE SET quoted_at = excluded.quoted_at,
                   read_at = excluded.read_at""",
            (MORNING + timedelta(days=1),),
        )
    assert (await paper.order(order)).status is BrokerStatus.OPEN
    await paper.market(3140, MORNING + timedelta(days=1))
    assert (await paper.order(order)).average_price == 3140


async def test_a_days_order_lapses_when_its_exchange_closes(paper: Paper) -> None:
    order = await paper.deal(Side.BUY, 4, price=3000)
    await paper.market(3100, SHUT)
    seen = await paper.order(order)
    assert (seen.status, seen.reason_code) == (BrokerStatus.CANCELLED, "day_ended")
    await paper.market(2900, MORNING + timedelta(days=1))
    assert (await paper.order(order)).filled_quantity == 0


async def test_what_is_held_for_the_day_is_closed_once_however_many_look(paper: Paper) -> None:
    await paper.market(3100, BEFORE_SQUARE_OFF)
    await paper.deal(Side.BUY, 7, product=Product.INTRADAY)
    await paper.deal(Side.SELL, 2, product=Product.INTRADAY)
    resting = await paper.deal(Side.BUY, 9, price=3000, product=Product.INTRADAY)
    left = await paper.broker.square_off_in()
    assert left is not None
    assert timedelta() < left < timedelta(minutes=4)
    await paper.market(3120, SQUARED)
    await asyncio.gather(*[paper.broker.book() for _ in range(6)])
    bought, sold, closing = [row for row in await rows(paper) if row[2] == "complete"]
    assert {bought[:4], sold[:4]} == {("BUY", 7, "complete", 3100), ("SELL", 2, "complete", 3100)}
    assert closing[:4] == ("SELL", 5, "complete", 3120)
    ended = await paper.order(resting)
    assert (ended.status, ended.reason_code) == (BrokerStatus.CANCELLED, "square_off")
    assert await paper.broker.square_off_in() is None
    held = {(each.product, each.quantity) for each in (await day_of(paper).positions()).value}
    assert held == {("MIS", 0), ("CNC", 10)}


async def test_a_position_that_outlived_its_day_is_closed_at_the_next_look(paper: Paper) -> None:
    await paper.deal(Side.SELL, 3, product=Product.INTRADAY)
    await paper.market(3050, MORNING + timedelta(days=1))
    closing = (await paper.broker.rows_of_today()).value
    assert [(row["side"], row["filled_quantity"], row["fill_price"]) for row in closing] == [("BUY", 3, 3050)]


async def test_a_fill_that_comes_while_a_position_is_being_closed_is_not_closed_twice(paper: Paper) -> None:
    """One look has closed it and not committed; a fill comes; the next look knows of both."""
    await paper.market(3100, BEFORE_SQUARE_OFF)
    await paper.deal(Side.BUY, 5, product=Product.INTRADAY)
    await paper.market(3100, SQUARED)
    phase = phase_of(INDIA_2026, SQUARED)
    async with paper.database.transaction() as connection:
        await paper_matching.step(connection, paper_matching.scope(phase, paper.account_id))
        async with paper.database.transaction() as other:
            await filled(other, paper, 3)
        looking = asyncio.create_task(paper.broker.book())
        await asyncio.sleep(0.2)
        assert not looking.done()
    await looking
    assert sorted(row[:2] for row in await rows(paper)) == [
        *[("BUY", 3), ("BUY", 5)],
        *[("SELL", 3), ("SELL", 5)],
    ]


async def test_a_days_order_that_nobody_looked_at_has_ended_on_its_day(paper: Paper) -> None:
    order = await paper.deal(Side.BUY, 4, price=3000)
    await paper.market(3100, MORNING + timedelta(days=1))
    seen = await paper.order(order)
    assert (seen.status, seen.reason_code) == (BrokerStatus.CANCELLED, "day_ended")
    assert seen.updated_at is not None
    assert trading_date(seen.updated_at) == trading_date(MORNING)


async def test_a_position_that_is_opened_again_is_closed_again(paper: Paper) -> None:
    """As where a fill commits while the closing of what was there is under way."""
    await paper.market(3100, SQUARED)
    async with paper.database.transaction() as connection:
        await filled(connection, paper, 2)
    await paper.broker.book()
    async with paper.database.transaction() as connection:
        await connection.execute(
            """UPDATE trading.paper_orders SET filled_quantity = 4, quantity = 4
               WHERE account_id = %s AND product = 'MIS' AND side = 'BUY'""",
            (paper.account_id,),
        )
    await paper.broker.book()
    async with paper.database.reading() as connection:
        assert await paper_matching.intraday(connection, paper.account_id) == []
    assert sorted(row[:2] for row in await rows(paper)) == [("BUY", 4), ("SELL", 2), ("SELL", 2)]


async def filled(connection: Connection, paper: Paper, quantity: int) -> None:
    """An intraday purchase that was filled as the day closed."""
    await connection.execute(
        """INSERT INTO trading.paper_orders (broker_order_id, account_id, tag, trading_day, exchange, symbol,
               side, product, order_type, validity, quantity, status, filled_quantity, fill_price, updated_at)
           VALUES (%(account)s, %(account)s, %(account)s, %(day)s, 'NSE', 'TCS', 'BUY', 'MIS', 'MARKET',
               'DAY', %(quantity)s, 'complete', %(quantity)s, 3100, %(at)s)""",
        {"account": paper.account_id, "at": SQUARED, "day": SQUARED.date(), "quantity": quantity},
    )


def day_of(paper: Paper) -> PaperDay:
    return PaperDay(paper.database, paper.account_id)
