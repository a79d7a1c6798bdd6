"""Starts the order of each customer who wants one prepared when a signal is published."""

from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.brokers import beating
from domain.errors import Unavailable
from domain.signals import Action, quantity_for
from models.contracts.identifiers import Prefix, derived
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.signal_orders import Prepared, PreparePage, signal_terms
from models.messages.trading import OrderInput, SignalOrigin
from models.settings import Settings
from store import signal_orders, signals, trading, trading_market
from store.database import Connection, Database
from store.signal_orders import Follower
from workflows.ports.signal_orders import SignalOrdersPort

PAGE = 50
DELIVERED = ("NSE", "BSE")


class SignalOrdersActivities(SignalOrdersPort):
    """`workflows.ports.signal_orders.SignalOrdersPort`."""

    def __init__(self, settings: Settings, database: Database, client: Client) -> None:
        self._settings = settings
        self._database = database
        self._client = client

    @activity.defn(name="signals.prepare_orders")
    async def prepare_orders(self, command: PreparePage) -> Prepared:
        """One page of accounts; safe to repeat. Where the signal is over, or says hold, nobody is asked."""
        async with beating():
            async with self._database.reading() as connection:
                signal = await signals.find(connection, command.signal_id)
                known = await trading.signal_of(connection, command.signal_id)
                if signal is None or known is None or signal["action"] == Action.HOLD:
                    return Prepared(orders=0, after=None)
                found = await signal_orders.followers(
                    connection, signal, command.after, PAGE + 1, command.as_of
                )
                orders = [(each, await self._quantity(connection, signal, each)) for each in found[:PAGE]]
            origin = SignalOrigin(**known)
            made = [
                await self._start(each, signal, origin, quantity) for each, quantity in orders if quantity
            ]
        return Prepared(orders=len(made), after=found[PAGE - 1].account_id if len(found) > PAGE else None)

    async def _quantity(self, connection: Connection, signal: dict[str, Any], follower: Follower) -> int:
        """What the customer's sum buys; of shares, only what is held can be sold."""
        delivered = signal["exchange"] in DELIVERED
        if signal["action"] != Action.BUY and delivered:
            return max(follower.held, 0)
        listed = await trading_market.last_listed(
            connection, follower.broker, signal["exchange"], signal["symbol"]
        )
        if listed is None and not delivered:
            return 0
        return quantity_for(follower.value, signal["entry_price"], listed[0].lot if listed else 1)

    async def _start(
        self, follower: Follower, signal: dict[str, Any], origin: SignalOrigin, quantity: int
    ) -> str:
        order = OrderInput(
            order_id=derived(Prefix.ORDER, "signal", origin.signal_id, follower.account_id),
            user_id=follower.user_id,
            account_id=follower.account_id,
            terms=signal_terms(signal["exchange"], signal["symbol"], signal["action"], quantity, origin),
            origin=origin,
            confirmed=follower.mode == "auto",
            prepared=True,
            assertion_public_key=self._settings.assertion_public_key,
        )
        try:
            await self._client.start_workflow(
                "Order",
                order,
                id=workflow_id(Kind.ORDER, order.order_id),
                task_queue=Queue.TRADING,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"{order.terms.side} {quantity} {signal['exchange']}:{signal['symbol']}",
                static_details=f"Prepared for signal `{origin.signal_id}`",
                task_timeout=timedelta(seconds=3),
            )
        except WorkflowAlreadyStartedError:
            pass  # prepared and over
        except RPCError:
            raise Unavailable("order_process_away") from None
        return order.order_id
