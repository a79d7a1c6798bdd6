"""The emergency stop at work: block in one statement, cancel through each order's own process, flatten."""

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.brokers import Brokers, Session, beating
from activities.day_books import DayBooks
from activities.pacing import Bucket
from domain.broker_accounts import KillSwitchStatus
from domain.broker_day import ENDED
from domain.errors import RateLimited, Rejected, Unavailable
from domain.market_calendar import trading_date
from domain.positions import closing_orders
from domain.pretrade import freeze_quantity
from domain.trading import OrderType, Side
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
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
from models.messages.trading import Cancel, OrderInput, OrderTerms, Place, Recorded
from providers.broker_day import DayBook
from store import trading_stops
from store.database import Database
from store.vault import Vault
from workflows.ports.trading import KillSwitchPort

ASK_WITHIN = timedelta(seconds=5)
SIGNED = (KillSwitchStatus.DONE, KillSwitchStatus.NEEDS_PERSON)
CANCELS = 16
"""Orders asked at a time; the account's own gate paces what reaches the broker."""


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
            live = await trading_stops.live_orders(connection, command.account_id)
        return LiveOrders(order_ids=live)

    @activity.defn(name="trading.stop_orders")
    async def stop_orders(self, account_id: str) -> LiveOrders:
        """Asks each live order's process to take it back, and the broker about what no process follows; what
        has not ended after."""
        async with beating():
            # Together: one that cannot be reached must not keep the others alive.
            room = asyncio.Semaphore(CANCELS)
            await asyncio.gather(*(self._cancel(order_id, room) for order_id in await self._live(account_id)))
            there = await self._stop_at_broker(account_id)
            return there.model_copy(update={"order_ids": await self._live(account_id)})

    async def _stop_at_broker(self, account_id: str) -> LiveOrders:
        """Takes back triggers, and orders that only the broker's book shows; what still stands there."""
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
                    await self._brokers.call(session, Bucket.ORDER, cancelling)
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
        """Market orders that close what is held, under ids that follow from switch, round and position: once
        each, and none larger than ten slices of the exchange's freeze quantity."""
        switch = command.switch
        async with beating():
            day = trading_date(self._brokers.clock("kite").now() or datetime.now(UTC))
            async with self._database.reading() as connection:
                held = await trading_stops.held(connection, switch.account_id)
            orders = [_closing(command, row, part, quantity)
                      for row in held
                      for part, quantity in enumerate(_parts(row, day), start=1)]  # fmt: skip
            for order in orders:
                await self._start(order)
        return LiveOrders(order_ids=[order.order_id for order in orders])

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

    async def _live(self, account_id: str) -> Sequence[str]:
        async with self._database.reading() as connection:
            return await trading_stops.live_orders(connection, account_id)

    async def _cancel(self, order_id: str, room: asyncio.Semaphore) -> None:
        """What came of it the next reading of our record shows; what still lives is asked again."""
        handle = self._client.get_workflow_handle(workflow_id(Kind.ORDER, order_id))
        async with room:
            with suppress(WorkflowUpdateFailedError, RPCTimeoutOrCancelledError, RPCError):
                await handle.execute_update("cancel", Cancel(), rpc_timeout=ASK_WITHIN)

    async def _start(self, order: OrderInput) -> None:
        """Under one update id, so that a repeat gets the first answer, after the run has ended too."""
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            "Order",
            order,
            id=workflow_id(Kind.ORDER, order.order_id),
            task_queue=Queue.TRADING,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"Closing {order.terms.exchange}:{order.terms.symbol} for a kill switch",
            task_timeout=timedelta(seconds=3),
        )
        try:
            await self._client.execute_update_with_start_workflow(
                "place", Place(), start_workflow_operation=start, id=order.order_id, rpc_timeout=ASK_WITHIN
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
