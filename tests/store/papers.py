"""A paper account on a market that says what it is told, in the record alone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities.paper import PaperAccount
from activities.paper_triggers import PaperTriggers
from domain.exits import legs
from domain.market_calendar import INDIA_2026
from domain.paper_market import phase_of
from domain.trading import OrderType, Product, Side
from models.messages.broker import BrokerOrder
from models.messages.trading import OrderTerms
from store import paper_triggers
from store.database import Database

MORNING = datetime(2026, 11, 25, 4, 30, tzinfo=UTC)
"""10:00 of a trading day in Mumbai."""
NIGHT = MORNING + timedelta(hours=14)
PAIR = legs(Side.SELL, Decimal(3200), Decimal(3000), Decimal("0.05"))


class Paper:
    """A paper account that holds ten TCS, on a market that says what it is told."""

    def __init__(self, database: Database, account_id: str) -> None:
        self.database, self.account_id = database, account_id
        self.broker = PaperAccount(database, account_id)
        self.triggers = PaperTriggers(database, self.broker)

    async def open(self) -> None:
        async with self.database.transaction() as connection:
            # What another test heard, at another hour.
            await connection.execute("DELETE FROM trading.last_prices")
            await connection.execute(
                """INSERT INTO trading.accounts (account_id, user_id, broker, status, made_at)
                   VALUES (%s, 'usr_paper', 'paper', 'connected', now())""",
                (self.account_id,),
            )
        await self.market(3100)
        await self.deal(Side.BUY, 10)

    async def market(self, price: float, at: datetime = MORNING) -> list[dict[str, Any]]:
        async with self.database.transaction() as connection:
            prices = {("NSE", "TCS"): Decimal(str(price))}
            return await paper_triggers.note(connection, prices, at, phase_of(INDIA_2026, at))

    async def deal(self, side: Side, quantity: int, price: int | None = None, **more: Any) -> str:
        """The order's id at the broker."""
        terms = OrderTerms(
            **{
                **{"exchange": "NSE", "symbol": "TCS", "side": side, "quantity": quantity},
                **{"order_type": OrderType.LIMIT if price else OrderType.MARKET, "price": price},
                **{"product": Product.DELIVERY, **more},
            }
        )
        tag = f"T{len((await self.broker.book()).value)}{self.account_id[-12:]}"
        placed = await self.broker.place(terms, tag)
        await self.broker.book()  # what finds its price is filled when somebody looks
        return placed.value

    async def order(self, broker_order_id: str) -> BrokerOrder:
        return (await self.broker.order(broker_order_id)).value

    async def guard(self, quantity: int = 10) -> str:
        placed = await self.triggers.place(
            "NSE", "TCS", Product.DELIVERY, Side.SELL, quantity, PAIR, Decimal(3100)
        )
        return placed.value

    async def orders(self) -> list[dict[str, Any]]:
        """What triggers have fired."""
        async with self.database.reading() as connection:
            cursor = await connection.execute(
                "SELECT * FROM trading.paper_orders WHERE account_id = %s AND tag LIKE 'GTT%%' ORDER BY tag",
                (self.account_id,),
            )
            return await cursor.fetchall()


@pytest.fixture
async def paper(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Paper]:
    async with Database(database, max_size=8) as opened:
        made = Paper(opened, f"acc_{abs(hash(request.node.name)):020d}")
        await made.open()
        yield made
        async with opened.transaction() as connection:
            await connection.execute("UPDATE trading.accounts SET status = 'closed'")
