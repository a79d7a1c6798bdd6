"""Cancelling and modifying at the broker: all that still lives of an order, every slice of it."""

from datetime import UTC, datetime

from activities.brokers import Brokers, Session
from activities.pacing import Bucket
from domain.errors import Rejected
from domain.slices import ENDED, LegStatus
from domain.trading import MAX_MODIFICATIONS, OrderStatus
from models.messages.trading import CancelAtBroker, ModifyAtBroker, Recorded
from store import trading, trading_legs
from store.database import Database


class OrderChanges:
    """The same change twice is the same order: safe to repeat, though the broker counts it."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers

    async def cancel(self, command: CancelAtBroker) -> Recorded:
        """Asks the broker to cancel. A refusal is no error here: the book's next reading tells why."""
        session = await self._session(command.account_id)
        asked = [
            await self._cancelled(session, command, broker_order_id)
            for broker_order_id in await self._living(command.order_id, command.broker_order_id, command.legs)
        ]
        if not any(asked):
            return await self._version(command.order_id)
        async with self._database.transaction() as connection:
            stored = await trading.advance(
                connection, command.order_id, OrderStatus.CANCEL_PENDING, now=_now()
            )
        return Recorded(version=stored.version)

    async def modify(self, command: ModifyAtBroker) -> Recorded:
        """Changes what lives of an order.

        Raises Rejected: `modifications_spent`, `sliced_quantity` (each slice has its own), or the broker's
        refusal.
        """
        async with self._database.reading() as connection:
            if await trading.modifications_of(connection, command.order_id) >= MAX_MODIFICATIONS:
                raise Rejected("modifications_spent")
        if command.legs > 1 and command.change.quantity is not None:
            raise Rejected("sliced_quantity")
        session = await self._session(command.account_id)
        for broker_order_id in await self._living(command.order_id, command.broker_order_id, command.legs):
            call = session.broker.modify(command.variety.value, broker_order_id, command.change)
            await self._brokers.call(session, Bucket.ORDER, call)
        async with self._database.transaction() as connection:
            await trading.modified(connection, command.order_id, command.change, _now())
        return await self._version(command.order_id)

    async def _cancelled(self, session: Session, command: CancelAtBroker, broker_order_id: str) -> bool:
        try:
            call = session.broker.cancel(command.variety.value, broker_order_id)
            await self._brokers.call(session, Bucket.ORDER, call)
        except Rejected as refused:
            if refused.code == "session_expired":
                await self._brokers.lost(session)
                raise
            return False
        return True

    async def _living(self, order_id: str, broker_order_id: str, legs: int) -> list[str]:
        """The broker's ids of what is not over, as last read."""
        if legs == 1:
            return [broker_order_id]
        async with self._database.reading() as connection:
            known = await trading_legs.of(connection, order_id)
        over = ENDED - {LegStatus.DROPPED}
        return [leg.broker_order_id for leg in known if leg.broker_order_id and leg.status not in over]

    async def _session(self, account_id: str) -> Session:
        session = await self._brokers.session(account_id)
        if session is None:
            raise Rejected("session_expired")
        return session

    async def _version(self, order_id: str) -> Recorded:
        async with self._database.reading() as connection:
            stored = await trading.read(connection, order_id)
        return Recorded(version=stored.version if stored else 0)


def _now() -> datetime:
    """When our record was written; market time is the broker's."""
    return datetime.now(UTC)
