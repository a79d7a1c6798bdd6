"""One order, from the customer's wish to its last fill: sent at most once whatever dies on the way."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.market_calendar import INDIA_2026
    from domain.trading import AT_BROKER, TERMINAL, OrderStatus, poll_pause, stale
    from models.contracts.search_attributes import Attribute
    from models.messages.trading import (
        BookReading,
        BrokerEvent,
        Cancel,
        Confirm,
        Decline,
        Finding,
        FindingKind,
        Modify,
        OrderInput,
        OrderProgress,
        OrderView,
        PersonDecision,
        Place,
        Resolve,
        SessionOpened,
        SubmissionKind,
    )
    from workflows.failures import outcome, refuse
    from workflows.order_board import await_openly, check_staff, show_order, until, view_of
    from workflows.order_steps import OrderSteps
    from workflows.visible import show, working

ANSWER_WITHIN = timedelta(seconds=2)
"""A command answers with the state reached by then; the rest is read with `wait`."""
CONFIRM_WITHIN = timedelta(hours=6)
"""How long an order of a strategy waits for the customer, where its signal does not end earlier."""
STAFF_ACTION = "resolve_order"

S = OrderStatus
Change = Callable[[], Awaitable[object]]


@workflow.defn(name="Order")
class Order:
    """`order:{order}`. The record holds every fact; the run holds what happens next and why."""

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self._order = order
        self._at = order.progress or OrderProgress(confirmed=order.confirmed)
        self._steps = OrderSteps(order, self._at)
        self._answerable = order.progress is not None
        self._hinted = False
        self._declined = False
        self._session_opened = False
        self._resolution: Resolve | None = None
        self._changes: list[tuple[Change, asyncio.Future[None]]] = []

    @workflow.run
    async def run(self, order: OrderInput) -> OrderView:
        if order.progress is None:
            await self._admit()
        await self._customer_says_yes()
        while not self._over and self._at.broker_order_id is None:
            await self._bring_to_broker()
            await self._leave_long_history()
        while not self._over:
            await self._follow()
        show_order(self._order, self._at)
        working(f"over: {self._at.status}")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._view()

    # The story's steps

    async def _admit(self) -> None:
        """Our record of it, and the checks that it answers."""
        admitted = await self._steps.admit()
        self._reach(admitted.status, admitted.reason_code, admitted.version)

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
        """One round: wait for what is missing, send, and find out what became of it."""
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
        match submission.kind:
            case SubmissionKind.SENT:
                self._taken(submission.broker_order_id, submission.version)
            case SubmissionKind.RISK_REJECTED:
                self._reach(S.RISK_REJECTED, submission.reason_code, submission.version)
            case SubmissionKind.REFUSED:
                self._reach(S.REJECTED, submission.reason_code, submission.version)
            case SubmissionKind.NO_SESSION:
                self._reach(S.AWAITING_SESSION, None, submission.version)
            case SubmissionKind.MARKET_CLOSED:
                self._reach(S.AWAITING_MARKET, None, submission.version)
                await self._market_opens(submission.wait_seconds)
            case SubmissionKind.PACED:
                await until(lambda: self._at.cancel_wanted, timedelta(seconds=submission.wait_seconds))

    async def _find_out(self) -> None:
        """The unknown outcome: look by our tag, wait, look again; a new attempt only on proof of absence."""
        while True:
            self._hinted = False
            finding = await self._steps.look_up()
            if finding.kind in (FindingKind.LOOK_AGAIN, FindingKind.NO_SESSION):
                await self._stays_unknown(finding)
                continue
            if finding.kind is FindingKind.ASK_A_PERSON:
                if (settled := await self._person_decides()) is None:
                    continue  # a postback came: look again
                finding = settled
            self._found_out(finding)
            return

    def _found_out(self, finding: Finding) -> None:
        if workflow.info().typed_search_attributes.get(Attribute.NEEDS_ATTENTION.value):
            show(attention=False)
        match finding.kind:
            case FindingKind.FOUND:
                self._taken(finding.broker_order_id, finding.version)
            case FindingKind.NEVER_LEFT:
                self._reach(S.QUEUED, None, finding.version)
            case FindingKind.ABSENT:
                self._at.attempt += 1
                self._reach(S.QUEUED, None, finding.version)
            case _:
                self._reach(finding.status or S.REJECTED, finding.reason_code, finding.version)

    async def _stays_unknown(self, finding: Finding) -> None:
        if self._at.status is not S.UNKNOWN:
            await self._record(S.UNKNOWN)
        self._answer()
        if finding.kind is FindingKind.NO_SESSION:
            self._wait("a session, to look the order up", "a person is asked", "the customer", "")
            await until(lambda: self._session_opened or self._hinted, timedelta(minutes=5))
            self._session_opened = False
        else:
            self._wait("the broker's book to show the order", "a person is asked", "nobody yet", "")
            await until(lambda: self._hinted, timedelta(seconds=finding.wait_seconds))

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
        await until(lambda: self._resolution is not None or self._hinted, None)
        if self._resolution is None:
            return None
        settled = await self._steps.settle(self._resolution)
        self._resolution = None
        return settled

    async def _session_returns(self) -> None:
        self._answer()
        ends = INDIA_2026.next_close(self._order.terms.exchange, self._at.since or workflow.now())
        show(due=ends)
        self._wait("a session at the broker", f"the order expires at {ends}", "the customer: sign in", "")
        left = max(ends - workflow.now(), timedelta())
        if not await until(lambda: self._session_opened or self._at.cancel_wanted, left):
            await self._drop(S.EXPIRED, "no_session")

    async def _market_opens(self, seconds: float) -> None:
        self._answer()
        opens = workflow.now() + timedelta(seconds=seconds)
        show(due=opens)
        self._wait(f"the market to open at {opens:%Y-%m-%d %H:%M} UTC", "nothing", "nobody", "")
        await until(lambda: self._at.cancel_wanted, timedelta(seconds=seconds))

    async def _drop(self, status: OrderStatus = S.CANCELLED, reason: str | None = None) -> None:
        """Nothing has left: the order ends by our own word, unless a late worker sends it first."""
        try:
            recorded = await self._steps.record(status, reason, void_attempt=self._at.attempt)
        except ApplicationError:  # as a local activity fails
            await self._find_out()
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
        told = await until(lambda: self._hinted or bool(self._changes), pause)
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

    # Commands and events

    @workflow.update(name="place")
    async def place(self, command: Place) -> OrderView:
        """Creates the order; answers the state reached within `ANSWER_WITHIN`."""
        await until(lambda: self._answerable, ANSWER_WITHIN)
        return self._view()

    @workflow.update(name="confirm")
    async def confirm(self, command: Confirm) -> OrderView:
        """The customer's recorded yes; age and drift of the signal are checked again when it leaves."""
        self._answerable = False
        self._at.confirmed = True
        await until(lambda: self._answerable, ANSWER_WITHIN)
        return self._view()

    @confirm.validator
    def _may_confirm(self, command: Confirm) -> None:
        self._own(command.user_id)
        if self._at.status is not S.AWAITING_CONFIRMATION or self._at.confirmed or self._declined:
            raise refuse("not_awaiting_confirmation")

    @workflow.update(name="decline")
    async def decline(self, command: Decline) -> OrderView:
        self._declined = True
        await until(lambda: self._over, ANSWER_WITHIN)
        return self._view()

    @decline.validator
    def _may_decline(self, command: Decline) -> None:
        self._own(command.user_id)
        if self._at.status is not S.AWAITING_CONFIRMATION or self._at.confirmed or self._declined:
            raise refuse("not_awaiting_confirmation")

    @workflow.update(name="cancel")
    async def cancel(self, command: Cancel) -> OrderView:
        """Takes the order back as far as it is not filled; a fill that was faster wins."""
        self._at.cancel_wanted = True
        if self._at.status is S.AWAITING_CONFIRMATION:
            self._declined = True
        if self._at.broker_order_id is not None:
            await self._ask(self._steps.cancel)
        await until(lambda: self._over or self._at.status is S.CANCEL_PENDING, ANSWER_WITHIN)
        return self._view()

    @cancel.validator
    def _may_cancel(self, command: Cancel) -> None:
        if self._over:
            raise refuse("order_closed")

    @workflow.update(name="modify")
    async def modify(self, command: Modify) -> OrderView:
        """Changes a live order at the broker, at most 25 times."""
        if self._at.status not in AT_BROKER:
            # A step writes the record before this run hears of it: who reads `open` there may be early here.
            await until(lambda: self._over or self._at.status in AT_BROKER, ANSWER_WITHIN)
            self._must_be_live()
        await self._ask(lambda: self._steps.modify(command))
        return self._view()

    @modify.validator
    def _may_modify(self, command: Modify) -> None:
        if self._at.status not in (S.QUEUED, S.SUBMITTING, S.UNKNOWN):
            self._must_be_live()

    def _must_be_live(self) -> None:
        if self._over:
            raise refuse("order_closed")
        if self._at.status not in AT_BROKER or self._at.cancel_wanted:
            raise refuse("order_not_live")

    @workflow.update(name="resolve_order")
    async def resolve(self, command: Resolve) -> OrderView:
        """A member of staff settles what nobody could find out."""
        self._resolution = command
        await until(lambda: self._at.status is not S.NEEDS_PERSON, ANSWER_WITHIN)
        return self._view()

    @resolve.validator
    def _may_resolve(self, command: Resolve) -> None:
        check_staff(command.assertion, self._order.assertion_public_key, STAFF_ACTION)
        if self._at.status is not S.NEEDS_PERSON or self._resolution is not None:
            raise refuse("not_awaiting_person")
        if (command.decision is PersonDecision.FOUND) != bool(command.broker_order_id):
            raise refuse("invalid")

    @workflow.signal(name="broker_event")
    def broker_event(self, event: BrokerEvent) -> None:
        """A postback: a hint to read the book, never believed by itself."""
        self._hinted = True

    @workflow.signal(name="session_opened")
    def session_opened(self, event: SessionOpened) -> None:
        self._session_opened = self._hinted = True
        if self._at.cancel_wanted and self._at.broker_order_id is not None:
            # Without a session the broker could not be asked.
            self._changes.append((self._steps.cancel, asyncio.Future()))

    # What the steps are made of

    async def _ask(self, change: Change) -> None:
        """Has the main story make a change between two readings, and waits a little for it.

        One coroutine alone talks to the broker about an order: a handler that called it itself would
        race the reading that is under way.
        """
        done: asyncio.Future[None] = asyncio.Future()
        self._changes.append((change, done))
        await until(done.done, ANSWER_WITHIN)
        if done.done():
            done.result()

    async def _record(self, status: OrderStatus, reason: str | None = None) -> None:
        recorded = await self._steps.record(status, reason)
        self._reach(status, reason, recorded.version)

    def _taken(self, broker_order_id: str | None, version: int) -> None:
        """The broker's order management has it; the exchange may not yet."""
        self._at.broker_order_id = broker_order_id
        self._reach(S.SUBMITTING, None, version)
        self._answer()
        if self._at.cancel_wanted:
            self._changes.append((self._steps.cancel, asyncio.Future()))

    def _take(self, reading: BookReading) -> None:
        self._at.filled_quantity = reading.filled_quantity
        self._at.average_price = reading.average_price
        self._reach(reading.status, reading.reason_code, reading.version)

    def _reach(self, status: OrderStatus, reason: str | None, version: int) -> None:
        if status is not self._at.status or self._at.since is None:
            self._at.since = workflow.now()
            self._at.quiet_readings = 0
        self._at.status, self._at.reason_code = status, reason
        self._at.version = max(version, self._at.version)
        if self._over:
            self._answer()

    def _answer(self) -> None:
        self._answerable = True

    def _own(self, user_id: str) -> None:
        if user_id != self._order.user_id:
            raise refuse("not_found")

    @property
    def _over(self) -> bool:
        return self._at.status in TERMINAL

    def _view(self) -> OrderView:
        return view_of(self._order, self._at)

    def _wait(self, what: str, otherwise: str, who: str, link: str) -> None:
        await_openly(self._order, self._at, what, otherwise, who, link)
