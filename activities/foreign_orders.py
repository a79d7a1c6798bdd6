"""Takes up orders that a customer made elsewhere: each once, under an id that follows from the broker's."""

import uuid
from datetime import timedelta

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from activities.brokers import Brokers, beating
from activities.order_starting import start_order
from activities.pacing import Bucket
from activities.paper import PaperAccount
from domain.errors import Rejected, Unavailable
from domain.market_calendar import INDIA_2026
from domain.trading import Exchange
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker import BrokerOrder
from models.messages.foreign_orders import AdoptOrders, ForeignOrdersInput, OrdersAdopted
from models.messages.trading import BrokerEvent, OrderInput
from store import trading
from store.database import Database
from workflows.ports.foreign_orders import ForeignOrdersPort

log = structlog.get_logger()

LOOK_EVERY = timedelta(minutes=2)
LOOK_SELDOM = timedelta(minutes=30)
"""While every exchange is shut: only after-market orders can be new."""


class ForeignOrderActivities(ForeignOrdersPort):
    """`workflows.ports.foreign_orders.ForeignOrdersPort`. Safe to repeat."""

    def __init__(self, database: Database, brokers: Brokers, client: Client) -> None:
        self._database = database
        self._brokers = brokers
        self._client = client

    @activity.defn(name="trading.adopt_orders")
    async def adopt_orders(self, command: AdoptOrders) -> OrdersAdopted:
        async with beating():
            session = await self._brokers.session(command.account_id)
            if session is None:
                return OrdersAdopted(order_ids=[], pause_seconds=None)
            try:
                book = await self._brokers.call(session, Bucket.READ, session.broker.book())
            except Rejected as refused:
                if refused.code != "session_expired":
                    raise Unavailable(refused.code) from None
                await self._brokers.lost(session)
                return OrdersAdopted(order_ids=[], pause_seconds=None)
            async with self._database.reading() as connection:
                ours = await trading.known_at_broker(connection, command.account_id)
            strangers = [
                order for order in book.value if order.broker_order_id not in ours and order.tag not in ours
            ]
            begun = [made for order in strangers if (made := await self._follow(command, order))]
            if isinstance(session.broker, PaperAccount):
                # Nothing is made there but by us, by our triggers, which tell of what they fire, and by the
                # broker itself when it closes what is held for the day.
                left = await session.broker.square_off_in()
                return OrdersAdopted(order_ids=begun, pause_seconds=left.total_seconds() if left else None)
            opened = INDIA_2026.is_open(Exchange.MCX, book.at) or INDIA_2026.is_open(Exchange.NSE, book.at)
            pause = LOOK_EVERY if opened else LOOK_SELDOM
        return OrdersAdopted(order_ids=begun, pause_seconds=pause.total_seconds())

    async def _follow(self, command: AdoptOrders, found: BrokerOrder) -> str | None:
        """Starts the order's process; a repeat finds it. None for what we cannot trade in ourselves (another
        exchange or product): the day's comparison with the broker tells of it."""
        if found.terms is None:
            log.info("foreign_order_left_alone", account=command.account_id, order=found.broker_order_id)
            return None
        order = OrderInput(
            order_id=adopted_id(command.account_id, found.broker_order_id),
            user_id=command.user_id,
            account_id=command.account_id,
            terms=found.terms,
            adopts=found.broker_order_id,
        )
        begun = await start_order(
            self._client, order, f"Made elsewhere: {order.terms.side} {order.terms.symbol}"
        )
        return order.order_id if begun else None


async def look_for_foreign_orders(
    client: Client, account_id: str, user_id: str, *, hint: bool = False
) -> None:
    """Starts ``foreign-orders:{account}`` where it does not run: its account has a session now. With `hint`
    one that runs is told to look once more, however near its end it is."""
    await client.start_workflow(
        "ForeignOrders",
        ForeignOrdersInput(account_id=account_id, user_id=user_id),
        id=workflow_id(Kind.FOREIGN_ORDERS, account_id),
        task_queue=Queue.TRADING,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary="Orders made elsewhere",
        static_details=f"Account `{account_id}`",
        start_signal="broker_event" if hint else None,
        start_signal_args=[BrokerEvent(event_number=0)] if hint else [],
    )


def adopted_id(account_id: str, broker_order_id: str) -> str:
    """Ours for an order of the broker's: the same whoever finds it first."""
    return mint(Prefix.ORDER, uuid.uuid5(uuid.NAMESPACE_OID, f"{account_id}/{broker_order_id}"))
