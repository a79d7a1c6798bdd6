"""A signal order's target and stop at the broker: placed once, found where the answer was lost, watched."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from activities.brokers import PAPER, Brokers, Session, beating, to_the_end
from activities.foreign_orders import look_for_foreign_orders
from activities.pacing import Bucket
from activities.paper import PaperAccount
from activities.paper_triggers import PaperTriggers
from domain import exits
from domain.errors import RateLimited, Rejected, Unavailable
from domain.exits import ExitStatus
from domain.market_calendar import INDIA_2026, trading_date
from domain.trading import (
    LOOK_AGAIN,
    LOOKS_TO_PROVE,
    PERSON_AFTER,
    BrokerStatus,
    Exchange,
    Side,
    counts_as_look,
)
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.exits import BrokerTrigger, ExitStanding, OpenExit, WorkExit
from models.messages.trading import BrokerEvent
from providers.broker import Reading
from providers.kite import KiteAccount
from providers.triggers import KiteTriggers, Triggers
from store import trading_exits
from store.database import Database
from workflows.ports.exits import ExitPort

X = ExitStatus
NO_SESSION_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 3600.0
ADOPTED_SECONDS = 1.0
"""How soon a fired order that has ended is looked for in our book."""


@dataclass(frozen=True)
class Counter:
    """A session with its triggers."""

    session: Session
    triggers: Triggers


class ExitActivities(ExitPort):
    """`workflows.ports.exits.ExitPort` on Postgres and the broker. All but `place` is safe to repeat."""

    def __init__(self, database: Database, brokers: Brokers, client: Client) -> None:
        self._database = database
        self._brokers = brokers
        self._client = client

    @activity.defn(name="exits.open")
    async def open(self, command: OpenExit) -> ExitStanding:
        async with self._database.transaction() as connection:
            return await trading_exits.open_exit(connection, command.exit, X.PLACING, None, command.as_of)

    @activity.defn(name="exits.place")
    async def place(self, command: WorkExit) -> ExitStanding:
        """Sends the trigger, if the position is held and the market stands between the levels.

        Raises Unknown where it may have reached the broker and no answer came; the row then says `sending`.
        """
        async with beating():
            return await to_the_end(self._place(command))

    @activity.defn(name="exits.find")
    async def find(self, command: WorkExit) -> ExitStanding:
        """What became of a trigger that was not answered: the broker's book, by what it is to do."""
        async with beating():
            return await self._find(command)

    @activity.defn(name="exits.look")
    async def look(self, command: WorkExit) -> ExitStanding:
        """What an active trigger, or the order that it fired, has come to."""
        async with beating():
            return await self._look(command)

    async def _place(self, command: WorkExit) -> ExitStanding:
        row = await self._row(command.order_id)
        if row["status"] not in (X.PLACING, X.UNPROTECTED):
            return trading_exits.standing(row)
        if row["status"] == X.UNPROTECTED and row["reason_code"] == exits.TRIGGER_UNKNOWN:
            return await self._find_at_last(row, command)
        wanted = _wanted(row)
        if row["blocked"] or row["closed"] or wanted <= 0:
            return await self._nothing_to_keep(row)
        if row["broker_order_id"] and not row["fired_ended"]:
            # What it fired may have sold already what our book still holds: until whoever follows that order
            # has it to its end, or a person has ended it.
            unread = row["status"] == X.UNPROTECTED and row["reason_code"] == exits.FIRED_UNREAD
            return _paused(row, exits.TRY_AGAIN.total_seconds() if unread else ADOPTED_SECONDS)
        counter = await self._counter(command)
        if counter is None:
            return _paused(row, NO_SESSION_SECONDS)
        try:
            quote = await self._brokers.quote(counter.session, row["exchange"], row["symbol"])
        except Rejected as refused:
            return await self._without(row, counter, refused)
        except (RateLimited, Unavailable) as away:
            return _paused(row, away.retry_after or 1.0)
        shut = (INDIA_2026.next_open(Exchange(row["exchange"]), quote.at) - quote.at).total_seconds()
        if shut:
            return _paused(row, min(shut, LONGEST_PAUSE_SECONDS))
        pair = await self._legs(row)
        if quote.value is None or not exits.between(pair, quote.value.last_price):
            return await self._unprotected(row, "level_passed")
        if row["status"] == X.UNPROTECTED:
            await self._move(row, X.PLACING)
        return await self._send(row, counter, pair, quote, wanted)

    async def _nothing_to_keep(self, row: dict[str, Any]) -> ExitStanding:
        """Over, but where the order may still fill more."""
        if row["blocked"] or row["closed"]:
            return await self._move(row, X.CANCELLED, reason="account_blocked")
        if not row["entry_over"]:
            return _paused(row, float(exits.LOOK_SECONDS[-1]))
        if row["reason_code"] == exits.ENTRY_LIVES:
            return await self._move(row, X.FILLED)
        return await self._move(row, X.CANCELLED, reason="position_closed")

    async def _send(
        self,
        row: dict[str, Any],
        counter: Counter,
        pair: tuple[exits.Leg, exits.Leg],
        quote: Any,
        quantity: int,
    ) -> ExitStanding:
        await self._brokers.passed(counter.session, Bucket.READ)
        async with self._database.reading() as connection:
            day = trading_date(quote.at)
            if not await trading_exits.begin(connection, row["order_id"], quantity, day):
                return trading_exits.standing(await trading_exits.read(connection, row["order_id"]))
            try:
                call = counter.triggers.place(
                    row["exchange"],
                    row["symbol"],
                    row["product"],
                    Side(row["side"]),
                    quantity,
                    pair,
                    quote.value.last_price,
                )
                placed = await self._brokers.noted(counter.session, call)
            except Rejected as refused:
                return await self._refused(row, counter, refused)
            except (RateLimited, Unavailable):
                return await self._move(row, X.PLACING, pause=1.0)
            finally:
                await trading_exits.unlock(connection, row["order_id"])
        return await self._move(row, X.ACTIVE, trigger_id=placed.value)

    async def _refused(self, row: dict[str, Any], counter: Counter, refused: Rejected) -> ExitStanding:
        if refused.code == "session_expired":
            await self._brokers.lost(counter.session)
            return await self._move(row, X.PLACING, pause=NO_SESSION_SECONDS)
        return await self._unprotected(row, refused.code)

    async def _unprotected(self, row: dict[str, Any], reason: str) -> ExitStanding:
        if row["status"] == X.UNPROTECTED:
            return _paused(row, exits.TRY_AGAIN.total_seconds())
        return await self._move(row, X.UNPROTECTED, reason=reason, pause=exits.TRY_AGAIN.total_seconds())

    async def _find(self, command: WorkExit) -> ExitStanding:
        row = await self._row(command.order_id)
        if row["status"] != X.SENDING:
            return trading_exits.standing(row)
        counter = await self._counter(command)
        overdue = row["age"] >= PERSON_AFTER
        if counter is None:
            return await self._unknown(row) if overdue else _paused(row, NO_SESSION_SECONDS)
        try:
            found = await self._found(row, counter)
        except Rejected as refused:
            return await self._without(row, counter, refused)
        if found is not None:
            return await self._move(row, X.ACTIVE, trigger_id=found.trigger_id)
        if row["same_server"] and row["unlocked"] and await self._proven(row):
            return await self._move(row, X.PLACING)
        return await self._unknown(row) if overdue else _paused(row, LOOK_AGAIN.total_seconds())

    async def _unknown(self, row: dict[str, Any]) -> ExitStanding:
        """Its sender holds on for too long; or nobody can tell, since Postgres has started anew or there is
        no session."""
        pause = exits.TRY_AGAIN.total_seconds()
        return await self._move(row, X.UNPROTECTED, reason=exits.TRIGGER_UNKNOWN, pause=pause)

    async def _find_at_last(self, row: dict[str, Any], command: WorkExit) -> ExitStanding:
        """A later book decides about a trigger that nobody knew of in time: nothing is placed beside it."""
        if row["closed"]:
            return await self._move(row, X.CANCELLED, reason="account_closed")
        counter = await self._counter(command)
        if counter is None:
            return _paused(row, NO_SESSION_SECONDS)
        try:
            found = await self._found(row, counter)
        except Rejected as refused:
            return await self._without(row, counter, refused)
        if found is not None:
            return await self._move(row, X.ACTIVE, trigger_id=found.trigger_id)
        if row["unlocked"] and await self._proven(row):
            return await self._move(row, X.PLACING)
        return _paused(row, NO_SESSION_SECONDS)

    async def _found(self, row: dict[str, Any], counter: Counter) -> BrokerTrigger | None:
        """The trigger that was sent, if the broker's book has it."""
        book = await self._brokers.call(counter.session, Bucket.READ, counter.triggers.book())
        pair = await self._legs(row)
        async with self._database.reading() as connection:
            claimed = await trading_exits.claimed(connection, row["account_id"])
        return next(
            (each for each in book.value if _is(each, row, pair) and each.trigger_id not in claimed), None
        )

    async def _proven(self, row: dict[str, Any]) -> bool:
        """Whether the book has been without the trigger often enough."""
        if not counts_as_look(row["age"]):
            return False
        async with self._database.reading() as connection:
            return await trading_exits.looked(connection, row["order_id"]) >= LOOKS_TO_PROVE

    async def _look(self, command: WorkExit) -> ExitStanding:
        row = await self._row(command.order_id)
        if row["status"] not in (X.ACTIVE, X.TRIGGERED):
            return trading_exits.standing(row)
        if row["closed"] and row["broker"] == PAPER:
            # Nothing of a closed paper account fires; at a real broker the trigger stands until it is seen.
            return await self._move(row, X.CANCELLED, reason="account_closed")
        counter = await self._counter(command)
        if counter is None:
            return _paused(row, NO_SESSION_SECONDS)
        try:
            if row["status"] == X.TRIGGERED:
                return await self._fired(row, counter)
            book = await self._brokers.call(counter.session, Bucket.READ, counter.triggers.book())
            shown = next((each for each in book.value if each.trigger_id == row["trigger_id"]), None)
            return await self._watched(row, counter, shown, book)
        except Rejected as refused:
            return await self._without(row, counter, refused)

    async def _watched(
        self, row: dict[str, Any], counter: Counter, shown: BrokerTrigger | None, book: Reading[Any]
    ) -> ExitStanding:
        """An active trigger: touched, taken away, or no longer needed."""
        status = shown.status if shown is not None else "gone"
        if status == "triggered" and shown is not None:
            await self._tell(row)
            if shown.fired is None:
                return await self._unprotected(row, "fired_order_refused")
            day = trading_date(book.at)
            return await self._move(row, X.TRIGGERED, broker_order_id=shown.fired, day=day)
        if status in ("deleted", "cancelled"):
            return await self._move(row, X.CANCELLED, reason="taken_back")
        if status != "active":
            return await self._move(row, X.PLACING, reason=f"trigger_{status}")
        wanted = _wanted(row)
        if wanted == row["quantity"] and not row["blocked"]:
            return _paused(row, _until_open(row, book.at))
        # The position was closed otherwise, or a part of it: no trigger may sell what is not held. Or the
        # order has filled more: what is held has its stop.
        await self._brokers.call(counter.session, Bucket.READ, counter.triggers.drop(row["trigger_id"]))
        if row["blocked"] or (wanted <= 0 and row["entry_over"]):
            return await self._nothing_to_keep({**row, "reason_code": None})
        reason = "position_larger" if wanted > row["quantity"] else "position_smaller"
        return await self._move(row, X.PLACING, reason=reason)

    async def _fired(self, row: dict[str, Any], counter: Counter) -> ExitStanding:
        """The order that the trigger fired: only its fill is one."""
        asked = counter.session.broker.order(row["broker_order_id"])
        try:
            order = (await self._brokers.call(counter.session, Bucket.READ, asked)).value
        except Rejected as refused:
            if refused.code == "session_expired" or not await self._day_is_over(row, counter):
                raise
            return await self._move(row, X.UNPROTECTED, reason=exits.FIRED_UNREAD)
        await self._tell(row)
        if order.status is BrokerStatus.COMPLETE:
            if not row["entry_over"]:
                return await self._move(
                    row, X.PLACING, reason=exits.ENTRY_LIVES, filled=order.filled_quantity
                )
            return await self._move(row, X.FILLED, filled=order.filled_quantity)
        if order.status in (BrokerStatus.CANCELLED, BrokerStatus.REJECTED):
            # A part may be filled: what is put in place again is what is still held.
            return await self._move(
                row, X.PLACING, reason=order.reason_code or "fired_order_failed", filled=order.filled_quantity
            )
        return _paused(row, 0.0)

    async def _day_is_over(self, row: dict[str, Any], counter: Counter) -> bool:
        """Whether the book is one of a later day, which shows no order of the day of this one."""
        book = await self._brokers.call(counter.session, Bucket.READ, counter.session.broker.book())
        shown = any(order.broker_order_id == row["broker_order_id"] for order in book.value)
        return not shown and trading_date(book.at) > row["sent_on"]

    async def _counter(self, command: WorkExit) -> Counter | None:
        session = await self._brokers.session(command.account_id)
        if session is None:
            return None
        match session.broker:
            case KiteAccount() as broker:
                return Counter(session, KiteTriggers(broker))
            case PaperAccount() as broker:
                return Counter(session, PaperTriggers(self._database, broker))
        return None

    async def _without(self, row: dict[str, Any], counter: Counter, refused: Rejected) -> ExitStanding:
        if refused.code != "session_expired":
            raise Unavailable(refused.code) from None
        await self._brokers.lost(counter.session)
        return _paused(row, NO_SESSION_SECONDS)

    async def _legs(self, row: dict[str, Any]) -> tuple[exits.Leg, exits.Leg]:
        async with self._database.reading() as connection:
            tick = await trading_exits.tick_of(connection, row["broker"], row["exchange"], row["symbol"])
        if tick is None:
            raise Unavailable("instrument_unknown")
        return exits.legs(Side(row["side"]), row["target_price"], row["stop_price"], tick)

    async def _row(self, order_id: str) -> dict[str, Any]:
        async with self._database.transaction() as connection:
            return await trading_exits.read(connection, order_id)

    async def _move(
        self, row: dict[str, Any], to: ExitStatus, *, pause: float = 0.0, **change: Any
    ) -> ExitStanding:
        async with self._database.transaction() as connection:
            moved = await trading_exits.move(connection, row["order_id"], to, now=datetime.now(UTC), **change)
        return moved.model_copy(update={"pause_seconds": pause})

    async def _tell(self, row: dict[str, Any]) -> None:
        """Whoever looks for orders made elsewhere takes the fired one up, with its trades."""
        account_id = row["account_id"]
        handle = self._client.get_workflow_handle(workflow_id(Kind.FOREIGN_ORDERS, account_id))
        try:
            if row["broker"] == PAPER:
                # Nobody looks all the time where only a trigger makes such orders.
                await look_for_foreign_orders(self._client, account_id, row["user_id"], hint=True)
            else:
                await handle.signal("broker_event", BrokerEvent(event_number=0))
        except RPCError:
            return  # the postback or the next look brings it


def _held(row: dict[str, Any]) -> int:
    """How much of the position the exit may close: what earlier ones are to close is theirs."""
    held = int(row["held"]) if row["side"] == Side.SELL else -int(row["held"])
    return held - int(row["before"])


def _wanted(row: dict[str, Any]) -> int:
    """How much the trigger is to close: what the order has filled by now, as far as it is still held."""
    return min(_held(row), int(row["entered"]))


def _is(trigger: BrokerTrigger, row: dict[str, Any], pair: tuple[exits.Leg, exits.Leg]) -> bool:
    """Whether this is what was sent: the book has no tag of ours, but everything else."""
    return (
        (trigger.exchange, trigger.symbol, trigger.side) == (row["exchange"], row["symbol"], row["side"])
        and trigger.levels == tuple(leg.trigger for leg in pair)
        and trigger.prices == tuple(leg.price for leg in pair)
        and trigger.quantity == row["quantity"]
        and trigger.status in ("active", "triggered")
    )


def _paused(row: dict[str, Any], seconds: float) -> ExitStanding:
    return trading_exits.standing(row).model_copy(update={"pause_seconds": seconds})


def _until_open(row: dict[str, Any], now: datetime) -> float:
    """No trigger fires while the market is shut."""
    opens = INDIA_2026.next_open(Exchange(row["exchange"]), now)
    return min((opens - now).total_seconds(), LONGEST_PAUSE_SECONDS)
