"""What happens to an order: our record of it, and the one call that cannot be taken back."""

import asyncio
from datetime import UTC, datetime

import structlog
from temporalio import activity

from activities.broker_book import BrokerBook
from activities.brokers import Brokers, Session, beating, to_the_end
from activities.order_checks import MarketChecks, Verdict, basis_of, listing_of, wish_of
from activities.pacing import Bucket
from domain import pretrade
from domain.errors import RateLimited, Rejected, Unavailable, Unknown
from domain.market_calendar import trading_date
from domain.pretrade import Refusal
from domain.trading import AttemptStatus, OrderStatus, tag_of
from models.contracts.killpoints import Stage, current_activity, reached
from models.messages.trading import (
    Admission,
    AdmitOrder,
    BookReading,
    CancelAtBroker,
    Finding,
    FindingKind,
    ModifyAtBroker,
    OrderInput,
    PersonDecision,
    ReadOrder,
    Recorded,
    RecordStatus,
    ResolveAttempt,
    SettleAttempt,
    Submission,
    SubmissionKind,
    SubmitOrder,
)
from store import trading, trading_accounts, trading_attempts, trading_market, trading_standing
from store.database import Connection, Database
from store.trading_attempts import Begun
from workflows.ports.trading import OrderPort

log = structlog.get_logger()

PLACING = "trading.place"
SENDERS = 8
"""Sends under way at a time in one process: each holds a database connection while it waits."""
BUSY_SECONDS = 1.0


class OrderRecord:
    """Our own books about an order; local activities. Safe to repeat: keyed by the order's id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, command: AdmitOrder) -> Admission:
        """Makes the order's row after the checks that our own record answers, and its first attempt."""
        order = command.order
        async with self._database.transaction() as connection:
            if stored := await trading.read(connection, order.order_id):
                return _admission(stored)
            status, reason = await self._first_status(connection, command)
            made = await trading.insert(connection, order, status, reason, command.as_of)
            if made is None:
                made = await trading.read(connection, order.order_id)
            elif status is not OrderStatus.RISK_REJECTED:
                await trading_attempts.queue(connection, order.order_id, 1, tag_of(order.order_id, 1, 1))
        if made is None:
            raise LookupError(order.order_id)
        return _admission(made)

    async def record(self, command: RecordStatus) -> Recorded:
        """Writes a state that we alone decide. Raises Rejected `attempt_taken`: it may have left."""
        async with self._database.transaction() as connection:
            if command.void_attempt is not None:
                await self._void(connection, command.order_id, command.void_attempt)
            stored = await trading.advance(
                connection,
                command.order_id,
                command.status,
                reason=command.reason_code,
                confirmed=command.status is OrderStatus.QUEUED,
                now=command.as_of,
            )
        return Recorded(version=stored.version)

    async def settle(self, command: SettleAttempt) -> Finding:
        """A person's word about an attempt whose outcome nobody could find out."""
        found = command.decision is PersonDecision.FOUND
        to = AttemptStatus.SENT if found else AttemptStatus.VOID
        open_states = (AttemptStatus.SENDING, AttemptStatus.UNANSWERED)
        async with self._database.transaction() as connection:
            moved = await trading_attempts.move(
                connection,
                command.order_id,
                command.attempt,
                was=open_states,
                to=to,
                broker_order_id=command.broker_order_id,
                reason_code="person",
            )
            if moved and not found:
                following = command.attempt + 1
                tag = tag_of(command.order_id, 1, following)
                await trading_attempts.queue(connection, command.order_id, following, tag)
            stored = await trading.advance(
                connection,
                command.order_id,
                OrderStatus.SUBMITTING if found else OrderStatus.QUEUED,
                broker_order_id=command.broker_order_id if found else None,
                now=command.as_of,
            )
        kind = FindingKind.FOUND if found else FindingKind.ABSENT
        return Finding(kind=kind, broker_order_id=command.broker_order_id, version=stored.version)

    async def _void(self, connection: Connection, order_id: str, attempt: int) -> None:
        was = (AttemptStatus.QUEUED, AttemptStatus.VOID)
        if not await trading_attempts.move(
            connection, order_id, attempt, was=was, to=AttemptStatus.VOID, reason_code="cancelled"
        ):
            raise Rejected("attempt_taken")

    async def _first_status(
        self, connection: Connection, command: AdmitOrder
    ) -> tuple[OrderStatus, Refusal | None]:
        order, wish = command.order, wish_of(command.order.terms)
        account = await trading_accounts.account_of(connection, order.account_id)
        if account is None or account.user_id != order.user_id:
            raise Rejected("not_found")
        standing = await trading_standing.standing_of(
            connection, order.user_id, status=account.status, blocked=account.blocks(order.flattens)
        )
        refusal = pretrade.standing_refusal(standing) or pretrade.terms_refusal(wish)
        if refusal is None and order.origin is not None:
            refusal = await self._signal_refusal(connection, order, command.as_of)
        listed = await trading_market.last_listed(connection, account.broker, wish.exchange, wish.symbol)
        if refusal is None and listed is not None:
            refusal = pretrade.instrument_refusal(wish, listing_of(listed[0]), listed[1])
        if refusal is not None:
            return OrderStatus.RISK_REJECTED, refusal
        if not order.confirmed:
            return OrderStatus.AWAITING_CONFIRMATION, None
        if account.status != "connected":
            return OrderStatus.AWAITING_SESSION, None
        return OrderStatus.QUEUED, None

    async def _signal_refusal(
        self, connection: Connection, order: OrderInput, now: datetime
    ) -> Refusal | None:
        basis = basis_of(order.origin)
        if order.origin is None or basis is None:
            return None
        if await trading.acted_before(connection, order.origin.signal_id, order.account_id):
            return Refusal.SIGNAL_ALREADY_ACTED
        return pretrade.signal_refusal(basis, None, now)


class OrderSending:
    """Checks, gate, `sending`, socket, `sent`: in this order, once an attempt."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers
        self._checks = MarketChecks(database, brokers)
        self._senders = asyncio.Semaphore(SENDERS)

    async def submit(self, command: SubmitOrder) -> Submission:
        """Sends one attempt, if every check passes.

        Safe to call again at any time: only one caller moves the attempt from queued to sending. Raises
        Unknown where the order may have reached the broker and no answer came; the attempt's row says so.
        """
        session = await self._brokers.session(command.account_id)
        if session is None:
            if await self._brokers.closed(command.account_id):
                return await self._risk_rejected(command, Refusal.ACCOUNT_CLOSED)
            return await self._wait_for(command, OrderStatus.AWAITING_SESSION)
        try:
            verdict = await self._checks.judge(command, session)
        except Rejected as refused:
            if refused.code == "session_expired":
                await self._brokers.lost(session)
                return await self._wait_for(command, OrderStatus.AWAITING_SESSION)
            return await self._risk_rejected(command, refused.code)
        except RateLimited as limit:
            return Submission(kind=SubmissionKind.PACED, wait_seconds=limit.retry_after)
        except Unavailable as away:
            return _busy(away.code)
        if verdict.refusal is not None:
            return await self._risk_rejected(command, verdict.refusal)
        if verdict.opens_in:
            return await self._wait_for(command, OrderStatus.AWAITING_MARKET, verdict.opens_in)
        async with self._senders:
            return await self._send(command, session, verdict)

    async def _send(self, command: SubmitOrder, session: Session, verdict: Verdict) -> Submission:
        tag = tag_of(command.order_id, 1, command.attempt)
        try:
            if session.account.broker != "paper":
                await self._brokers.gate.passed(command.account_id, Bucket.ORDER)
        except RateLimited as limit:
            return Submission(kind=SubmissionKind.PACED, wait_seconds=limit.retry_after)
        # One connection from `sending` to `sent`: it holds the sender's lock (store.trading_attempts).
        async with self._database.reading() as connection:
            refusal = await self._checks.reserve(connection, command, verdict)
            if refusal is not None:
                return await self._risk_rejected(command, refusal)
            begun = await trading_attempts.begin(
                connection,
                command.order_id,
                command.account_id,
                command.attempt,
                flattens=command.flattens,
                day=trading_date(verdict.now),
                now=verdict.now,
            )
            if not begun.began:
                return await self._not_begun(command, begun, verdict)
            try:
                return await self._place(connection, command, session, verdict, tag)
            finally:
                await trading_attempts.unlock(connection, tag)

    async def _place(
        self, connection: Connection, command: SubmitOrder, session: Session, verdict: Verdict, tag: str
    ) -> Submission:
        # From here on the order may have left; the kill points of this one call have a name of their own.
        current_activity.set(PLACING)
        reached(Stage.BEFORE, PLACING)
        try:
            placed = await session.broker.place(command.terms, tag)
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
        async with connection.transaction():
            await self._move(connection, command, AttemptStatus.SENT, broker_order_id=placed.value)
            stored = await trading.advance(
                connection,
                command.order_id,
                OrderStatus.SUBMITTING,
                broker_order_id=placed.value,
                value=verdict.value,
                now=datetime.now(UTC),
            )
        return Submission(kind=SubmissionKind.SENT, broker_order_id=placed.value, version=stored.version)

    async def _not_begun(self, command: SubmitOrder, begun: Begun, verdict: Verdict) -> Submission:
        if begun.blocked:
            return await self._risk_rejected(command, Refusal.ACCOUNT_BLOCKED)
        if begun.status_before is not AttemptStatus.QUEUED:
            # Another worker has it, or had it: what became of it is found out, never guessed.
            raise Unknown("attempt_taken")
        if begun.day_spent:
            return await self._risk_rejected(command, Refusal.DAY_PACE_SPENT)
        if begun.minute_spent:
            left = 60 - verdict.now.second
            return Submission(kind=SubmissionKind.PACED, wait_seconds=float(left))
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
            command.order_id,
            command.attempt,
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
            stored = await trading.advance(
                connection, command.order_id, OrderStatus.REJECTED, reason=code, now=datetime.now(UTC)
            )
        return Submission(kind=SubmissionKind.REFUSED, reason_code=code, version=stored.version)

    async def _risk_rejected(self, command: SubmitOrder, code: str) -> Submission:
        """Ends the order here. The attempt is voided first: if a sender has it, the order is not ended."""
        async with self._database.transaction() as connection:
            free = await trading_attempts.move(
                connection,
                command.order_id,
                command.attempt,
                was=(AttemptStatus.QUEUED,),
                to=AttemptStatus.VOID,
                reason_code=code,
            )
            if not free:
                raise Unknown("attempt_taken")
            stored = await trading.advance(
                connection,
                command.order_id,
                OrderStatus.RISK_REJECTED,
                reason=code,
                now=datetime.now(UTC),
            )
        return Submission(kind=SubmissionKind.RISK_REJECTED, reason_code=code, version=stored.version)

    async def _wait_for(self, command: SubmitOrder, status: OrderStatus, seconds: float = 0.0) -> Submission:
        closed = status is OrderStatus.AWAITING_MARKET
        async with self._database.transaction() as connection:
            stored = await trading.advance(connection, command.order_id, status, now=datetime.now(UTC))
        kind = SubmissionKind.MARKET_CLOSED if closed else SubmissionKind.NO_SESSION
        return Submission(kind=kind, wait_seconds=seconds, version=stored.version)


def _busy(code: str) -> Submission:
    return Submission(kind=SubmissionKind.PACED, reason_code=code, wait_seconds=BUSY_SECONDS)


def _admission(stored: trading.Stored) -> Admission:
    return Admission(status=stored.status, reason_code=stored.reason_code, version=stored.version)


class OrderActivities(OrderPort):
    """`workflows.ports.trading.OrderPort` on Postgres and the broker."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._record = OrderRecord(database)
        self._sending = OrderSending(database, brokers)
        self._book = BrokerBook(database, brokers)

    @activity.defn(name="trading.admit")
    async def admit(self, command: AdmitOrder) -> Admission:
        return await self._record.admit(command)

    @activity.defn(name="trading.record")
    async def record(self, command: RecordStatus) -> Recorded:
        return await self._record.record(command)

    @activity.defn(name="trading.settle_attempt")
    async def settle_attempt(self, command: SettleAttempt) -> Finding:
        return await self._record.settle(command)

    @activity.defn(name="trading.submit")
    async def submit(self, command: SubmitOrder) -> Submission:
        async with beating():
            # What has begun to leave is not dropped by a cancelled activity: its lock would be freed early.
            return await to_the_end(self._sending.submit(command))

    @activity.defn(name="trading.resolve_attempt")
    async def resolve_attempt(self, command: ResolveAttempt) -> Finding:
        async with beating():
            return await self._book.resolve(command)

    @activity.defn(name="trading.read_order")
    async def read_order(self, command: ReadOrder) -> BookReading:
        async with beating():
            return await self._book.read_order(command)

    @activity.defn(name="trading.cancel_at_broker")
    async def cancel_at_broker(self, command: CancelAtBroker) -> Recorded:
        async with beating():
            return await self._book.cancel(command)

    @activity.defn(name="trading.modify_at_broker")
    async def modify_at_broker(self, command: ModifyAtBroker) -> Recorded:
        async with beating():
            return await self._book.modify(command)
