"""A broker made of our own rows, for a customer who wants to try: the same protocol, no money."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg_pool import PoolTimeout
from pydantic_core import to_json

from domain.errors import Rejected, TreumError
from domain.market_calendar import INDIA_2026, trading_date
from domain.paper_market import day_of, phase_of, squares_off
from domain.trading import BrokerStatus, Side
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker import BrokerOrder, BrokerTrade, Instrument, MarginAnswer
from models.messages.trading import Modify, OrderTerms
from providers.broker import Name, Quotes, Reading
from store import events, paper_matching, paper_triggers, trading_paper
from store.database import Connection, Database
from store.vault import Vault

if TYPE_CHECKING:
    from activities.market_data import QuoteBoard

LOOK_SECONDS = 2.5
"""How long an order waits for the house's look at the market."""
OPENING_CASH = Decimal(1_000_000)
"""Rupees that a paper account may order for at a time."""
TERMS = (
    *("exchange", "symbol", "side", "quantity", "order_type", "price", "trigger_price"),
    *("product", "validity"),
)


class PaperAccount:
    """`providers.broker.Broker` on Postgres. Its prices are the last that anybody's real session has read,
    and its clock is that of their market. With a `board` it has the house look where nobody has lately."""

    def __init__(self, database: Database, account_id: str, board: "QuoteBoard | None" = None) -> None:
        self._database = database
        self.account_id = account_id
        self._board = board

    async def place(self, terms: OrderTerms, tag: str) -> Reading[str]:
        async with self._database.transaction() as connection:
            now = await trading_paper.now(connection)
            day = day_of(INDIA_2026, terms.exchange, terms.variety, now)
            # A broker's id follows from the tag, so that a repeat is the same order.
            placed = await trading_paper.place(connection, self.account_id, f"PAPER{tag}", tag, terms, day)
        return Reading(placed, now)

    async def modify(self, variety: str, broker_order_id: str, change: Modify) -> Reading[str]:
        async with self._database.transaction() as connection:
            if not await trading_paper.change(
                connection, broker_order_id, terms=change.model_dump(exclude_none=True, mode="json")
            ):
                raise Rejected("broker_refused_order")
            return Reading(broker_order_id, await trading_paper.now(connection))

    async def cancel(self, variety: str, broker_order_id: str) -> Reading[str]:
        async with self._database.transaction() as connection:
            if not await trading_paper.change(connection, broker_order_id, status="cancelled", terms={}):
                raise Rejected("broker_refused_order")
            return Reading(broker_order_id, await trading_paper.now(connection))

    async def book(self) -> Reading[list[BrokerOrder]]:
        read = await self.rows_of_today()
        return Reading([_order(row) for row in read.value], read.at)

    async def rows_of_today(self) -> Reading[list[dict[str, Any]]]:
        """The present day's rows, matched."""
        await self._watch()
        async with self._database.transaction() as connection:
            now = await self._matched(connection)
            rows = await trading_paper.book(connection, self.account_id, trading_date(now))
        return Reading(rows, now)

    async def order(self, broker_order_id: str) -> Reading[BrokerOrder]:
        await self._watch()
        async with self._database.transaction() as connection:
            now = await self._matched(connection)
            row = await trading_paper.one(connection, broker_order_id)
        if row is None:
            raise Rejected("broker_refused_order")
        return Reading(_order(row), now)

    async def trades(self, broker_order_id: str) -> Reading[list[BrokerTrade]]:
        async with self._database.transaction() as connection:
            now = await self._matched(connection)
            row = await trading_paper.one(connection, broker_order_id)
        return Reading([trade_of(row)] if row and row["filled_quantity"] else [], now)

    async def quotes(self, names: Sequence[Name]) -> Reading[Quotes]:
        await self._look(names)
        async with self._database.reading() as connection:
            found = {name: await trading_paper.quote(connection, *name) for name in names}
            known = {name: quote for name, quote in found.items() if quote is not None}
            return Reading(known, await trading_paper.now(connection))

    async def _watch(self) -> None:
        """What its open orders wait for, and what the closing of the day will price: somebody has to read."""
        if self._board is not None:
            async with self._database.reading() as connection:
                waiting = await trading_paper.waiting(connection, self.account_id)
                held = await paper_matching.intraday(connection, self.account_id)
            await self._look([*waiting, *held])

    async def _look(self, names: Sequence[Name]) -> None:
        """Has the house read what nobody has lately. While nobody of the house is signed in, or others have
        its pace, the last prices are those that are known."""
        if self._board is None or not names:
            return
        async with self._database.reading() as connection:
            stale = await trading_paper.stale(connection, names)
        if not stale or not await self._board.house.is_open():
            return
        with suppress(TreumError, TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await asyncio.gather(*(self._board.price(name) for name in stale))

    async def margin(self, terms: OrderTerms) -> Reading[MarginAnswer]:
        name = terms.exchange, terms.symbol
        quoted = await self.quotes([name])
        last = quoted.value[name].last_price if name in quoted.value else Decimal(0)
        required = (terms.price or last) * terms.quantity if terms.side is Side.BUY else Decimal(0)
        return Reading(MarginAnswer(required=required, available=OPENING_CASH), quoted.at)

    async def instruments(self) -> Reading[list[Instrument]]:
        async with self._database.reading() as connection:
            rows = await trading_paper.instruments(connection)
            now = await trading_paper.now(connection)
        if rows or self._board is None:
            return Reading(rows, now)
        # Nobody has traded yet: the house has the list.
        with suppress(Rejected):
            return await self._board.house.instruments()
        return Reading([], now)

    async def square_off_in(self) -> timedelta | None:
        """How long until the broker closes what the account holds for the day; None where that is nothing."""
        async with self._database.transaction() as connection:
            now = await self._matched(connection)
            held = await paper_matching.intraday(connection, self.account_id)
        due = [squares_off(INDIA_2026, exchange, trading_date(now)) - now for exchange, _ in held]
        return max(min(due), timedelta(seconds=1)) if due else None

    async def _matched(self, connection: Connection) -> datetime:
        now = await trading_paper.now(connection)
        phase = phase_of(INDIA_2026, now)
        await paper_triggers.fire(connection, self.account_id, phase)
        await paper_matching.step(connection, paper_matching.scope(phase, self.account_id))
        return now


async def heard(
    database: Database, vault: Vault, prices: Mapping[tuple[Any, str], Decimal], at: datetime
) -> None:
    """The real market's prices, as anybody's session has read them, are the paper broker's too. Who read them
    is not held up by a note that could not be written: the next reading brings it."""
    with suppress(psycopg.Error, PoolTimeout):
        async with database.transaction() as connection:
            for moved in await paper_triggers.note(connection, prices, at, phase_of(INDIA_2026, at)):
                if moved["order_id"] is not None:
                    await _post_back(connection, vault, moved)


async def _post_back(connection: Connection, vault: Vault, moved: dict[str, Any]) -> None:
    """As a broker does: the relay tells its order to look. What triggers fire is found by their exits."""
    await events.receive(
        connection,
        vault,
        source="paper",
        event_id=f"{moved['broker_order_id']}|{moved['status']}",
        raw=to_json(moved),
        workflow_id=workflow_id(Kind.ORDER, moved["order_id"]),
        signal="broker_event",
        argument={"event_number": 0},
        now=datetime.now(UTC),
        grace=timedelta(0),
    )


def _order(row: dict[str, Any]) -> BrokerOrder:
    waiting = row["trigger_price"] is not None and not row["triggered"] and row["status"] == "open"
    return BrokerOrder(
        broker_order_id=row["broker_order_id"],
        status=BrokerStatus.TRIGGER_PENDING if waiting else BrokerStatus(row["status"]),
        tag=row["tag"],
        quantity=row["quantity"],
        filled_quantity=row["filled_quantity"],
        average_price=row["fill_price"] if row["filled_quantity"] else Decimal(0),
        reason_code=row["reason_code"],
        updated_at=row["updated_at"],
        terms=OrderTerms.model_validate({name: row[name] for name in TERMS}),
    )


def trade_of(row: dict[str, Any]) -> BrokerTrade:
    return BrokerTrade(
        trade_id=row["tag"],
        broker_order_id=row["broker_order_id"],
        exchange=row["exchange"],
        symbol=row["symbol"],
        product=row["product"],
        side=row["side"],
        quantity=row["filled_quantity"],
        price=row["fill_price"],
        traded_at=row["updated_at"],
    )
