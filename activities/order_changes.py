"""Cancelling and modifying at the broker: all that still lives of an order, every slice of it."""

from datetime import UTC, datetime

from activities.brokers import Brokers, Session
from activities.order_checks import MarketChecks, wish_of
from activities.pacing import Bucket
from domain import pretrade
from domain.errors import Rejected
from domain.pretrade import Refusal
from domain.slices import ENDED, LegStatus
from domain.trading import MAX_MODIFICATIONS, OrderStatus
from models.messages.trading import CancelAtBroker, ModifyAtBroker, OrderTerms, Recorded, SubmitOrder
from store import trading, trading_accounts, trading_legs, trading_standing
from store.database import Connection, Database


class OrderChanges:
    """The same change twice is the same order: safe to repeat, though the broker counts it."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers
        self._checks = MarketChecks(database, brokers)

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
        """Changes what lives of an order, if what it becomes passes the checks of a new one.

        Raises Rejected: `modifications_spent`, `sliced_quantity` (each slice has its own), a `Refusal`, or
        the broker's refusal.
        """
        async with self._database.reading() as connection:
            terms, filled, times = await trading.terms_of(connection, command.order_id)
            before = await self._worth(connection, command.order_id, terms)
        if times >= MAX_MODIFICATIONS:
            raise Rejected("modifications_spent")
        if command.legs > 1 and command.change.quantity is not None:
            raise Rejected("sliced_quantity")
        terms = terms.changed(command.change)
        session = await self._session(command.account_id)
        value = await self._weighed(command, session, terms, filled, before)
        try:
            for broker_order_id in await self._living(
                command.order_id, command.broker_order_id, command.legs
            ):
                await self._modified(command, session, broker_order_id)
        except Rejected:
            async with self._database.reading() as connection:
                await trading_standing.reserve(connection, command.order_id, before)
            raise
        async with self._database.transaction() as connection:
            await trading.modified(connection, command.order_id, terms, value, _now())
        return await self._version(command.order_id)

    async def _worth(self, connection: Connection, order_id: str, terms: OrderTerms) -> int:
        """What the order stands for now: by its own price where it has one, since an earlier try of this
        change may have reserved more."""
        if terms.price:
            return pretrade.order_value(wish_of(terms), terms.price)
        return await trading_standing.reserved(connection, order_id)

    async def _weighed(
        self, command: ModifyAtBroker, session: Session, terms: OrderTerms, filled: int, before: int
    ) -> int:
        """Judges what is left to fill of the order as it would become; what the whole is then worth. Until
        the broker has answered it counts as much as the larger of both."""
        flaw = pretrade.terms_refusal(wish_of(terms))
        if flaw is not None or terms.quantity <= filled:
            raise Rejected(flaw or "quantity_filled")
        left = terms.quantity - filled
        asked = SubmitOrder(
            order_id=command.order_id,
            user_id=command.user_id,
            account_id=command.account_id,
            attempt=1,
            terms=terms.model_copy(update={"quantity": left}),
            as_of=_now(),
        )
        verdict = await self._checks.judge(asked, session, stands=True)
        refusal: str | None = verdict.refusal
        if command.legs == 1 and len(verdict.slices) > 1:
            refusal = refusal or Refusal.FREEZE_QUANTITY
        value = verdict.value * terms.quantity // left
        if refusal is None:
            async with self._database.reading() as connection:
                refusal = await self._checks.reserve(connection, asked, verdict, max(value, before))
        if refusal is not None:
            raise Rejected(refusal)
        return value

    async def _modified(self, command: ModifyAtBroker, session: Session, broker_order_id: str) -> None:
        await self._brokers.passed(session, Bucket.READ)
        # After the gate, where it may have waited: nothing grows on an account that was stopped meanwhile.
        async with self._database.reading() as connection:
            account = await trading_accounts.account_of(connection, command.account_id)
        if account is None or account.blocks(None):
            raise Rejected(Refusal.ACCOUNT_BLOCKED)
        call = session.broker.modify(command.variety.value, broker_order_id, command.change)
        await self._brokers.noted(session, call)

    async def _cancelled(self, session: Session, command: CancelAtBroker, broker_order_id: str) -> bool:
        try:
            call = session.broker.cancel(command.variety.value, broker_order_id)
            await self._brokers.call(session, Bucket.READ, call)
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
