"""Breaks of a trading day on the real database: decided on figures that still hold, told twice alike, and no
day left waiting for a break that has ended."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from domain.broker_day import BreakKind, DayStatus, Difference, Resolution
from domain.errors import Rejected
from domain.trading import Side
from models.contracts.identifiers import Prefix, mint
from models.messages.broker import BrokerTrade
from store import broker_breaks, broker_days, trading_positions
from store.database import Connection, Database

FIRST, SECOND = date(2026, 11, 23), date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 11, tzinfo=UTC)
POSITION = Difference(BreakKind.POSITION_DIFFERS, "NSE/INFY/MIS", "10", "13")


@dataclass
class Book:
    connection: Connection
    account_id: str

    async def trade(self, name: str, quantity: int, day: date = FIRST) -> None:
        trade = BrokerTrade(
            trade_id=name,
            broker_order_id=name,
            exchange="NSE",
            symbol="INFY",
            product="MIS",
            side=Side.BUY,
            quantity=quantity,
            price=Decimal(1500),
            traded_at=NOW,
        )
        await trading_positions.add(self.connection, self.account_id, None, day, [trade])

    async def compared(
        self, day: date, found: list[Difference], now: datetime = NOW
    ) -> tuple[list[str], list[str]]:
        """As the comparison stores it: ids of the breaks found, and of those that agree."""
        if await broker_days.find(self.connection, self.account_id, day) is None:
            await broker_days.settle(self.connection, self.account_id, day, DayStatus.WAITING)
        breaks, agreed = await broker_breaks.take(self.connection, self.account_id, day, found, now)
        status = await broker_breaks.standing(self.connection, self.account_id, day, breaks)
        await broker_days.settle(self.connection, self.account_id, day, status)
        return [each.break_id for each in breaks], agreed

    async def decided(self, break_id: str, resolution: Resolution = Resolution.ADOPT_BROKER) -> None:
        await broker_breaks.decide(self.connection, break_id, resolution, None, "usr_staff", NOW)

    async def status(self, day: date) -> str:
        row = await broker_days.find(self.connection, self.account_id, day)
        assert row is not None
        return str(row["status"])


@pytest.fixture
async def book(database: str) -> AsyncIterator[Book]:
    """An account that bought ten, in a transaction that is never committed."""
    async with Database(database) as opened, opened.reading() as connection:
        async with connection.transaction(force_rollback=True):
            account_id = mint(Prefix.ACCOUNT)
            await connection.execute(
                """INSERT INTO trading.accounts (account_id, user_id, broker, status, made_at)
                   VALUES (%s, 'usr_test', 'kite', 'awaiting_login', %s)""",
                (account_id, NOW),
            )
            book = Book(connection, account_id)
            await book.trade("bought", 10)
            yield book


async def test_a_fill_that_came_late_is_not_booked_once_more_by_a_decision(book: Book) -> None:
    [break_id], _ = await book.compared(FIRST, [POSITION])
    await book.trade("late", 3)
    with pytest.raises(Rejected) as refused:
        await book.decided(break_id)
    assert refused.value.code == "figures_moved"
    held = await broker_days.positions(book.connection, book.account_id, FIRST)
    assert list(held.values()) == [13]


async def test_a_decision_on_figures_that_hold_sets_the_position_once(book: Book) -> None:
    [break_id], _ = await book.compared(FIRST, [POSITION])
    await book.decided(break_id)
    with pytest.raises(Rejected, match="already_resolved"):
        await book.decided(break_id)
    held = await broker_days.positions(book.connection, book.account_id, FIRST)
    assert list(held.values()) == [13]


async def test_a_comparison_that_is_repeated_names_what_it_closed_again(book: Book) -> None:
    """Its first try was committed, and the worker died before anybody heard of it."""
    [break_id], _ = await book.compared(FIRST, [POSITION])
    later = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert (await book.compared(FIRST, [], later))[1] == [break_id]
    assert (await book.compared(FIRST, [], later))[1] == [break_id]
    assert (await book.compared(FIRST, [], datetime(2026, 11, 24, 13, tzinfo=UTC)))[1] == []


async def test_a_day_whose_breaks_were_decided_may_balance_later(book: Book) -> None:
    [break_id], _ = await book.compared(FIRST, [POSITION])
    await book.compared(FIRST, [])
    assert await book.status(FIRST) == "balanced"
    await book.compared(SECOND, [POSITION])
    await book.decided(break_id)
    assert await book.status(SECOND) == "resolved"
    await book.compared(SECOND, [])
    assert await book.status(SECOND) == "balanced"


@pytest.mark.parametrize("resolution", [Resolution.ADOPT_BROKER, Resolution.ACCEPT])
async def test_a_decision_settles_every_day_that_waited_for_it(book: Book, resolution: Resolution) -> None:
    [break_id], _ = await book.compared(FIRST, [POSITION])
    assert (await book.compared(SECOND, [POSITION]))[0] == [break_id]
    assert (await book.status(FIRST), await book.status(SECOND)) == ("open", "open")
    await book.decided(break_id, resolution)
    assert (await book.status(FIRST), await book.status(SECOND)) == ("resolved", "resolved")


async def test_a_position_that_agrees_again_settles_the_earlier_day_too(book: Book) -> None:
    await book.compared(FIRST, [POSITION])
    await book.compared(SECOND, [])
    assert (await book.status(FIRST), await book.status(SECOND)) == ("balanced", "balanced")


async def test_a_day_that_waits_for_another_break_goes_on_waiting(book: Book) -> None:
    fill = Difference(BreakKind.FILL_DIFFERS, "ord_1", "9", "10")
    await book.compared(FIRST, [POSITION, fill])
    await book.compared(SECOND, [])
    assert (await book.status(FIRST), await book.status(SECOND)) == ("open", "balanced")
