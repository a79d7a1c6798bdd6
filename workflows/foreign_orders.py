"""Orders that a customer made elsewhere, at the broker's own counter: found and followed as ours are."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.contracts.policies import READ_BROKER
    from models.contracts.queues import Queue
    from models.messages.foreign_orders import AdoptOrders, ForeignOrdersInput
    from models.messages.trading import BrokerEvent
    from workflows.order_board import until
    from workflows.ports.foreign_orders import ForeignOrdersPort
    from workflows.visible import show, waiting, working


@workflow.defn(name="ForeignOrders")
class ForeignOrders:
    """`foreign-orders:{account}`. Looks at the broker's book when a postback speaks of an order that is none
    of ours, and now and then while there is a session: the broker tells only what its app was used for."""

    @workflow.init
    def __init__(self, given: ForeignOrdersInput) -> None:
        self._given = given
        self._hinted = False

    @workflow.run
    async def run(self, given: ForeignOrdersInput) -> None:
        show(state="looking", customer=given.user_id, reference=[given.account_id])
        while True:
            self._hinted = False
            adopted = await workflow.execute_activity_method(
                ForeignOrdersPort.adopt_orders,
                AdoptOrders(**given.model_dump()),
                task_queue=Queue.KITE,
                **READ_BROKER.options(),
            )
            if adopted.pause_seconds is None and not self._hinted:
                working("over: no session to look with")
                return
            waiting(
                "an order made elsewhere",
                since=workflow.now(),
                otherwise="the book is read again",
                who="nobody",
            )
            await until(lambda: self._hinted, timedelta(seconds=adopted.pause_seconds or 1.0))
            if workflow.info().is_continue_as_new_suggested() and not self._hinted:
                workflow.continue_as_new(given)

    @workflow.signal(name="broker_event")
    def broker_event(self, event: BrokerEvent) -> None:
        """A postback of an order that is none of ours: a hint to look, never believed."""
        self._hinted = True
