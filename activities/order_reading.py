"""What an order has come to by the broker's own word: its state and its trades, of every slice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from temporalio import activity

from activities.brokers import Brokers, Session
from activities.foreign_orders import look_for_foreign_orders
from activities.pacing import Bucket
from activities.paper import PaperAccount
from domain.errors import Rejected, Unavailable
from domain.market_calendar import INDIA_2026, trading_date
from domain.order_day import last_day
from domain.slices import ENDED, Leg, LegStatus, together
from domain.trading import BrokerStatus, OrderStatus, Product, status_of
from models.messages.broker import BrokerOrder, BrokerTrade
from models.messages.trading import BookReading, ReadOrder
from providers.broker import Reading
from store import trading, trading_legs, trading_positions
from store.database import Connection, Database
from store.trading import Stored

GONE = "day_not_read"
OVER = (BrokerStatus.COMPLETE, BrokerStatus.CANCELLED, BrokerStatus.REJECTED)
CANCELLED_OR_OVER = (BrokerStatus.CANCEL_PENDING, *OVER)


class OrderReading:
    """Reads are safe to repeat; what they write is keyed by order, slice and trade id."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers

    async def read(self, command: ReadOrder) -> BookReading:
        """The order's state and trades; raises Unavailable until both agree."""
        session = await self._brokers.session(command.account_id)
        if session is None:
            return await self._unread(command)
        try:
            if command.legs > 1:
                return await self._read_slices(command, session)
            return await self._read_one(command, session)
        except Rejected as refused:
            if refused.code != "session_expired":
                raise Unavailable("broker_order_not_shown") from None
            await self._brokers.lost(session)
            return await self._unread(command)

    async def _read_one(self, command: ReadOrder, session: Session) -> BookReading:
        asked = session.broker.order(command.broker_order_id)
        try:
            order = await self._brokers.call(session, Bucket.READ, asked)
        except Rejected as refused:
            if refused.code == "session_expired":
                raise
            return await self._not_shown(command, session)
        found = order.value
        trades = await self._trades(session, found) if found.filled_quantity else []
        status = status_of(
            found.status,
            found.filled_quantity,
            cancel_wanted=command.cancel_wanted,
            day_over=_day_over(command, found, order.at),
        )
        async with self._database.transaction() as connection:
            await _add(connection, command, trades)
            stored = await trading.take_reading(connection, command.order_id, found, status, _now())
        return _reading(command, stored, alive=found.status not in CANCELLED_OR_OVER)

    async def _not_shown(self, command: ReadOrder, session: Session) -> BookReading:
        """The broker knows no such order: not yet, or its book has gone on to another day."""
        book = await self._brokers.call(session, Bucket.READ, session.broker.book())
        shown = any(each.broker_order_id == command.broker_order_id for each in book.value)
        async with self._database.transaction() as connection:
            if not shown and await _day_gone(connection, command.order_id, book.at):
                stored = await trading.advance(
                    connection, command.order_id, OrderStatus.NEEDS_PERSON, reason=GONE, now=_now()
                )
            else:
                stored = await trading.present(connection, command.order_id)
        return _reading(command, stored)

    async def _read_slices(self, command: ReadOrder, session: Session) -> BookReading:
        """One reading of the book for all of them; trades of those that were filled since."""
        async with self._database.reading() as connection:
            known = await trading_legs.of(connection, command.order_id)
        book = await self._brokers.call(session, Bucket.READ, session.broker.book())
        shown = {order.broker_order_id: order for order in book.value}
        legs = [_now_at(leg, shown.get(leg.broker_order_id or "")) for leg in known]
        trades: list[BrokerTrade] = []
        for before, leg in zip(known, legs, strict=True):
            # Once more at its end: while it was alive its trades may have been behind its fill.
            if leg.filled > before.filled or (
                leg.filled and leg.status in ENDED and before.status not in ENDED
            ):
                trades += await self._trades(session, shown[leg.broker_order_id or ""])
        day_over = any(_day_over(command, order, book.at) for order in shown.values())
        return await self._take(command, legs, trades, book, day_over=day_over)

    async def _take(
        self,
        command: ReadOrder,
        legs: Sequence[Leg],
        trades: Sequence[BrokerTrade],
        book: Reading[list[BrokerOrder]],
        *,
        day_over: bool,
    ) -> BookReading:
        whole = together(legs, cancel_wanted=command.cancel_wanted, day_over=day_over)
        shown = {order.broker_order_id for order in book.value}
        hidden = any(leg.status not in ENDED and leg.broker_order_id not in shown for leg in legs)
        async with self._database.transaction() as connection:
            if hidden and not command.sending and await _day_gone(connection, command.order_id, book.at):
                whole = replace(whole, status=OrderStatus.NEEDS_PERSON, reason=GONE)
            await _add(connection, command, trades)
            for leg in legs:
                if leg.broker_order_id is not None:
                    await trading_legs.stands(
                        connection,
                        command.order_id,
                        leg.number,
                        leg.status,
                        filled=leg.filled,
                        average=leg.average,
                        quantity=leg.quantity,
                        reason=leg.reason,
                    )
            stored = await trading.present(connection, command.order_id)
            found = BrokerOrder(
                broker_order_id=command.broker_order_id,
                status=BrokerStatus.OPEN,
                quantity=sum(leg.quantity for leg in legs),
                filled_quantity=whole.filled,
                average_price=whole.average,
                reason_code=whole.reason,
            )
            status = stored.status if command.sending else whole.status
            stored = await trading.take_reading(connection, command.order_id, found, status, _now())
        living = {leg.status for leg in legs if leg.broker_order_id in shown} - ENDED
        return _reading(command, stored, alive=bool(living - {LegStatus.CANCEL_PENDING}))

    async def _trades(self, session: Session, found: BrokerOrder) -> list[BrokerTrade]:
        """Raises Unavailable while the trades of an order that is over are not all shown."""
        asked = session.broker.trades(found.broker_order_id)
        trades = (await self._brokers.call(session, Bucket.READ, asked)).value
        if found.status in OVER and sum(trade.quantity for trade in trades) < found.filled_quantity:
            raise Unavailable("trades_behind")
        if isinstance(session.broker, PaperAccount) and any(
            each.product == Product.INTRADAY for each in trades
        ):
            # Who watches a real broker's book is there as long as the session; here while something is held.
            account = session.account
            await look_for_foreign_orders(activity.client(), account.account_id, account.user_id, hint=True)
        return trades

    async def _unread(self, command: ReadOrder) -> BookReading:
        async with self._database.reading() as connection:
            stored = await trading.read(connection, command.order_id)
        if stored is None:
            raise Rejected("not_found")
        return _reading(command, stored).model_copy(update={"session_lost": True})


async def _day_gone(connection: Connection, order_id: str, now: datetime) -> bool:
    """Whether the broker's book has gone on from the last day on which it shows the order."""
    sent_on, variety = await trading.sent_on(connection, order_id)
    return trading_date(now) > last_day(INDIA_2026, variety, sent_on)


async def _add(connection: Connection, command: ReadOrder, trades: Sequence[BrokerTrade]) -> None:
    for day in sorted({trading_date(trade.traded_at) for trade in trades}):
        of_day = [trade for trade in trades if trading_date(trade.traded_at) == day]
        await trading_positions.add(connection, command.account_id, command.order_id, day, of_day)


def _now_at(leg: Leg, found: BrokerOrder | None) -> Leg:
    """The slice as the book shows it; as it was, where it is over, not sent or not shown yet."""
    if found is None or leg.status in ENDED:
        return leg
    return replace(
        leg,
        status=LegStatus(found.status.value),
        quantity=found.quantity,
        filled=found.filled_quantity,
        average=found.average_price,
        reason=found.reason_code,
    )


def _day_over(command: ReadOrder, found: BrokerOrder, now: datetime) -> bool:
    moment = found.updated_at or now
    return INDIA_2026.is_over(command.exchange, trading_date(moment), moment)


def _reading(command: ReadOrder, stored: Stored, *, alive: bool = False) -> BookReading:
    return BookReading(
        status=stored.status,
        reason_code=stored.reason_code,
        filled_quantity=stored.filled_quantity,
        average_price=stored.average_price,
        version=stored.version,
        gone=stored.status is OrderStatus.NEEDS_PERSON and not command.sending,
        alive=alive,
    )


def _now() -> datetime:
    """When our record was written; market time is the broker's."""
    return datetime.now(UTC)
