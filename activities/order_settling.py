"""What a person says of an attempt that nobody could find out about, held against the book and our row."""

from decimal import Decimal

from activities.broker_book import UNRESOLVED, told_by_row
from activities.brokers import Brokers
from activities.pacing import Bucket
from domain.errors import Rejected
from domain.market_calendar import trading_date
from domain.slices import LegStatus
from domain.trading import AttemptStatus, BrokerStatus, OrderStatus
from models.messages.broker import BrokerOrder
from models.messages.trading import Finding, FindingKind, PersonDecision, SettleAttempt
from store import trading, trading_attempts, trading_ends, trading_legs
from store.database import Connection, Database
from store.trading import Stored
from store.trading_attempts import Attempt


class OrderSettling:
    """Safe to repeat: what stands in the row by then is the answer, whoever wrote it."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers

    async def settle(self, command: SettleAttempt) -> Finding:
        """What became of the attempt by the person's word, or by a sender that has come back meanwhile.

        Raises Rejected: `sender_not_gone` (a worker still has it and may send it), `known_already` (the
        broker's order is another one of ours), `broker_order_not_shown`, `broker_order_differs`,
        `broker_order_shown` (the book of the day shows under our tag what was said to be absent),
        `fill_impossible` (more than the order, less than what is known, or at no price).
        """
        if command.decision is PersonDecision.ENDED:
            return await self._ended(command)
        async with self._database.reading() as connection:
            attempt = await _present(connection, command)
        if attempt.status in UNRESOLVED:
            await self._hold_against_book(command, attempt)
        async with self._database.transaction() as connection:
            attempt = await _present(connection, command)
            if attempt.status in UNRESOLVED:
                await self._write(connection, command, attempt)
                attempt = await _present(connection, command)
            return told_by_row(attempt, await trading.present(connection, command.order_id))

    async def _ended(self, command: SettleAttempt) -> Finding:
        """Ends an order with the fill that is stated. What our trades lack of it becomes one; not where the
        position was taken over from the broker since, which had it in already."""
        async with self._database.transaction() as connection:
            order = await trading.present(connection, command.order_id)
            if order.status is OrderStatus.NEEDS_PERSON:
                order = await self._end(connection, command)
        return Finding(
            kind=FindingKind.ENDED, status=order.status, reason_code=order.reason_code, version=order.version
        )

    async def _end(self, connection: Connection, command: SettleAttempt) -> Stored:
        known = await trading_ends.known_of(connection, command.order_id)
        missing = command.filled_quantity - known.traded
        if not known.filled <= command.filled_quantity <= known.quantity or missing < 0:
            raise Rejected("fill_impossible")
        if missing and not known.adjusted:
            worth = (command.average_price or 0) * command.filled_quantity - known.worth
            if worth <= 0:
                raise Rejected("fill_impossible")
            await trading_ends.add_stated(connection, command.order_id, missing, worth / missing)
        await trading_ends.end_slices(connection, command.order_id)
        whole = command.filled_quantity == known.quantity
        short = OrderStatus.CANCELLED if command.cancel_wanted else OrderStatus.EXPIRED
        found = BrokerOrder(
            broker_order_id=known.broker_order_id,
            status=BrokerStatus.COMPLETE if whole else BrokerStatus.CANCELLED,
            quantity=known.quantity,
            filled_quantity=command.filled_quantity,
            average_price=command.average_price or Decimal(0),
            reason_code="stated",
        )
        status = OrderStatus.FILLED if whole else short
        return await trading.take_reading(connection, command.order_id, found, status, command.as_of)

    async def _hold_against_book(self, command: SettleAttempt, attempt: Attempt) -> None:
        """Only the book of the attempt's own day says anything, and only in a live session: without them the
        person's word is all there is."""
        session = await self._brokers.session(command.account_id)
        if session is None:
            return
        try:
            book = await self._brokers.call(session, Bucket.READ, session.broker.book())
        except Rejected as refused:
            if refused.code == "session_expired":
                await self._brokers.lost(session)
            return
        if trading_date(book.at) != attempt.sent_on:
            return
        if command.decision is PersonDecision.FOUND:
            shown = [each for each in book.value if each.broker_order_id == command.broker_order_id]
            _must_be(attempt, shown)
        elif any(each.tag == attempt.tag for each in book.value):
            raise Rejected("broker_order_shown")

    async def _write(self, connection: Connection, command: SettleAttempt, attempt: Attempt) -> None:
        if command.decision is PersonDecision.FOUND:
            await self._found(connection, command)
            return
        if attempt.locked:
            raise Rejected("sender_not_gone")
        again = OrderStatus.QUEUED if command.leg == 1 else OrderStatus.SUBMITTING
        await trading_attempts.move(
            connection, _key(command), was=UNRESOLVED, to=AttemptStatus.VOID, reason_code="person"
        )
        await trading_attempts.queue(connection, (command.order_id, command.leg, command.attempt + 1))
        await trading.advance(connection, command.order_id, again, now=command.as_of)

    async def _found(self, connection: Connection, command: SettleAttempt) -> None:
        name, first = command.broker_order_id or "", command.leg == 1
        if await trading.by_broker_order(connection, command.account_id, name) is not None:
            raise Rejected("known_already")
        await trading_attempts.move(
            connection,
            _key(command),
            was=UNRESOLVED,
            to=AttemptStatus.SENT,
            broker_order_id=name,
            reason_code="person",
        )
        await trading_legs.stands(
            connection, command.order_id, command.leg, LegStatus.SENT, broker_order_id=name
        )
        await trading.advance(
            connection,
            command.order_id,
            OrderStatus.SUBMITTING,
            broker_order_id=name if first else None,
            now=command.as_of,
        )


def _must_be(attempt: Attempt, shown: list[BrokerOrder]) -> None:
    """Every order of ours carries its attempt's tag: one under another tag is not it."""
    if not shown:
        raise Rejected("broker_order_not_shown")
    if any(each.tag and each.tag != attempt.tag for each in shown):
        raise Rejected("broker_order_differs")


async def _present(connection: Connection, command: SettleAttempt) -> Attempt:
    attempt = await trading_attempts.read(connection, _key(command))
    if attempt is None:
        raise Rejected("not_found")
    return attempt


def _key(command: SettleAttempt) -> tuple[str, int, int]:
    return command.order_id, command.leg, command.attempt
