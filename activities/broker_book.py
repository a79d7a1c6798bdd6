"""What became of an attempt that was not answered: our row first, then the broker's book, by its tag."""

from datetime import UTC, datetime

from activities.brokers import Brokers, Session
from activities.pacing import Bucket
from domain.errors import Rejected, Unavailable
from domain.market_calendar import trading_date
from domain.slices import LegStatus
from domain.trading import (
    LOOK_AGAIN,
    PERSON_AFTER,
    Absence,
    AttemptStatus,
    OrderStatus,
    Search,
    absence,
    counts_as_look,
)
from models.messages.broker import BrokerOrder
from models.messages.trading import Finding, FindingKind, ResolveAttempt
from store import trading, trading_attempts, trading_legs
from store.database import Database
from store.trading import Stored
from store.trading_attempts import Attempt

UNRESOLVED = (AttemptStatus.SENDING, AttemptStatus.UNANSWERED)


class BrokerBook:
    """Reads are safe to repeat; what they write is keyed by attempt, order and trade id."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers

    async def resolve(self, command: ResolveAttempt) -> Finding:
        """What became of an attempt that was not answered: our row first, then the book, by tag."""
        async with self._database.reading() as connection:
            attempt = await trading_attempts.read(connection, _key(command))
            order = await trading.read(connection, command.order_id)
        if attempt is None or order is None:
            raise Rejected("not_found")
        if attempt.status not in UNRESOLVED:
            return told_by_row(attempt, order)
        session = await self._brokers.session(command.account_id)
        if session is None:
            return _without_session(attempt)
        try:
            book = await self._brokers.call(session, Bucket.READ, session.broker.book())
        except Rejected as refused:
            return await self._no_book(refused, session, attempt)
        found = next((each for each in book.value if each.tag == attempt.tag), None)
        if found is not None:
            return await self._adopt(command, attempt, found)
        return await self._not_there(command, attempt, book.at)

    async def _no_book(self, refused: Rejected, session: Session, attempt: Attempt) -> Finding:
        if refused.code != "session_expired":
            raise Unavailable(refused.code) from None
        await self._brokers.lost(session)
        return _without_session(attempt)

    async def _adopt(self, command: ResolveAttempt, attempt: Attempt, found: BrokerOrder) -> Finding:
        first = command.leg == 1
        async with self._database.transaction() as connection:
            await trading_attempts.move(
                connection,
                _key(command),
                was=UNRESOLVED,
                to=AttemptStatus.SENT,
                broker_order_id=found.broker_order_id,
            )
            await trading_legs.stands(
                connection,
                command.order_id,
                command.leg,
                LegStatus.SENT,
                broker_order_id=found.broker_order_id,
            )
            stored = await trading.advance(
                connection,
                command.order_id,
                OrderStatus.SUBMITTING,
                broker_order_id=found.broker_order_id if first else None,
                now=_now(),
            )
        return Finding(
            kind=FindingKind.FOUND,
            broker_order_id=found.broker_order_id,
            sent_on=attempt.sent_on,
            legs=stored.legs,
            version=stored.version,
        )

    async def _not_there(self, command: ResolveAttempt, attempt: Attempt, now: datetime) -> Finding:
        """The book, read in a live session, holds no such order: proof, another look, or a person."""
        looks = 0
        if counts_as_look(attempt.age):
            async with self._database.reading() as connection:
                looks = await trading_attempts.looked(connection, _key(command))
        today = trading_date(now)
        search = Search(attempt.age, looks, attempt.sender_gone, attempt.sent_on or today, today)
        match absence(search):
            case Absence.LOOK_AGAIN:
                return Finding(kind=FindingKind.LOOK_AGAIN, wait_seconds=LOOK_AGAIN.total_seconds())
            case Absence.ASK_A_PERSON:
                return Finding(kind=FindingKind.ASK_A_PERSON)
            case Absence.PROVEN:
                return await self._void(command, attempt)

    async def _void(self, command: ResolveAttempt, attempt: Attempt) -> Finding:
        """The attempt is void before the next one exists: the unique index allows no other order."""
        again = OrderStatus.QUEUED if command.leg == 1 else OrderStatus.SUBMITTING
        async with self._database.transaction() as connection:
            if not await trading_attempts.move(
                connection, _key(command), was=UNRESOLVED, to=AttemptStatus.VOID
            ):
                return Finding(kind=FindingKind.LOOK_AGAIN, wait_seconds=LOOK_AGAIN.total_seconds())
            await trading_attempts.queue(connection, (command.order_id, command.leg, command.attempt + 1))
            stored = await trading.advance(connection, command.order_id, again, now=_now())
        return Finding(
            kind=FindingKind.ABSENT, sent_on=attempt.sent_on, legs=stored.legs, version=stored.version
        )


def _key(command: ResolveAttempt) -> tuple[str, int, int]:
    return command.order_id, command.leg, command.attempt


def _without_session(attempt: Attempt) -> Finding:
    """The book cannot be read: a person is asked where no session comes back soon."""
    late = attempt.age >= PERSON_AFTER
    return Finding(kind=FindingKind.ASK_A_PERSON if late else FindingKind.NO_SESSION)


def told_by_row(attempt: Attempt, order: Stored) -> Finding:
    """What an attempt's row says by itself, once it says anything."""
    match attempt.status:
        case AttemptStatus.QUEUED:
            kind = FindingKind.NEVER_LEFT
        case AttemptStatus.SENT:
            kind = FindingKind.FOUND
        case AttemptStatus.VOID if attempt.followed:
            kind = FindingKind.ABSENT
        case _:
            # Refused, or ended before it left, by a check or by the customer: nothing more leaves.
            kind = FindingKind.REFUSED
    return Finding(
        kind=kind,
        status=order.status,
        reason_code=order.reason_code if attempt.status is AttemptStatus.VOID else attempt.reason_code,
        broker_order_id=attempt.broker_order_id,
        sent_on=attempt.sent_on,
        legs=order.legs,
        version=order.version,
    )


def _now() -> datetime:
    """When our record was written; market time is the broker's."""
    return datetime.now(UTC)
