"""One order, from the customer's wish to its last fill: sent at most once whatever dies on the way."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from domain.trading import OrderStatus, poll_pause, stale
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.trading import OrderInput, OrderView, Submission, SubmissionKind
    from workflows.answering import caller_told
    from workflows.order_board import exits_of, show_order, until
    from workflows.order_doubt import OrderInDoubt
    from workflows.visible import show, working

CONFIRM_WITHIN = timedelta(hours=6)
"""How long an order of a strategy waits for the customer, where its signal does not end earlier."""

FIRST_LOOK, LONGEST_LOOK = timedelta(minutes=1), timedelta(hours=6)
"""An order that waits for a login hears of it; should the word be lost, it looks for itself, each time after
twice as long."""

S = OrderStatus


@workflow.defn(name="Order")
class Order(OrderInDoubt):
    """`order:{order}`. The record holds every fact; the run holds what happens next and why.

    An order above the exchange's freeze quantity leaves in slices, one after the other, each under the same
    law of the unknown outcome; those that have left are seen to while a later one is on its way.
    """

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        super().__init__(order)
        self._looks = 0

    @workflow.run
    async def run(self, order: OrderInput) -> OrderView:
        if order.progress is None:
            await self._admit()
        await self._customer_says_yes()
        self._at.ready_at = self._at.ready_at or workflow.now()
        while not self._over and self._sending:
            await self._bring_to_broker()
            await self._leave_long_history()
        while not self._over:
            await self._follow()
        await self._keep_exits()
        show_order(self._order, self._at)
        working(f"over: {self._at.status}")
        await caller_told(lambda: self._at.told or order.prepared or order.adopts is not None)
        return self._view()

    # The story's steps

    async def _admit(self) -> None:
        """Our record of it, and the checks that it answers. One made elsewhere is at the broker already."""
        admitted = await self._steps.admit()
        self._reach(admitted.status, admitted.reason_code, admitted.version)
        if self._order.adopts is not None:
            self._at.broker_order_id = self._order.adopts
            self._nothing_more_leaves()

    async def _customer_says_yes(self) -> None:
        """An order that a strategy made waits for the customer's own recorded yes."""
        if self._at.status is not S.AWAITING_CONFIRMATION:
            return
        self._answer()
        expires = self._order.origin.expires_at if self._order.origin else None
        limit = min(CONFIRM_WITHIN, expires - workflow.now()) if expires else CONFIRM_WITHIN
        self._wait("the customer's confirmation", "the order expires", "the customer", "/confirm")
        in_time = await until(lambda: self._at.confirmed or self._declined, limit)
        if self._over:
            return
        if not in_time or stale(workflow.now(), expires):
            await self._record(S.EXPIRED, "not_confirmed")
        elif self._declined:
            await self._record(S.CANCELLED, "declined")
        else:
            # The step that sends it writes the yes down: a round less for a customer who waits.
            self._at.yes_unwritten = True
            self._reach(S.QUEUED, None, self._at.version)

    async def _bring_to_broker(self) -> None:
        """One round of one slice: wait for what is missing, send, and find out what became of it."""
        if self._at.cancel_wanted:
            await self._drop()
            return
        if self._at.status is S.AWAITING_SESSION:
            await self._session_returns()
            if self._at.cancel_wanted or not self._session_opened:
                return
        self._session_opened = self._hinted = False
        submission = await self._steps.send()
        if submission is None:
            await self._find_out()
            return
        self._at.yes_unwritten = False
        self._at.legs = max(self._at.legs, submission.legs)
        self._at.trading_day = self._at.trading_day or submission.trading_day
        match submission.kind:
            case SubmissionKind.SENT:
                self._taken(submission.broker_order_id, submission.version)
            case SubmissionKind.RISK_REJECTED:
                self._refused(S.RISK_REJECTED, submission)
            case SubmissionKind.REFUSED:
                self._refused(S.REJECTED, submission)
            case SubmissionKind.NO_SESSION:
                await self._without_session(submission)
            case SubmissionKind.DAY_OVER:
                await self._drop(S.EXPIRED, "day_ended")
            case SubmissionKind.MARKET_CLOSED:
                self._stands(S.AWAITING_MARKET, submission.version)
                await self._market_opens(submission.wait_seconds)
            case SubmissionKind.BROKER_DOWN:
                await self._broker_returns(submission)
            case SubmissionKind.PACED:
                await until(lambda: self._at.cancel_wanted, timedelta(seconds=submission.wait_seconds))

    async def _without_session(self, submission: Submission) -> None:
        if self._at.leg == 1:
            self._reach(S.AWAITING_SESSION, None, submission.version)
        else:
            await self._session_returns()

    async def _session_returns(self) -> None:
        self._answer()
        ends = self._day_ends()
        show(due=ends)
        self._wait("a session at the broker", f"the order expires at {ends}", "the customer: sign in", "")
        left = max(ends - workflow.now(), timedelta())
        pause = min(FIRST_LOOK * 2**self._looks, LONGEST_LOOK)
        if await until(lambda: self._session_opened or self._at.cancel_wanted, min(left, pause)):
            self._looks = 0
        elif left <= pause:
            await self._drop(S.EXPIRED, "no_session")
        else:
            self._looks += 1
            self._session_opened = True  # or so it may be: sending finds out

    async def _broker_returns(self, submission: Submission) -> None:
        """Nobody asks a broker that is down; the order waits to its deadline, and no longer."""
        self._stands(S.QUEUED, submission.version, submission.reason_code)
        self._answer()
        ends = self._deadline()
        show(due=ends)
        self._wait("the broker to answer again", f"the order expires at {ends}", "nobody", "")
        left = max(ends - workflow.now(), timedelta())
        pause = timedelta(seconds=submission.wait_seconds)
        waited = await until(lambda: self._at.cancel_wanted, min(pause, left))
        if not waited and left <= pause:
            await self._drop(S.EXPIRED, submission.reason_code)

    async def _market_opens(self, seconds: float) -> None:
        self._answer()
        opens = workflow.now() + timedelta(seconds=seconds)
        show(due=opens)
        self._wait(f"the market to open at {opens:%Y-%m-%d %H:%M} UTC", "nothing", "nobody", "")
        await until(lambda: self._at.cancel_wanted, timedelta(seconds=seconds))

    async def _drop(self, status: OrderStatus = S.CANCELLED, reason: str | None = None) -> None:
        """What has not left ends by our own word, unless a late worker sends it first."""
        try:
            recorded = await self._steps.record(status, reason, void_attempt=self._at.attempt)
        except ApplicationError:  # as a local activity fails
            await self._find_out()
            return
        if self._at.leg > 1:
            self._nothing_more_leaves()
        else:
            self._reach(status, reason, recorded.version)

    async def _follow(self) -> None:
        """At the broker: do what was asked, read the book when told or when it was quiet for long."""
        if self._changes:
            change, done = self._changes.pop(0)
            await self._do(change, done)
        await self._read()
        self._answer()
        await self._keep_exits()
        if self._at.gone and not self._changes:
            await self._person_ends()
            return
        self._attended()
        if self._over or self._changes:
            return
        await self._leave_long_history()
        self._wait("the exchange", "the book is read now and then", "the customer: cancel or modify", "")
        pause = poll_pause(self._at.quiet_readings)
        told = await until(lambda: self._stirred, pause)
        self._at.quiet_readings = 0 if told else self._at.quiet_readings + 1
        if self._uncancelled and not self._changes:
            # The broker refused it for the moment ("being processed"), or it got lost on the way.
            self._cancel_again()

    async def _leave_long_history(self) -> None:
        """Goes on in a new run, unless something was asked or heard that this one has to see to."""
        if self._over or not workflow.info().is_continue_as_new_suggested():
            return
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not (self._changes or self._hinted or self._resolution):
            workflow.continue_as_new(self._order.model_copy(update={"progress": self._at}))

    async def _keep_exits(self) -> None:
        """Target and stop of the signal go to the broker for what was filled, from the first fill on: a
        process of their own, which follows what is filled more and outlives this one."""
        exits = None if self._at.exits_kept else exits_of(self._order, self._at)
        if exits is None:
            return
        self._at.exits_kept = True
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                "ExitOrders",
                exits,
                id=workflow_id(Kind.EXIT, exits.order_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"Target and stop of {exits.order_id}",
            )
