"""The emergency stop at work: block in one statement, cancel through each order's own process, flatten."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.brokers import Brokers, Session, beating
from activities.day_books import DayBooks, hint
from activities.order_starting import run_of
from activities.pacing import Bucket
from domain.broker_accounts import KillSwitchStatus
from domain.broker_day import ENDED, Place
from domain.errors import RateLimited, Rejected, Unavailable
from domain.market_calendar import trading_date
from domain.positions import closing_orders
from domain.pretrade import freeze_quantity
from domain.trading import OrderType, Product, Side
from models.contracts.identifiers import Prefix, mint
from models.contracts.reports import sign
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker_accounts import (
    BlockAccount,
    Flatten,
    Flattening,
    KillSwitchInput,
    KillSwitchReport,
    LiftBlock,
    LiveOrders,
)
from models.messages.broker_days import DayOrder
from models.messages.trading import Cancel, OrderInput, OrderTerms, Recorded
from models.messages.trading import Place as PlaceOrder
from providers.broker import Reading
from providers.broker_day import DayBook
from store import trading_stops
from store.database import Database
from store.vault import Vault
from workflows.ports.trading import KillSwitchPort

ASK_WITHIN = timedelta(seconds=5)
SIGNED = (KillSwitchStatus.DONE, KillSwitchStatus.NEEDS_PERSON)
CANCELS = 16
"""Orders asked at a time; the account's own gate paces what reaches the broker."""
CANCEL_WITHIN = timedelta(seconds=5)
BROKER_WITHIN = timedelta(seconds=7)
"""Together less than the step may take: what was not done by then is done in its next round."""
LOOK_SECONDS = 0.05
PRODUCTS = frozenset(Product)
"""What an order of ours can close; the broker has products that we do not trade in."""


class KillSwitchActivities(KillSwitchPort):
    """`workflows.ports.trading.KillSwitchPort`. Everything here is safe to repeat."""

    def __init__(
        self, database: Database, vault: Vault, brokers: Brokers, client: Client, report_key: str
    ) -> None:
        self._database = database
        self._brokers = brokers
        self._books = DayBooks(database, vault, brokers)
        self._client = client
        self._report_key = report_key

    @activity.defn(name="trading.block_account")
    async def block_account(self, command: BlockAccount) -> LiveOrders:
        async with self._database.transaction() as connection:
            if not await trading_stops.block(connection, command):
                raise Rejected("already_blocked")
            live = await trading_stops.live_orders(connection, command.account_id, command.kill_switch_id)
        return LiveOrders(order_ids=live)

    @activity.defn(name="trading.stop_orders")
    async def stop_orders(self, switch: KillSwitchInput) -> LiveOrders:
        """Asks each live order's process to take it back, and the broker about what no process follows; what
        has not ended after. Each part has its own time, so that a broker that keeps silent, and however many
        orders, leave a word of what still lives."""
        async with beating():
            async with self._database.reading() as connection:
                if not await trading_stops.blocks(connection, switch.account_id, switch.kill_switch_id):
                    return LiveOrders(order_ids=[])  # lifted: what still lives is left alone
                # Before the broker's own triggers are read: what has arrived by then is among those.
                leaving = await trading_stops.leaving_triggers(connection, switch.account_id)
            await self._cancel_all(switch)
            there = LiveOrders(order_ids=[], reachable=False)
            with suppress(TimeoutError):
                async with asyncio.timeout(BROKER_WITHIN.total_seconds()):
                    there = await self._stop_at_broker(switch.account_id)
            return there.model_copy(update={"order_ids": await self._live(switch), "leaving": leaving})

    async def _cancel_all(self, switch: KillSwitchInput) -> None:
        """Together: one that cannot be reached must not keep the others alive. All are asked before any is
        waited for, so that those at the end of many have their turn too."""
        room = asyncio.Semaphore(CANCELS)
        with suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_WITHIN.total_seconds()):
                await asyncio.gather(*(self._cancel(each, room) for each in await self._live(switch)))
                while True:
                    if not await self._live(switch):
                        return
                    await asyncio.sleep(LOOK_SECONDS)

    async def _stop_at_broker(self, account_id: str) -> LiveOrders:
        """Takes back triggers, and orders that only the broker's book shows; what still stands there."""
        session: Session | None = None
        try:
            session = await self._brokers.session(account_id)
            if session is None:
                return LiveOrders(order_ids=[])
            day = await self._books.of(session)
            for trigger in (await self._brokers.call(session, Bucket.READ, day.triggers())).value:
                with suppress(Rejected):  # it fired meanwhile: its order stands in the book
                    await self._brokers.call(session, Bucket.READ, day.drop_trigger(trigger))
            for order in await self._foreign(session, day):
                with suppress(Rejected):  # it ended meanwhile: the next reading says so
                    cancelling = session.broker.cancel(order.variety, order.broker_order_id)
                    await self._brokers.call(session, Bucket.READ, cancelling)
            standing = (await self._brokers.call(session, Bucket.READ, day.triggers())).value
            left = [order.broker_order_id for order in await self._foreign(session, day)]
        except Rejected as refused:
            if refused.code == "session_expired" and session is not None:
                await self._brokers.lost(session)
            return LiveOrders(order_ids=[])
        except (Unavailable, RateLimited):
            return LiveOrders(order_ids=[], reachable=False)
        return LiveOrders(order_ids=[], at_broker=left, triggers=standing, verified=True)

    async def _foreign(self, session: Session, day: DayBook) -> list[DayOrder]:
        """Live orders of the broker's book that no order of ours holds as sent."""
        book = (await self._brokers.call(session, Bucket.READ, day.orders())).value
        live = [order for order in book if order.status not in ENDED]
        async with self._database.reading() as connection:
            known = await trading_stops.known_at_broker(
                connection, session.account.account_id, [order.broker_order_id for order in live]
            )
        return [order for order in live if order.broker_order_id not in known]

    @activity.defn(name="trading.flatten")
    async def flatten(self, command: Flatten) -> LiveOrders:
        """Market orders that close what the broker says is held, under ids that follow from switch, round and
        position: once each, and none larger than ten slices of the exchange's freeze quantity. All that this
        switch has started are named, filled ones too: a worker may have died after them. Not `reachable`:
        nobody can say what is held, and nothing is sent on our own word alone."""
        switch = command.switch
        async with beating():
            shown = await self._positions(switch)
            if shown is None:
                return LiveOrders(order_ids=[], reachable=False)
            day = trading_date(shown.at)
            async with self._database.reading() as connection:
                held = await trading_stops.to_close(connection, switch.account_id, day, shown.value)
            ours = [row for row in held if row["product"] in PRODUCTS]
            orders = [_closing(command, row, part, quantity)
                      for row in ours
                      for part, quantity in enumerate(_parts(row, day), start=1)]  # fmt: skip
            for order in orders:
                await self._start(order)
            async with self._database.reading() as connection:
                made = await trading_stops.closing_orders(connection, switch.kill_switch_id)
        return LiveOrders(order_ids=made, held=len(held) - len(ours))

    async def _positions(self, switch: KillSwitchInput) -> Reading[dict[Place, int]] | None:
        """The broker's own positions; None while there is no session. What the customer made at the broker's
        desk is closed with the rest, so our book is to take it over too."""
        session = await self._brokers.session(switch.account_id)
        if session is None:
            return None
        try:
            day = await self._books.of(session)
            read = await self._brokers.call(session, Bucket.READ, day.positions())
        except Rejected as refused:
            if refused.code != "session_expired":
                raise Unavailable(refused.code) from None
            await self._brokers.lost(session)
            return None
        await hint(session)
        quantities: Counter[Place] = Counter()
        for each in read.value:
            quantities[Place(each.exchange, each.symbol, each.product)] += each.quantity
        return Reading(dict(quantities), read.at)

    @activity.defn(name="trading.flattening")
    async def flattening(self, switch: KillSwitchInput) -> Flattening:
        async with self._database.reading() as connection:
            live = await trading_stops.closing(connection, switch.kill_switch_id)
            held = await trading_stops.held(connection, switch.account_id)
        return Flattening(live=live, held=len(held))

    @activity.defn(name="trading.lift_block")
    async def lift_block(self, command: LiftBlock) -> Recorded:
        async with self._database.transaction() as connection:
            await trading_stops.lift(connection, command)
        return Recorded(version=0)

    @activity.defn(name="trading.report_stop")
    async def report_stop(self, command: KillSwitchReport) -> Recorded:
        """Writes the report, signed where it is one that the customer may show to others."""
        async with self._database.transaction() as connection:
            told = await trading_stops.told(connection, command)
            signed = sign(self._report_key, told) if command.status in SIGNED else None
            return Recorded(version=await trading_stops.report(connection, command, told, signed))

    async def _live(self, switch: KillSwitchInput) -> Sequence[str]:
        async with self._database.reading() as connection:
            return await trading_stops.live_orders(connection, switch.account_id, switch.kill_switch_id)

    async def _cancel(self, order_id: str, room: asyncio.Semaphore) -> None:
        """What came of it the next reading of our record shows; what still lives is asked again."""
        handle = self._client.get_workflow_handle(workflow_id(Kind.ORDER, order_id))
        async with room:
            with suppress(WorkflowUpdateFailedError, RPCTimeoutOrCancelledError, RPCError):
                await handle.start_update(
                    "cancel",
                    Cancel(),
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    rpc_timeout=ASK_WITHIN,
                )

    async def _start(self, order: OrderInput) -> None:
        """Under one update id, so that a repeat gets the first answer, after the run has ended too."""
        summary = f"Closing {order.terms.exchange}:{order.terms.symbol} for a kill switch"
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            "Order", order, **run_of(order, summary)
        )
        try:
            await self._client.execute_update_with_start_workflow(
                "place",
                PlaceOrder(),
                start_workflow_operation=start,
                id=order.order_id,
                rpc_timeout=ASK_WITHIN,
            )
        except WorkflowAlreadyStartedError:
            return  # run to its end, and `flattening` reads what became of it
        except (RPCError, RPCTimeoutOrCancelledError):
            raise Unavailable("order_process_away") from None
        finally:
            with suppress(RPCError, TimeoutError, WorkflowAlreadyStartedError):
                await asyncio.wait_for(start.workflow_handle(), 0)


def _parts(row: dict[str, Any], day: date) -> list[int]:
    """The position in orders, as large as the exchange's freeze quantity of the day allows."""
    freeze = freeze_quantity(row["underlying"], day) if row["underlying"] else None
    return closing_orders(abs(int(row["quantity"])), freeze, int(row["lot"] or 1))


def _closing(command: Flatten, row: dict[str, Any], part: int, quantity: int) -> OrderInput:
    switch = command.switch
    terms = OrderTerms.model_validate(
        {
            **{name: row[name] for name in ("exchange", "symbol", "product")},
            "side": Side.SELL if row["quantity"] > 0 else Side.BUY,
            "quantity": quantity,
            "order_type": OrderType.MARKET,
        }
    )
    place = f"{terms.exchange}/{terms.symbol}/{terms.product}"
    name = f"{switch.kill_switch_id}/{command.round}/{place}/{part}"
    return OrderInput(
        order_id=mint(Prefix.ORDER, uuid.uuid5(uuid.NAMESPACE_OID, name)),
        user_id=switch.user_id,
        account_id=switch.account_id,
        terms=terms,
        assertion_public_key=switch.assertion_public_key,
        flattens=switch.kill_switch_id,
    )
