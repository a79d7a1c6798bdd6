"""Reads the broker's book: what became of an attempt, what an order has come to, and changes to live ones."""

from datetime import UTC, datetime

from activities.brokers import Brokers, Session
from activities.pacing import Bucket
from domain.errors import Rejected, Unavailable
from domain.market_calendar import INDIA_2026, trading_date
from domain.trading import (
    LOOK_AGAIN,
    MAX_MODIFICATIONS,
    PERSON_AFTER,
    Absence,
    AttemptStatus,
    BrokerStatus,
    OrderStatus,
    Search,
    absence,
    counts_as_look,
    status_of,
    tag_of,
)
from models.messages.trading import (
    BookReading,
    BrokerOrder,
    CancelAtBroker,
    Finding,
    FindingKind,
    ModifyAtBroker,
    ReadOrder,
    Recorded,
    ResolveAttempt,
)
from store import trading, trading_attempts, trading_positions
from store.database import Database
from store.trading import Stored
from store.trading_attempts import Attempt

UNRESOLVED = (AttemptStatus.SENDING, AttemptStatus.UNANSWERED)
ENDED = (BrokerStatus.COMPLETE, BrokerStatus.CANCELLED, BrokerStatus.REJECTED)


class BrokerBook:
    """Reads are safe to repeat; what they write is keyed by attempt, order and trade id."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers

    async def resolve(self, command: ResolveAttempt) -> Finding:
        """What became of an attempt that was not answered: our row first, then the book, by tag."""
        async with self._database.reading() as connection:
            attempt = await trading_attempts.read(connection, command.order_id, command.attempt)
            order = await trading.read(connection, command.order_id)
        if attempt is None or order is None:
            raise Rejected("not_found")
        if attempt.status not in UNRESOLVED:
            return _told_by_row(attempt, order)
        session = await self._brokers.session(command.account_id)
        if session is None:
            return _without_session(attempt)
        try:
            book = await self._brokers.call(session, Bucket.READ, session.broker.book())
        except Rejected as refused:
            return await self._no_book(refused, session, attempt)
        found = next((each for each in book.value if each.tag == attempt.tag), None)
        if found is not None:
            return await self._adopt(command, found)
        return await self._not_there(command, attempt, book.at)

    async def read_order(self, command: ReadOrder) -> BookReading:
        """The order's state and trades by the broker's own word; raises Unavailable until both agree."""
        session = await self._brokers.session(command.account_id)
        if session is None:
            return await self._unread(command.order_id)
        try:
            order = await self._brokers.call(
                session, Bucket.READ, session.broker.order(command.broker_order_id)
            )
            trades = []
            if order.value.filled_quantity:
                asked = session.broker.trades(command.broker_order_id)
                trades = (await self._brokers.call(session, Bucket.READ, asked)).value
        except Rejected as refused:
            if refused.code != "session_expired":
                raise Unavailable("broker_order_not_shown") from None
            await self._brokers.lost(session)
            return await self._unread(command.order_id)
        found, now = order.value, order.at
        if found.status in ENDED and sum(trade.quantity for trade in trades) < found.filled_quantity:
            raise Unavailable("trades_behind")
        day = trading_date(found.updated_at or now)
        over = INDIA_2026.is_over(command.exchange, day, found.updated_at or now)
        status = status_of(
            found.status, found.filled_quantity, cancel_wanted=command.cancel_wanted, day_over=over
        )
        async with self._database.transaction() as connection:
            for each in {trading_date(trade.traded_at) for trade in trades}:
                of_day = [trade for trade in trades if trading_date(trade.traded_at) == each]
                await trading_positions.add(connection, command.account_id, command.order_id, each, of_day)
            stored = await trading.take_reading(connection, command.order_id, found, status, _now())
        return _reading(stored)

    async def cancel(self, command: CancelAtBroker) -> Recorded:
        """Asks the broker to cancel. A refusal is no error here: the book's next reading tells why."""
        session = await self._session(command.account_id)
        try:
            call = session.broker.cancel(command.variety.value, command.broker_order_id)
            await self._brokers.call(session, Bucket.ORDER, call)
        except Rejected as refused:
            if refused.code == "session_expired":
                await self._brokers.lost(session)
                raise
            return await self._version(command.order_id)
        async with self._database.transaction() as connection:
            stored = await trading.advance(
                connection, command.order_id, OrderStatus.CANCEL_PENDING, now=_now()
            )
        return Recorded(version=stored.version)

    async def modify(self, command: ModifyAtBroker) -> Recorded:
        """Changes a live order. The same change twice is the same order: safe to repeat, though counted.

        Raises Rejected: `modifications_spent`, or the broker's refusal.
        """
        async with self._database.reading() as connection:
            if await trading.modifications_of(connection, command.order_id) >= MAX_MODIFICATIONS:
                raise Rejected("modifications_spent")
        session = await self._session(command.account_id)
        call = session.broker.modify(command.variety.value, command.broker_order_id, command.change)
        await self._brokers.call(session, Bucket.ORDER, call)
        async with self._database.transaction() as connection:
            await trading.modified(connection, command.order_id, command.change, _now())
        return await self._version(command.order_id)

    async def _session(self, account_id: str) -> Session:
        session = await self._brokers.session(account_id)
        if session is None:
            raise Rejected("session_expired")
        return session

    async def _version(self, order_id: str) -> Recorded:
        async with self._database.reading() as connection:
            stored = await trading.read(connection, order_id)
        return Recorded(version=stored.version if stored else 0)

    async def _no_book(self, refused: Rejected, session: Session, attempt: Attempt) -> Finding:
        if refused.code != "session_expired":
            raise Unavailable(refused.code) from None
        await self._brokers.lost(session)
        return _without_session(attempt)

    async def _adopt(self, command: ResolveAttempt, found: BrokerOrder) -> Finding:
        async with self._database.transaction() as connection:
            await trading_attempts.move(
                connection,
                command.order_id,
                command.attempt,
                was=UNRESOLVED,
                to=AttemptStatus.SENT,
                broker_order_id=found.broker_order_id,
            )
            stored = await trading.advance(
                connection,
                command.order_id,
                OrderStatus.SUBMITTING,
                broker_order_id=found.broker_order_id,
                now=_now(),
            )
        return Finding(kind=FindingKind.FOUND, broker_order_id=found.broker_order_id, version=stored.version)

    async def _not_there(self, command: ResolveAttempt, attempt: Attempt, now: datetime) -> Finding:
        """The book, read in a live session, holds no such order: proof, another look, or a person."""
        looks = 0
        if counts_as_look(attempt.age):
            async with self._database.reading() as connection:
                looks = await trading_attempts.looked(connection, command.order_id, command.attempt)
        today = trading_date(now)
        search = Search(attempt.age, looks, attempt.sender_gone, attempt.sent_on or today, today)
        match absence(search):
            case Absence.LOOK_AGAIN:
                return Finding(kind=FindingKind.LOOK_AGAIN, wait_seconds=LOOK_AGAIN.total_seconds())
            case Absence.ASK_A_PERSON:
                return Finding(kind=FindingKind.ASK_A_PERSON)
            case Absence.PROVEN:
                return await self._void(command)

    async def _void(self, command: ResolveAttempt) -> Finding:
        """The attempt is void before the next one exists: the unique index allows no other order."""
        following = command.attempt + 1
        async with self._database.transaction() as connection:
            if not await trading_attempts.move(
                connection, command.order_id, command.attempt, was=UNRESOLVED, to=AttemptStatus.VOID
            ):
                return Finding(kind=FindingKind.LOOK_AGAIN, wait_seconds=LOOK_AGAIN.total_seconds())
            tag = tag_of(command.order_id, 1, following)
            await trading_attempts.queue(connection, command.order_id, following, tag)
            stored = await trading.advance(connection, command.order_id, OrderStatus.QUEUED, now=_now())
        return Finding(kind=FindingKind.ABSENT, version=stored.version)

    async def _unread(self, order_id: str) -> BookReading:
        async with self._database.reading() as connection:
            stored = await trading.read(connection, order_id)
        if stored is None:
            raise Rejected("not_found")
        return _reading(stored).model_copy(update={"session_lost": True})


def _without_session(attempt: Attempt) -> Finding:
    """The book cannot be read: a person is asked where no session comes back soon."""
    late = attempt.age >= PERSON_AFTER
    return Finding(kind=FindingKind.ASK_A_PERSON if late else FindingKind.NO_SESSION)


def _told_by_row(attempt: Attempt, order: Stored) -> Finding:
    match attempt.status:
        case AttemptStatus.QUEUED:
            kind = FindingKind.NEVER_LEFT
        case AttemptStatus.SENT:
            kind = FindingKind.FOUND
        case AttemptStatus.REFUSED:
            kind = FindingKind.REFUSED
        case _:
            # Void: proven absent with the next attempt made, or ended by a check before it left.
            ended = order.status is OrderStatus.RISK_REJECTED
            kind = FindingKind.REFUSED if ended else FindingKind.ABSENT
    return Finding(
        kind=kind,
        status=order.status,
        reason_code=attempt.reason_code,
        broker_order_id=attempt.broker_order_id,
        version=order.version,
    )


def _reading(stored: Stored) -> BookReading:
    return BookReading(
        status=stored.status,
        reason_code=stored.reason_code,
        filled_quantity=stored.filled_quantity,
        average_price=stored.average_price,
        version=stored.version,
    )


def _now() -> datetime:
    """When our record was written; market time is the broker's."""
    return datetime.now(UTC)
