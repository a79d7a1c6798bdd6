"""Each step of an order that touches the world: which activity, where, and how patient we are."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.trading import OrderStatus
    from models.contracts.policies import BOOK, PLACE_ORDER, READ_BROKER
    from models.contracts.queues import Queue
    from models.messages.trading import (
        Admission,
        AdmitOrder,
        BookReading,
        CancelAtBroker,
        Finding,
        Modify,
        ModifyAtBroker,
        OrderInput,
        OrderProgress,
        ReadOrder,
        Recorded,
        RecordStatus,
        Resolve,
        ResolveAttempt,
        SettleAttempt,
        Submission,
        SubmitOrder,
    )
    from workflows.ports.trading import OrderPort


class OrderSteps:
    """Our own record by local activities; the broker by activities on its own queue."""

    def __init__(self, order: OrderInput, at: OrderProgress) -> None:
        self._order = order
        self._at = at
        self._ids = {
            "order_id": order.order_id,
            "user_id": order.user_id,
            "account_id": order.account_id,
        }

    async def admit(self) -> Admission:
        command = AdmitOrder(order=self._order, as_of=workflow.now())
        return await workflow.execute_local_activity_method(OrderPort.admit, command, **BOOK.local())

    async def record(
        self, status: OrderStatus, reason: str | None = None, *, void_attempt: int | None = None
    ) -> Recorded:
        """Writes a state that we alone decide; with `void_attempt` only if that attempt never left."""
        command = RecordStatus(
            order_id=self._order.order_id,
            status=status,
            reason_code=reason,
            void_attempt=void_attempt,
            leg=self._at.leg if void_attempt is not None else 1,
            as_of=workflow.now(),
        )
        return await workflow.execute_local_activity_method(OrderPort.record, command, **BOOK.local())

    async def send(self) -> Submission | None:
        """The one call that cannot be taken back. None: nobody knows yet what became of it."""
        command = SubmitOrder(
            **self._ids,
            leg=self._at.leg,
            attempt=self._at.attempt,
            terms=self._order.terms,
            origin=self._order.origin,
            flattens=self._order.flattens,
            unasked=self._order.prepared and self._order.confirmed,
            said_yes=self._at.yes_unwritten,
            ready_at=self._at.ready_at,
            trading_day=self._at.trading_day,
            as_of=workflow.now(),
        )
        try:
            # On the workflow's own queue the server hands it over with the task that asked for it (eager
            # start), which saves a poll on the way to the socket; the pace is the gate's, not a queue's.
            return await workflow.execute_activity_method(OrderPort.submit, command, **PLACE_ORDER.options())
        except ActivityError:
            # Whatever the failure says, the attempt's row knows more: it is asked before anything else.
            return None

    async def look_up(self) -> Finding:
        """What became of the attempt: our row first, then the broker's book, by tag."""
        command = ResolveAttempt(**self._ids, leg=self._at.leg, attempt=self._at.attempt)
        return await workflow.execute_activity_method(
            OrderPort.resolve_attempt, command, task_queue=Queue.KITE, **READ_BROKER.options()
        )

    async def settle(self, resolution: Resolve) -> Finding:
        """A person's word about the attempt, held against the broker's book and our row."""
        command = SettleAttempt(
            **self._ids,
            leg=self._at.leg,
            attempt=self._at.attempt,
            decision=resolution.decision,
            broker_order_id=resolution.broker_order_id,
            filled_quantity=resolution.filled_quantity or 0,
            average_price=resolution.average_price,
            cancel_wanted=self._at.cancel_wanted,
            as_of=workflow.now(),
        )
        return await workflow.execute_activity_method(
            OrderPort.settle_attempt, command, task_queue=Queue.KITE, **READ_BROKER.options()
        )

    async def read(self) -> BookReading:
        command = ReadOrder(
            **self._ids,
            broker_order_id=self._at.broker_order_id or "",
            exchange=self._order.terms.exchange,
            cancel_wanted=self._at.cancel_wanted,
            legs=self._at.legs,
            sending=self._at.leg <= self._at.legs,
        )
        return await workflow.execute_activity_method(
            OrderPort.read_order, command, task_queue=Queue.KITE, **READ_BROKER.options()
        )

    async def cancel(self) -> Recorded:
        command = CancelAtBroker(
            **self._ids,
            broker_order_id=self._at.broker_order_id or "",
            variety=self._order.terms.variety,
            legs=self._at.legs,
        )
        return await workflow.execute_activity_method(
            OrderPort.cancel_at_broker, command, task_queue=Queue.KITE, **READ_BROKER.options()
        )

    async def modify(self, change: Modify) -> Recorded:
        command = ModifyAtBroker(
            **self._ids,
            broker_order_id=self._at.broker_order_id or "",
            variety=self._order.terms.variety,
            change=change,
            legs=self._at.legs,
        )
        return await workflow.execute_activity_method(
            OrderPort.modify_at_broker, command, task_queue=Queue.KITE, **READ_BROKER.options()
        )
