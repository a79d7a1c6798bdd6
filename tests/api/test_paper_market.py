"""The paper broker's market where no customer is connected: the house looks for it, once it has signed in."""

import secrets
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from activities.brokers import Brokers, Session
from cli.embedded import EmbeddedEngines
from domain.trading import BrokerStatus, Exchange, OrderType, Product, Side
from models.messages.trading import OrderTerms
from tests.api.conftest import Api
from tests.api.newsroom import TRADING_MORNING, Newsroom, newsroom, paper_account

NSE = Exchange.NSE


@pytest.fixture(scope="module")
async def room(engines: EmbeddedEngines, api: Api) -> AsyncIterator[Newsroom]:
    async with newsroom(engines, api) as made:
        yield made


@pytest.fixture
async def session(room: Newsroom) -> Session:
    """A paper account on a platform that has heard nothing of the market."""
    for told in ("trading.last_prices", "trading.quotes", "trading.instruments"):
        await room.rows(f"DELETE FROM {told} RETURNING exchange")
    await room.rows("UPDATE signals.market_sessions SET ended_at = now() RETURNING session_id")
    parts = room.parts
    brokers = Brokers(parts.settings, parts.database, parts.vault, parts.redis)
    found = await brokers.session(await paper_account(room, await room.customer()))
    assert found is not None
    return found


async def test_the_house_reads_what_nobody_else_has(room: Newsroom, session: Session) -> None:
    assert (await room.sign_in_house()).status_code == 201
    await room.control("/kite/market", symbol="RELIANCE", price=1412.5, manual=False)
    told = (await session.broker.quotes([(NSE, "RELIANCE"), (NSE, "TCS"), (NSE, "NOBODY")])).value
    assert told.keys() == {(NSE, "RELIANCE"), (NSE, "TCS")}
    assert told[NSE, "RELIANCE"].last_price == Decimal("1412.5")
    listed = (await session.broker.instruments()).value
    assert {"RELIANCE", "TCS"} <= {each.symbol for each in listed}
    # What was read a moment ago is not read again.
    await room.control("/kite/market", symbol="RELIANCE", price=1420, manual=False)
    told = (await session.broker.quotes([(NSE, "RELIANCE")])).value
    assert told[NSE, "RELIANCE"].last_price == Decimal("1412.5")
    await room.control("/kite/market", symbol="RELIANCE", price=1400, manual=False)


async def test_the_house_watches_what_an_order_waits_for(room: Newsroom, session: Session) -> None:
    assert (await room.sign_in_house()).status_code == 201
    await room.control("/kite/market", symbol="RELIANCE", price=1400, manual=False)
    await session.broker.quotes([(NSE, "RELIANCE")])
    terms = OrderTerms(
        exchange=NSE, symbol="RELIANCE", side=Side.BUY, quantity=2, order_type=OrderType.LIMIT,
        price=Decimal(1390), product=Product.DELIVERY,
    )  # fmt: skip
    placed = (await session.broker.place(terms, f"T{secrets.token_hex(8)}")).value
    assert (await session.broker.order(placed)).value.filled_quantity == 0
    await room.control("/kite/market", symbol="RELIANCE", price=1385, manual=False)
    await room.rows("UPDATE trading.last_prices SET read_at = read_at - interval '6 s' RETURNING symbol")
    assert (await session.broker.order(placed)).value.average_price == 1390
    await room.control("/kite/market", symbol="RELIANCE", price=1400, manual=False)


async def test_what_is_held_for_the_day_is_closed_at_a_price_of_that_moment(
    room: Newsroom, session: Session
) -> None:
    await room.control("/clock", now="2026-11-23T15:18:30+05:30", run=True)
    assert (await room.sign_in_house()).status_code == 201
    await room.control("/kite/market", symbol="RELIANCE", price=1400, manual=False)
    await session.broker.quotes([(NSE, "RELIANCE")])
    terms = OrderTerms(
        exchange=NSE, symbol="RELIANCE", side=Side.BUY, quantity=2, order_type=OrderType.MARKET,
        product=Product.INTRADAY,
    )  # fmt: skip
    await session.broker.place(terms, f"T{secrets.token_hex(8)}")
    assert [each.status for each in (await session.broker.book()).value] == [BrokerStatus.COMPLETE]
    await room.control("/kite/market", symbol="RELIANCE", price=1407, manual=False)
    await room.control("/clock", now="2026-11-23T15:22:00+05:30", run=True)
    await room.rows("UPDATE trading.last_prices SET read_at = read_at - interval '6 s' RETURNING symbol")
    traded = {
        each.terms.side: each.average_price for each in (await session.broker.book()).value if each.terms
    }
    assert traded == {Side.BUY: 1400, Side.SELL: 1407}
    await room.control("/clock", now=TRADING_MORNING, run=True)
    await room.control("/kite/market", symbol="RELIANCE", price=1400, manual=False)


async def test_while_nobody_is_signed_in_there_is_no_market(session: Session) -> None:
    assert (await session.broker.quotes([(NSE, "RELIANCE")])).value == {}
    assert (await session.broker.instruments()).value == []
