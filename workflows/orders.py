"""One order, from the customer's wish to its last fill: sent at most once whatever dies on the way."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from domain.market_calendar import INDIA_2026
    from domain.trading import OrderStatus, poll_pause, stale
    from models.contracts.search_attributes import Attribute
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.trading import (
        BookReading,
        Finding,
        FindingKind,
        OrderInput,
        OrderView,
        Submission,
        SubmissionKind,
    )
    from workflows.answering import caller_told
    from workflows.failures import outcome, refuse
    from workflows.order_board import exits_of, show_order, until
    from workflows.order_commands import STAFF_ACTION, Change, OrderCommands
    from workflows.visible import show, working

CONFIRM_WITHIN = timedelta(hours=6)
"""How long an order of a strategy waits for the customer, where its signal does not end earlier."""

LOOK_FOR_SESSION = timedelta(hours=1)
"""An order that waits for a login hears of it; now and then it looks for itself, should the word be lost."""

S = OrderStatus


@workflow.defn(name="Order")
class Order(OrderCommands):
    """`order:{order}`. The record holds every fact; the run holds what happens next and why.

    An order above the exchange's freeze quantity leaves in slices, one after the other, each under the same
    law of the unknown outcome; those that have left are seen to while a later one is on its way.
    """

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: OrderInput) -> OrderView:
        if order.progress is None:
            await self._admit()
        await self._customer_says_yes()
        while not self._over and self._sending:
            await self._bring_to_broker()
            await self._leave_long_history()
        while not self._over:
            await self._follow()
        await self._keep_exits()
        show_order(self._order, self._at)
        working(f"over: {self._at.status}")
        await caller_told(lambda: self._at.told or order.adopts is not None)
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
            await self._record(S.QUEUED)

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
        self._at.legs = max(self._at.legs, submission.legs)
        match submission.kind:
            case SubmissionKind.SENT:
                self._taken(submission.broker_order_id, submission.version)
            case SubmissionKind.RISK_REJECTED:
                self._refused(S.RISK_REJECTED, submission)
            case SubmissionKind.REFUSED:
                self._refused(S.REJECTED, submission)
            case SubmissionKind.NO_SESSION:
                await self._without_session(submission)
            case SubmissionKind.MARKET_CLOSED:
                self._stands(S.AWAITING_MARKET, submission.version)
                await self._market_opens(submission.wait_seconds)
            case SubmissionKind.BROKER_DOWN:
                await self._broker_returns(submission)
            case SubmissionKind.PACED:
                await until(lambda: self._at.cancel_wanted, timedelta(seconds=submission.wait_seconds))

    async def _find_out(self) -> None:
        """The unknown outcome: look by our tag, wait, look again; a new attempt only on proof of absence."""
        while True:
            self._hinted = False
            finding = await self._steps.look_up()
            await self._tend()
            if finding.kind in (FindingKind.LOOK_AGAIN, FindingKind.NO_SESSION):
                await self._stays_unknown(finding)
                continue
            if finding.kind is FindingKind.ASK_A_PERSON:
                if (settled := await self._person_decides()) is None:
                    continue  # a postback came: look again
                finding = settled
            self._found_out(finding)
            return

    async def _tend(self) -> None:
        """Earlier slices live at the broker while a later one is on its way: changed as asked, and read."""
        if self._at.leg == 1:
            return
        while self._changes:
            await self._do(*self._changes.pop(0))
        await self._read()

    def _found_out(self, finding: Finding) -> None:
        if workflow.info().typed_search_attributes.get(Attribute.NEEDS_ATTENTION.value):
            show(attention=False)
        self._at.legs = max(self._at.legs, finding.legs)
        match finding.kind:
            case FindingKind.FOUND:
                self._taken(finding.broker_order_id, finding.version)
            case FindingKind.NEVER_LEFT:
                self._stands(S.QUEUED, finding.version)
            case FindingKind.ABSENT:
                self._at.attempt += 1
                self._stands(S.QUEUED, finding.version)
            case _ if self._at.leg > 1:
                self._nothing_more_leaves()
            case _:
                self._reach(finding.status or S.REJECTED, finding.reason_code, finding.version)

    async def _stays_unknown(self, finding: Finding) -> None:
        if self._at.status is not S.UNKNOWN:
            await self._record(S.UNKNOWN)
        self._answer()
        if finding.kind is FindingKind.NO_SESSION:
            self._wait("a session, to look the order up", "a person is asked", "the customer", "")
            await until(lambda: self._session_opened or self._stirred, timedelta(minutes=5))
            self._session_opened = False
        else:
            self._wait("the broker's book to show the order", "a person is asked", "nobody yet", "")
            await until(lambda: self._stirred, timedelta(seconds=finding.wait_seconds))

    async def _person_decides(self) -> Finding | None:
        """Everything known is on the run's page. None: a postback came before the person."""
        await self._record(S.NEEDS_PERSON)
        show(attention=True)
        self._answer()
        self._wait(
            f"what became of attempt {self._at.attempt} at the broker",
            "the order stays as it is",
            "support, after looking at the broker",
            f"POST /v1/staff/runs/{workflow.info().workflow_id}/actions/{STAFF_ACTION}",
        )
        await until(lambda: self._resolution is not None or self._stirred, None)
        if self._resolution is None:
            return None
        settled = await self._steps.settle(self._resolution)
        self._resolution = None
        return settled

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
        if await until(lambda: self._session_opened or self._at.cancel_wanted, min(left, LOOK_FOR_SESSION)):
            return
        if left <= LOOK_FOR_SESSION:
            await self._drop(S.EXPIRED, "no_session")
        else:
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
        if self._over or self._changes:
            return
        await self._leave_long_history()
        self._wait("the exchange", "the book is read now and then", "the customer: cancel or modify", "")
        pause = poll_pause(self._at.quiet_readings)
        told = await until(lambda: self._stirred, pause)
        self._at.quiet_readings = 0 if told else self._at.quiet_readings + 1

    async def _leave_long_history(self) -> None:
        """Goes on in a new run, unless something was asked or heard that this one has to see to."""
        if self._over or not workflow.info().is_continue_as_new_suggested():
            return
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not (self._changes or self._hinted):
            workflow.continue_as_new(self._order.model_copy(update={"progress": self._at}))

    async def _do(self, change: Change, done: "asyncio.Future[None]") -> None:
        try:
            await change()
        except ActivityError as error:
            if not done.done():
                done.set_exception(refuse(outcome(error).code))
        else:
            if not done.done():
                done.set_result(None)

    async def _read(self) -> None:
        self._hinted = False
        if self._at.broker_order_id is None:
            return
        self._take(await self._steps.read())

    async def _keep_exits(self) -> None:
        """Target and stop of the signal go to the broker for what was filled: a process of their own, which
        outlives this one."""
        exits = exits_of(self._order, self._at)
        if exits is None:
            return
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                "ExitOrders",
                exits,
                id=workflow_id(Kind.EXIT, exits.order_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"Target and stop of {exits.order_id}",
            )

    # What the steps are made of

    async def _record(self, status: OrderStatus, reason: str | None = None) -> None:
        recorded = await self._steps.record(status, reason)
        self._reach(status, reason, recorded.version)

    def _taken(self, broker_order_id: str | None, version: int) -> None:
        """The broker's order management has it; the exchange may not yet. The next slice may follow."""
        if self._at.leg == 1:
            self._at.broker_order_id = broker_order_id
        self._at.leg += 1
        self._at.attempt = 1
        self._reach(S.SUBMITTING, None, version)
        self._answer()
        if self._at.cancel_wanted:
            self._changes.append((self._steps.cancel, asyncio.Future()))

    def _refused(self, status: OrderStatus, submission: Submission) -> None:
        if self._at.leg > 1:
            self._nothing_more_leaves()
        else:
            self._reach(status, submission.reason_code, submission.version)

    def _nothing_more_leaves(self) -> None:
        """The slices that have left are the order now; the record says why the others stayed."""
        self._at.leg = self._at.legs + 1

    def _take(self, reading: BookReading) -> None:
        self._at.filled_quantity = reading.filled_quantity
        self._at.average_price = reading.average_price
        self._reach(reading.status, reading.reason_code, reading.version)

    def _stands(self, status: OrderStatus, version: int, reason: str | None = None) -> None:
        """A slice waits; with earlier ones at the broker the order is on its way all the same."""
        if self._at.leg == 1:
            self._reach(status, reason, version)
        else:
            self._reach(S.SUBMITTING, None, version)

    def _reach(self, status: OrderStatus, reason: str | None, version: int) -> None:
        if status is not self._at.status or self._at.since is None:
            self._at.since = workflow.now()
            self._at.quiet_readings = 0
        self._at.status, self._at.reason_code = status, reason
        self._at.version = max(version, self._at.version)
        if self._over:
            self._answer()

    def _day_ends(self) -> datetime:
        """When a day's order that has not left is over."""
        return INDIA_2026.next_close(self._order.terms.exchange, self._at.since or workflow.now())

    def _deadline(self) -> datetime:
        """Until when the order may still leave: its day's end, or its signal's if that is sooner."""
        day = self._day_ends()
        expires = self._order.origin.expires_at if self._order.origin else None
        return min(day, expires) if expires else day

    @property
    def _sending(self) -> bool:
        """Whether something of the order has not left yet."""
        return self._at.leg <= self._at.legs

    @property
    def _stirred(self) -> bool:
        """Whether the broker was heard of, or something was asked."""
        return self._hinted or bool(self._changes)
