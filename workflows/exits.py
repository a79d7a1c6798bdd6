"""Target and stop of an order that answered a signal: at the broker until one of them is really filled."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.exits import EXIT_OVER, ExitStatus, look_pause
    from models.contracts.policies import BOOK, PLACE_ORDER, READ_BROKER
    from models.contracts.queues import Queue
    from models.messages.exits import ExitInput, ExitStanding, OpenExit, WorkExit
    from workflows.ports.exits import ExitPort
    from workflows.visible import show, waiting, working

X = ExitStatus
AWAITED = {
    X.PLACING: ("a time to place the trigger", "it is tried again"),
    X.SENDING: ("the broker's book to show the trigger", "it is read again"),
    X.ACTIVE: ("the market to reach target or stop", "the book is read now and then"),
    X.TRIGGERED: ("the order that was fired to be filled", "the book is read now and then"),
    X.UNPROTECTED: (
        "a market in which the broker takes the trigger",
        "it is tried again; the customer knows",
    ),
}


@workflow.defn(name="ExitOrders")
class ExitOrders:
    """`exit:{order}`. A trigger that has fired is no fill: what it fired is watched to its end, and what
    failed is put in place again while the position is held. Over when filled, or the position is gone."""

    @workflow.init
    def __init__(self, given: ExitInput) -> None:
        self._given = given
        self._at = ExitStanding(status=X.PLACING, attempt=1, version=0)
        self._quiet = 0

    @workflow.run
    async def run(self, given: ExitInput) -> ExitStanding:
        opening = OpenExit(exit=given, as_of=workflow.now())
        self._take(await workflow.execute_local_activity_method(ExitPort.open, opening, **BOOK.local()))
        while self._at.status not in EXIT_OVER:
            await self._step()
            if workflow.info().is_continue_as_new_suggested() and self._at.status not in EXIT_OVER:
                workflow.continue_as_new(given)
        working(f"over: {self._at.status}")
        return self._at

    async def _step(self) -> None:
        """One thing to do, then a pause as long as it says."""
        before = self._at.status
        match before:
            case X.PLACING | X.UNPROTECTED:
                self._take(await self._place())
            case X.SENDING:
                self._take(await self._find())
            case _:
                self._take(await self._look())
        if self._at.status in EXIT_OVER or (self._at.status is not before and not self._at.pause_seconds):
            return
        pause = timedelta(seconds=self._at.pause_seconds) or look_pause(self._quiet)
        awaited, otherwise = AWAITED[self._at.status]
        waiting(awaited, since=workflow.now(), otherwise=otherwise, who="the customer, at the broker")
        await workflow.sleep(pause)
        self._quiet += 1

    async def _place(self) -> ExitStanding:
        """The call that cannot be taken back. Without an answer its row says `sending`: it is looked up."""
        try:
            return await workflow.execute_activity_method(
                ExitPort.place, self._work(), task_queue=Queue.KITE, **PLACE_ORDER.options()
            )
        except ActivityError:
            return await self._find()

    async def _find(self) -> ExitStanding:
        return await workflow.execute_activity_method(
            ExitPort.find, self._work(), task_queue=Queue.KITE, **READ_BROKER.options()
        )

    async def _look(self) -> ExitStanding:
        return await workflow.execute_activity_method(
            ExitPort.look, self._work(), task_queue=Queue.KITE, **READ_BROKER.options()
        )

    def _work(self) -> WorkExit:
        return WorkExit(
            order_id=self._given.order_id,
            account_id=self._given.account_id,
            attempt=self._at.attempt,
            as_of=workflow.now(),
        )

    def _take(self, standing: ExitStanding) -> None:
        if standing.status is not self._at.status:
            self._quiet = 0
        self._at = standing
        references = [self._given.order_id, self._given.account_id]
        references += [standing.broker_order_id] if standing.broker_order_id else []
        show(
            state=standing.status,
            customer=self._given.user_id,
            symbol=self._given.symbol,
            reference=references,
            attention=standing.status is X.UNPROTECTED,
        )
