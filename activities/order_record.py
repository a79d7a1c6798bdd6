"""Our own books about an order: made, and moved on. Local activities."""

from datetime import datetime

from activities.order_checks import basis_of, listing_of, wish_of
from domain import pretrade
from domain.errors import Rejected
from domain.pretrade import Refusal
from domain.slices import LegStatus
from domain.trading import AttemptStatus, OrderStatus
from models.messages.trading import (
    Admission,
    AdmitOrder,
    OrderInput,
    Recorded,
    RecordStatus,
)
from store import trading, trading_accounts, trading_attempts, trading_legs, trading_market, trading_standing
from store.database import Connection, Database
from store.trading import Stored


class OrderRecord:
    """Safe to repeat: keyed by the order's id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, command: AdmitOrder) -> Admission:
        """Makes the order's row after the checks that our own record answers, and its first attempt."""
        order = command.order
        async with self._database.transaction() as connection:
            if stored := await trading.read(connection, order.order_id):
                return _admission(stored)
            if order.adopts is not None:
                return await self._adopt(connection, command)
            status, reason = await self._first_status(connection, command)
            made = await trading.insert(connection, order, status, reason, command.as_of)
            if made is None:
                made = await trading.read(connection, order.order_id)
            elif status is not OrderStatus.RISK_REJECTED:
                await trading_attempts.queue(connection, (order.order_id, 1, 1))
        if made is None:
            raise LookupError(order.order_id)
        return _admission(made)

    async def _adopt(self, connection: Connection, command: AdmitOrder) -> Admission:
        """An order that was made elsewhere is at the broker already: no check can keep it from leaving.

        Raises Rejected `known_already` where the broker's order is one of ours after all.
        """
        order = command.order
        if await trading.by_broker_order(connection, order.account_id, order.adopts or ""):
            raise Rejected("known_already")
        made = await trading.insert(connection, order, OrderStatus.SUBMITTING, None, command.as_of)
        return _admission(made or await trading.present(connection, order.order_id))

    async def record(self, command: RecordStatus) -> Recorded:
        """Writes a state that we alone decide. Raises Rejected `attempt_taken`: it may have left."""
        async with self._database.transaction() as connection:
            if command.void_attempt is not None:
                await self._void(connection, command)
            if command.leg > 1 and command.void_attempt is not None:
                stored = await trading.present(connection, command.order_id)
            else:
                stored = await trading.advance(
                    connection,
                    command.order_id,
                    command.status,
                    reason=command.reason_code,
                    now=command.as_of,
                )
        return Recorded(version=stored.version)

    async def _void(self, connection: Connection, command: RecordStatus) -> None:
        """The attempt, and with it every slice that has not left."""
        was = (AttemptStatus.QUEUED, AttemptStatus.VOID)
        key = (command.order_id, command.leg, command.void_attempt or 1)
        if not await trading_attempts.move(
            connection, key, was=was, to=AttemptStatus.VOID, reason_code="cancelled"
        ):
            raise Rejected("attempt_taken")
        await trading_legs.stop(
            connection, command.order_id, command.leg, command.reason_code, LegStatus.DROPPED
        )

    async def _first_status(
        self, connection: Connection, command: AdmitOrder
    ) -> tuple[OrderStatus, Refusal | None]:
        order, wish = command.order, wish_of(command.order.terms)
        # A session that opens now wakes the orders that stand: this one stands before it, or sees it.
        await trading_accounts.hold(connection, order.account_id)
        account = await trading_accounts.account_of(connection, order.account_id)
        if account is None or account.user_id != order.user_id:
            raise Rejected("not_found")
        standing = await trading_standing.standing_of(
            connection,
            order.user_id,
            command.as_of,
            status=account.status,
            blocked=account.blocks(order.flattens),
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


def _admission(stored: Stored) -> Admission:
    return Admission(status=stored.status, reason_code=stored.reason_code, version=stored.version)
