"""The emergency stop at work: block in one statement, cancel through each order's own process, flatten."""

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from activities.brokers import beating
from domain.errors import Rejected, Unavailable
from domain.trading import OrderType, Side
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker_accounts import (
    BlockAccount,
    KillSwitchInput,
    KillSwitchReport,
    LiftBlock,
    LiveOrders,
)
from models.messages.trading import Cancel, OrderInput, OrderTerms, Place, Recorded
from store import trading_stops
from store.database import Database
from workflows.ports.trading import KillSwitchPort

ASK_WITHIN = timedelta(seconds=5)
CANCELS = 16
"""Orders asked at a time; the account's own gate paces what reaches the broker."""


class KillSwitchActivities(KillSwitchPort):
    """`workflows.ports.trading.KillSwitchPort`. Everything here is safe to repeat."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._client = client

    @activity.defn(name="trading.block_account")
    async def block_account(self, command: BlockAccount) -> LiveOrders:
        async with self._database.transaction() as connection:
            if not await trading_stops.block(connection, command):
                raise Rejected("already_blocked")
            live = await trading_stops.live_orders(connection, command.account_id)
        return LiveOrders(order_ids=live)

    @activity.defn(name="trading.stop_orders")
    async def stop_orders(self, account_id: str) -> LiveOrders:
        """Asks each live order's process to take it back; the orders that have not ended after."""
        async with beating():
            # Together: one that cannot be reached must not keep the others alive.
            room = asyncio.Semaphore(CANCELS)
            await asyncio.gather(*(self._cancel(order_id, room) for order_id in await self._live(account_id)))
            return LiveOrders(order_ids=await self._live(account_id))

    @activity.defn(name="trading.flatten")
    async def flatten(self, switch: KillSwitchInput) -> LiveOrders:
        """One market order a position, under an id that follows from switch and position: once each."""
        async with self._database.reading() as connection:
            held = await trading_stops.held(connection, switch.account_id)
        orders = [_closing(switch, row) for row in held]
        for order in orders:
            await self._start(order)
        return LiveOrders(order_ids=[order.order_id for order in orders])

    @activity.defn(name="trading.lift_block")
    async def lift_block(self, command: LiftBlock) -> Recorded:
        async with self._database.transaction() as connection:
            await trading_stops.lift(connection, command)
        return Recorded(version=0)

    @activity.defn(name="trading.report_stop")
    async def report_stop(self, command: KillSwitchReport) -> Recorded:
        async with self._database.transaction() as connection:
            return Recorded(version=await trading_stops.report(connection, command))

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
        except (RPCError, RPCTimeoutOrCancelledError):
            raise Unavailable("order_process_away") from None
        finally:
            with suppress(RPCError, TimeoutError):
                await asyncio.wait_for(start.workflow_handle(), 0)


def _closing(switch: KillSwitchInput, row: dict[str, object]) -> OrderInput:
    quantity = int(str(row["quantity"]))
    terms = OrderTerms.model_validate(
        {
            **{name: row[name] for name in ("exchange", "symbol", "product")},
            "side": Side.SELL if quantity > 0 else Side.BUY,
            "quantity": abs(quantity),
            "order_type": OrderType.MARKET,
        }
    )
    name = f"{switch.kill_switch_id}/{terms.exchange}/{terms.symbol}/{terms.product}"
    return OrderInput(
        order_id=mint(Prefix.ORDER, uuid.uuid5(uuid.NAMESPACE_OID, name)),
        user_id=switch.user_id,
        account_id=switch.account_id,
        terms=terms,
        assertion_public_key=switch.assertion_public_key,
        flattens=switch.kill_switch_id,
    )
