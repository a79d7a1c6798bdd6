"""An account's trading day held against the broker's book; what it brought is kept beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from activities.brokers import Brokers, Session, beating
from activities.day_books import DayBooks, hint
from activities.pacing import Bucket
from domain.broker_day import (
    BreakKind,
    DayStatus,
    Difference,
    Execution,
    Place,
    TheirOrder,
    Theirs,
    by_order,
    differences,
)
from domain.errors import Rejected
from domain.market_calendar import INDIA_2026, trading_date
from models.messages.broker import BrokerTrade
from models.messages.broker_days import (
    Charge,
    CompareDay,
    DayBreakView,
    DayCompared,
    DayOrder,
    DayPosition,
    DecideDayBreak,
    Due,
    DueAccounts,
    Executed,
    Holding,
)
from store import broker_breaks, broker_days
from store.broker_days import Shown
from store.database import Connection, Database
from store.vault import Vault
from workflows.ports.broker_days import BrokerDayPort

NO_SESSION = "no_session"
DAY_OVER = "day_over"


@dataclass(frozen=True)
class Read:
    """One reading of the broker's day; `at`: the broker's time of it."""

    orders: list[DayOrder]
    trades: list[BrokerTrade]
    positions: list[DayPosition]
    holdings: list[Holding]
    at: datetime

    def theirs(self) -> Theirs:
        return Theirs(
            tuple(
                TheirOrder(each.broker_order_id, each.status, each.filled_quantity, each.tag)
                for each in self.orders
            ),
            tuple(execution(trade) for trade in self.trades),
            {Place(each.exchange, each.symbol, each.product): each.quantity for each in self.positions},
        )

    def executed(self) -> list[Executed]:
        """What was really traded, an order each: what its charges are calculated on."""
        orders = {order.broker_order_id: order for order in self.orders}
        traded = by_order(execution(trade) for trade in self.trades)
        return [
            Executed(
                **orders[name].model_dump(include=set(Executed.model_fields) - {"quantity", "average_price"}),
                quantity=quantity,
                average_price=average,
            )
            for name, (quantity, average) in sorted(traded.items())
            if name in orders
        ]


class BrokerDayActivities(BrokerDayPort):
    """`workflows.ports.broker_days.BrokerDayPort`. Everything here is safe to repeat."""

    def __init__(self, database: Database, vault: Vault, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers
        self._books = DayBooks(database, vault, brokers)

    @activity.defn(name="trading.days_due")
    async def days_due(self, command: DueAccounts) -> Due:
        async with self._database.reading() as connection:
            return Due(accounts=await broker_days.due(connection, command.day, command.after, command.limit))

    @activity.defn(name="trading.compare_day")
    async def compare_day(self, command: CompareDay) -> DayCompared:
        """Reads the day's book and compares; differences become breaks where the look is the final one.

        Raises Unavailable, RateLimited: the server tries again.
        """
        async with beating():
            if command.give_up:
                return await self._unread(command)
            session = await self._brokers.session(command.account_id)
            if session is None:
                return await self._waits(command)
            try:
                read = await self._read(session)
            except Rejected as refused:
                if refused.code != "session_expired":
                    raise
                await self._brokers.lost(session)
                return await self._waits(command)
            if trading_date(read.at) != command.day:
                return self._not_read(command, DAY_OVER)
            return await self._compare(command, session, read)

    @activity.defn(name="trading.decide_break")
    async def decide_break(self, command: DecideDayBreak) -> DayBreakView:
        async with self._database.transaction() as connection:
            row = await broker_breaks.decide(
                connection,
                command.break_id,
                command.resolution,
                command.note_id,
                command.subject,
                command.as_of,
            )
        return DayBreakView(
            break_id=row["break_id"],
            status=row["status"],
            resolution=row["resolution"],
            version=row["version"],
        )

    async def _read(self, session: Session) -> Read:
        day = await self._books.of(session)
        orders = await self._brokers.call(session, Bucket.READ, day.orders())
        trades = await self._brokers.call(session, Bucket.READ, day.day_trades())
        positions = await self._brokers.call(session, Bucket.READ, day.positions())
        holdings = await self._brokers.call(session, Bucket.READ, day.holdings())
        return Read(orders.value, trades.value, positions.value, holdings.value, holdings.at)

    async def _compare(self, command: CompareDay, session: Session, read: Read) -> DayCompared:
        shown = Shown(read.positions, read.holdings, await self._charged(session, read.executed()), read.at)
        account, day = command.account_id, command.day
        async with self._database.transaction() as connection:
            await broker_days.lock(connection, account)
            found, elsewhere = await self._differences(connection, command, read)
            figures = {
                "orders": len(read.orders),
                "trades": len(read.trades),
                "elsewhere": elsewhere,
                "positions": len(read.positions),
            }
            compared = DayCompared(account_id=account, day=day, differences=len(found), **figures)
            if (found or elsewhere) and not command.final:
                # What the customer did elsewhere is followed as orders of ours where we trade in such.
                await hint(session)
                return compared
            if await broker_days.find(connection, account, day) is None:
                await broker_days.settle(connection, account, day, DayStatus.WAITING)
            breaks, agreed = await broker_breaks.take(connection, account, day, found, command.as_of)
            status = await broker_breaks.standing(connection, account, day, breaks)
            version = await broker_days.settle(connection, account, day, status, **figures, read_at=read.at)
            await broker_days.keep(connection, account, day, shown)
        told = {"status": status, "breaks": breaks, "agreed": agreed, "version": version}
        return compared.model_copy(update=told)

    async def _charged(self, session: Session, executed: list[Executed]) -> list[tuple[Executed, Charge]]:
        if not executed:
            return []
        day = await self._books.of(session)
        charges = await self._brokers.call(session, Bucket.READ, day.charges(executed))
        return list(zip(executed, charges.value, strict=True))

    async def _differences(
        self, connection: Connection, command: CompareDay, read: Read
    ) -> tuple[Sequence[Difference], int]:
        """What is left when the customer's own doings at the broker have been taken over, and how many they
        were."""
        account, day, theirs = command.account_id, command.day, read.theirs()
        shown = [order.broker_order_id for order in theirs.orders]
        tags = [order.tag for order in theirs.orders if order.tag]
        await broker_days.open_with(connection, account, day, read.positions)
        foreign = theirs.elsewhere(await broker_days.ours(connection, account, day, shown, tags))
        if command.final:
            followed = {order.broker_order_id for order in read.orders if order.followed}
            names = {
                (trade.exchange, trade.trade_id) for trade in foreign if trade.broker_order_id not in followed
            }
            taken = [trade for trade in read.trades if (trade.exchange, trade.trade_id) in names]
            await broker_days.take_over(connection, account, day, taken)
        ours = await broker_days.ours(connection, account, day, shown, tags)
        return differences(ours, theirs), len(foreign)

    async def _waits(self, command: CompareDay) -> DayCompared:
        async with self._database.transaction() as connection:
            await broker_days.lock(connection, command.account_id)
            if await broker_days.find(connection, command.account_id, command.day) is None:
                await broker_days.settle(connection, command.account_id, command.day, DayStatus.WAITING)
        return self._not_read(command, NO_SESSION)

    async def _unread(self, command: CompareDay) -> DayCompared:
        """Nobody signed in while the broker still showed the day: a person looks at its contract note."""
        async with self._database.transaction() as connection:
            account, day = command.account_id, command.day
            await broker_days.lock(connection, account)
            row = await broker_days.find(connection, account, day)
            if row is not None and row["status"] != DayStatus.WAITING:
                return DayCompared(account_id=account, day=day, status=row["status"], version=row["version"])
            unread = []
            matters = INDIA_2026.is_trading_day(day) and await broker_days.matters(connection, account, day)
            if row is None and not matters:
                # Asked for by hand: a day of which nothing is left to be read, and of which we have nothing.
                return self._not_read(command, DAY_OVER)
            if matters:
                unread.append(Difference(BreakKind.DAY_UNREAD, day.isoformat(), "unread", "unread"))
            version = await broker_days.settle(connection, account, day, DayStatus.UNREAD)
            breaks = await broker_breaks.open_each(connection, account, day, unread, command.as_of)
        return DayCompared(
            account_id=account,
            day=day,
            status=DayStatus.UNREAD,
            breaks=breaks,
            differences=len(breaks),
            version=version,
        )

    def _not_read(self, command: CompareDay, reason: str) -> DayCompared:
        return DayCompared(account_id=command.account_id, day=command.day, reason_code=reason)


def execution(trade: BrokerTrade) -> Execution:
    return Execution(trade.exchange, trade.trade_id, trade.broker_order_id, trade.quantity, trade.price)
