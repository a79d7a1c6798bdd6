"""The one call that cannot be taken back: checks, gate, `sending`, socket, `sent`."""

import asyncio
import time
from datetime import UTC, date, datetime, timedelta

from activities.brokers import Brokers, Session
from activities.order_checks import MarketChecks, Verdict
from activities.pacing import Bucket
from domain.errors import RateLimited, Rejected, Unavailable, Unknown
from domain.market_calendar import INDIA_2026, trading_date
from domain.order_day import own_day
from domain.pretrade import Refusal
from domain.slices import Leg, LegStatus
from domain.trading import AttemptStatus, OrderStatus, tag_of
from models.contracts.killpoints import Stage, current_activity, reached
from models.messages.trading import OrderTerms, Submission, SubmissionKind, SubmitOrder
from store import trading, trading_attempts, trading_legs
from store.database import Connection, Database
from store.trading_attempts import Begun, Pace

PLACING = "trading.place"
SENDERS = 8
"""Sends under way at a time in one process: each holds a database connection while it waits."""
BUSY_SECONDS = 1.0
FRESH_SECONDS = 3.0
"""How old the checks may be when the order leaves: one that waited longer for its turn is judged anew, by the
market, the signal's age and the broker's health of then."""
SECOND_LEFT = 0.2
"""How soon a call is tried again that the calendar second had no room for."""


class OrderSending:
    """In this order, once an attempt."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers
        self._checks = MarketChecks(database, brokers)
        self._senders = asyncio.Semaphore(SENDERS)

    async def submit(self, command: SubmitOrder) -> Submission:
        """Sends one attempt of one slice, if every check passes.

        Safe to call again at any time: only one caller moves the attempt from queued to sending. Raises
        Unknown where the order may have reached the broker and no answer came; the attempt's row says so.
        """
        try:
            session = await self._session(command)
        except Unavailable as down:
            return await self._broker_down(command, down)
        if session is None:
            if await self._brokers.closed(command.account_id):
                return await self._risk_rejected(command, Refusal.ACCOUNT_CLOSED)
            return await self._wait_for(command, OrderStatus.AWAITING_SESSION)
        slices = await self._planned(command) if command.leg > 1 else []
        left = _remaining(command, slices)
        try:
            verdict = await self._checks.judge(left, session)
        except Rejected as refused:
            if refused.code == "session_expired":
                await self._brokers.lost(session)
                return await self._wait_for(command, OrderStatus.AWAITING_SESSION)
            return await self._risk_rejected(command, refused.code)
        except RateLimited as limit:
            return Submission(
                kind=SubmissionKind.PACED, wait_seconds=limit.retry_after, legs=len(slices) or 1
            )
        except Unavailable as away:
            return _busy(away.code, len(slices) or 1)
        judged = time.monotonic()
        day = _own_day(command, verdict.now)
        if INDIA_2026.is_over(command.terms.exchange, day, verdict.now):
            return Submission(kind=SubmissionKind.DAY_OVER, legs=len(slices) or 1, trading_day=day)
        if verdict.refusal is not None:
            return await self._risk_rejected(command, verdict.refusal)
        if verdict.opens_in:
            waits = await self._wait_for(command, OrderStatus.AWAITING_MARKET, verdict.opens_in)
            return waits.model_copy(update={"trading_day": day})
        if not slices and len(verdict.slices) > 1:
            slices = await self._plan(command, verdict)
        async with self._senders:
            submission = await self._send(command, session, verdict, slices, judged)
        return submission.model_copy(update={"legs": len(slices) or 1, "trading_day": day})

    async def _session(self, command: SubmitOrder) -> Session | None:
        """The account's session, read while the customer's yes is written down."""
        if not command.said_yes:
            return await self._brokers.session(command.account_id)
        writing = asyncio.ensure_future(self._write_yes(command))
        try:
            return await self._brokers.session(command.account_id)
        finally:
            await writing

    async def _write_yes(self, command: SubmitOrder) -> None:
        """The customer's recorded yes, at the moment that it was given; once."""
        async with self._database.transaction() as connection:
            await trading.advance(
                connection, command.order_id, OrderStatus.QUEUED, confirmed=True, now=command.as_of
            )

    async def _planned(self, command: SubmitOrder) -> list[Leg]:
        """The slices as they were written down when the first was sent."""
        async with self._database.reading() as connection:
            return await trading_legs.of(connection, command.order_id)

    async def _plan(self, command: SubmitOrder, verdict: Verdict) -> list[Leg]:
        async with self._database.transaction() as connection:
            await trading_legs.plan(connection, command.order_id, verdict.slices)
            return await trading_legs.of(connection, command.order_id)

    async def _send(
        self, command: SubmitOrder, session: Session, verdict: Verdict, slices: list[Leg], judged: float
    ) -> Submission:
        try:
            await self._brokers.passed(session, Bucket.ORDER)
        except RateLimited as limit:
            return Submission(kind=SubmissionKind.PACED, wait_seconds=limit.retry_after)
        if time.monotonic() - judged > FRESH_SECONDS:
            return Submission(kind=SubmissionKind.PACED, wait_seconds=SECOND_LEFT)
        # One connection from `sending` to `sent`: it holds the sender's lock (store.trading_attempts).
        async with self._database.reading() as connection:
            refusal = await self._checks.reserve(connection, command, verdict) if command.leg == 1 else None
            if refusal is not None:
                return await self._risk_rejected(command, refusal)
            begun = await trading_attempts.begin(
                connection,
                key_of(command),
                command.account_id,
                flattens=command.flattens,
                day=trading_date(verdict.now),
                now=verdict.now,
            )
            if not begun.began:
                return await self._not_begun(command, begun)
            try:
                return await self._place(connection, command, session, verdict, slices)
            finally:
                await trading_attempts.unlock(connection, tag_of(*key_of(command)))

    async def _place(
        self,
        connection: Connection,
        command: SubmitOrder,
        session: Session,
        verdict: Verdict,
        slices: list[Leg],
    ) -> Submission:
        # From here on the order may have left; the kill points of this one call have a name of their own.
        current_activity.set(PLACING)
        reached(Stage.BEFORE, PLACING)
        try:
            placing = session.broker.place(_terms_of(command, slices), tag_of(*key_of(command)))
            placed = await self._brokers.noted(session, placing)
        except Rejected as refused:
            if refused.code == "session_expired":
                await self._back_to_queued(connection, command)
                await self._brokers.lost(session)
                return await self._wait_for(command, OrderStatus.AWAITING_SESSION)
            return await self._refused(connection, command, refused.code)
        except RateLimited as limit:
            await self._back_to_queued(connection, command)
            return Submission(kind=SubmissionKind.PACED, wait_seconds=limit.retry_after)
        except Unavailable as away:
            await self._back_to_queued(connection, command)
            return _busy(away.code)
        except Unknown:
            await self._move(connection, command, AttemptStatus.UNANSWERED)
            raise
        self._brokers.clock(session.account.broker).heard(placed.at)
        version = await self._sent(connection, command, placed.value, verdict, sliced=bool(slices))
        return Submission(kind=SubmissionKind.SENT, broker_order_id=placed.value, version=version)

    async def _sent(
        self,
        connection: Connection,
        command: SubmitOrder,
        broker_order_id: str,
        verdict: Verdict,
        *,
        sliced: bool,
    ) -> int:
        first = command.leg == 1
        async with connection.pipeline(), connection.transaction():
            await self._move(connection, command, AttemptStatus.SENT, broker_order_id=broker_order_id)
            if sliced:
                await trading_legs.stands(
                    connection,
                    command.order_id,
                    command.leg,
                    LegStatus.SENT,
                    broker_order_id=broker_order_id,
                )
            stored = await trading.advance(
                connection,
                command.order_id,
                OrderStatus.SUBMITTING,
                broker_order_id=broker_order_id if first else None,
                value=verdict.value if first else None,
                now=datetime.now(UTC),
            )
        return stored.version

    async def _not_begun(self, command: SubmitOrder, begun: Begun) -> Submission:
        if begun.blocked:
            return await self._risk_rejected(command, Refusal.ACCOUNT_BLOCKED)
        if begun.status_before is not AttemptStatus.QUEUED:
            # Another worker has it, or had it: what became of it is found out, never guessed.
            raise Unknown("attempt_taken")
        match begun.pace:
            case Pace.DAY:
                return await self._risk_rejected(command, Refusal.DAY_PACE_SPENT)
            case Pace.MINUTE:
                return Submission(kind=SubmissionKind.PACED, wait_seconds=max(begun.minute_left, SECOND_LEFT))
            case Pace.SECOND:
                return Submission(kind=SubmissionKind.PACED, wait_seconds=SECOND_LEFT)
            case Pace.GRANTED:
                return await self._wait_for(command, OrderStatus.AWAITING_SESSION)

    async def _move(
        self,
        connection: Connection,
        command: SubmitOrder,
        to: AttemptStatus,
        broker_order_id: str | None = None,
        reason_code: str | None = None,
    ) -> None:
        await trading_attempts.move(
            connection,
            key_of(command),
            was=(AttemptStatus.SENDING,),
            to=to,
            broker_order_id=broker_order_id,
            reason_code=reason_code,
        )

    async def _back_to_queued(self, connection: Connection, command: SubmitOrder) -> None:
        """The broker's answer, or a connection never made, says that nothing happened."""
        await self._move(connection, command, AttemptStatus.QUEUED)

    async def _refused(self, connection: Connection, command: SubmitOrder, code: str) -> Submission:
        async with connection.transaction():
            await self._move(connection, command, AttemptStatus.REFUSED, reason_code=code)
            version = await self._ended(connection, command, OrderStatus.REJECTED, code)
        return Submission(kind=SubmissionKind.REFUSED, reason_code=code, version=version)

    async def _risk_rejected(self, command: SubmitOrder, code: str) -> Submission:
        """Ends the order here. The attempt is voided first: if a sender has it, the order is not ended."""
        async with self._database.transaction() as connection:
            free = await trading_attempts.move(
                connection,
                key_of(command),
                was=(AttemptStatus.QUEUED,),
                to=AttemptStatus.VOID,
                reason_code=code,
            )
            if not free:
                raise Unknown("attempt_taken")
            version = await self._ended(connection, command, OrderStatus.RISK_REJECTED, code)
        return Submission(kind=SubmissionKind.RISK_REJECTED, reason_code=code, version=version)

    async def _ended(
        self, connection: Connection, command: SubmitOrder, status: OrderStatus, code: str
    ) -> int:
        """Nothing more of it leaves. What earlier slices brought stays: then the order goes on with them."""
        await trading_legs.stop(connection, command.order_id, command.leg, code)
        if command.leg > 1:
            return (await trading.present(connection, command.order_id)).version
        stored = await trading.advance(
            connection, command.order_id, status, reason=code, now=datetime.now(UTC)
        )
        return stored.version

    async def _broker_down(self, command: SubmitOrder, down: Unavailable) -> Submission:
        """Nothing is asked of a broker that does not answer. The order says so, and every check is made
        anew when its turn comes: nothing is fired blindly after."""
        async with self._database.transaction() as connection:
            if command.leg > 1:
                stored = await trading.present(connection, command.order_id)
            else:
                stored = await trading.advance(
                    connection,
                    command.order_id,
                    OrderStatus.QUEUED,
                    reason=down.code,
                    now=datetime.now(UTC),
                )
        return Submission(
            kind=SubmissionKind.BROKER_DOWN,
            reason_code=down.code,
            wait_seconds=down.retry_after,
            legs=stored.legs,
            version=stored.version,
        )

    async def _wait_for(self, command: SubmitOrder, status: OrderStatus, seconds: float = 0.0) -> Submission:
        """The order says what it waits for; one whose earlier slices have left is on its way all the same."""
        closed = status is OrderStatus.AWAITING_MARKET
        async with self._database.transaction() as connection:
            if command.leg > 1:
                stored = await trading.present(connection, command.order_id)
            else:
                stored = await trading.advance(connection, command.order_id, status, now=datetime.now(UTC))
        kind = SubmissionKind.MARKET_CLOSED if closed else SubmissionKind.NO_SESSION
        return Submission(kind=kind, wait_seconds=seconds, legs=stored.legs, version=stored.version)


def key_of(command: SubmitOrder) -> tuple[str, int, int]:
    return command.order_id, command.leg, command.attempt


def _own_day(command: SubmitOrder, now: datetime) -> date:
    """How long ago the order was ready our own clocks tell; which day that was the broker's does."""
    if command.trading_day is not None:
        return command.trading_day
    waited = datetime.now(UTC) - command.ready_at if command.ready_at else timedelta()
    return own_day(INDIA_2026, command.terms.exchange, now - max(waited, timedelta()))


def _busy(code: str, legs: int = 1) -> Submission:
    return Submission(kind=SubmissionKind.PACED, reason_code=code, wait_seconds=BUSY_SECONDS, legs=legs)


def _remaining(command: SubmitOrder, slices: list[Leg]) -> SubmitOrder:
    """What is still to leave: what the checks of a later slice weigh."""
    if command.leg == 1 or not slices:
        return command
    quantity = sum(leg.quantity for leg in slices if leg.number >= command.leg)
    return command.model_copy(update={"terms": command.terms.model_copy(update={"quantity": quantity})})


def _terms_of(command: SubmitOrder, slices: list[Leg]) -> OrderTerms:
    """The terms of the one slice that leaves now."""
    if not slices:
        return command.terms
    quantity = slices[command.leg - 1].quantity
    disclosed = command.terms.disclosed_quantity
    shown = min(disclosed, quantity) if disclosed else None
    return command.terms.model_copy(update={"quantity": quantity, "disclosed_quantity": shown})
