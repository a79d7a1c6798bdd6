"""What may be asked of an order and told to it, wherever it stands."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.trading import AT_BROKER, TERMINAL, OrderStatus
    from models.messages.trading import (
        BrokerEvent,
        Cancel,
        Confirm,
        Decline,
        Modify,
        OrderInput,
        OrderProgress,
        OrderView,
        PersonDecision,
        Place,
        Resolve,
        SessionOpened,
    )
    from workflows.deciding import decider
    from workflows.failures import refuse
    from workflows.order_board import await_openly, until, view_of
    from workflows.order_steps import OrderSteps

HEARD_WITHIN = timedelta(seconds=30)
"""A step writes the record before this run hears of it, and a worker that dies between is noticed only after
seconds: whoever reads `open` there may change the order, and waits for this run to hear it."""
ANSWER_WITHIN = timedelta(seconds=2)
"""A command answers with the state reached by then; the rest is read with `wait`."""
STAFF_ACTION = "resolve_order"
STAFF = ("support",)

S = OrderStatus
BEFORE_BROKER = (S.QUEUED, S.SUBMITTING, S.UNKNOWN)
"""As this run knows it; its record may be ahead."""
Change = Callable[[], Awaitable[object]]


class OrderCommands:
    """State, updates and signals; the story that they wake is `workflows.orders.Order`."""

    def __init__(self, order: OrderInput) -> None:
        self._order = order
        self._at = order.progress or OrderProgress(confirmed=order.confirmed)
        self._steps = OrderSteps(order, self._at)
        self._answerable = order.progress is not None
        self._hinted = False
        self._declined = False
        self._session_opened = False
        self._resolution: Resolve | None = None
        self._contradiction: str | None = None
        self._uncancelled = False
        self._changes: list[tuple[Change, asyncio.Future[None]]] = []

    @workflow.update(name="place")
    async def place(self, command: Place) -> OrderView:
        """Creates the order; answers the state reached within `ANSWER_WITHIN`."""
        self._at.told = True
        await until(lambda: self._answerable, ANSWER_WITHIN)
        return self._view()

    @workflow.update(name="confirm")
    async def confirm(self, command: Confirm) -> OrderView:
        """The customer's recorded yes; age and drift of the signal are checked again when it leaves."""
        await self._asked_for_yes()
        self._answerable = False
        self._at.confirmed = True
        await until(lambda: self._answerable, ANSWER_WITHIN)
        return self._view()

    @confirm.validator
    def _may_confirm(self, command: Confirm) -> None:
        self._own(command.user_id)
        self._may_still_answer()

    @workflow.update(name="decline")
    async def decline(self, command: Decline) -> OrderView:
        await self._asked_for_yes()
        self._declined = True
        await until(lambda: self._over, ANSWER_WITHIN)
        return self._view()

    @decline.validator
    def _may_decline(self, command: Decline) -> None:
        self._own(command.user_id)
        self._may_still_answer()

    def _may_still_answer(self) -> None:
        admitting = not self._answerable and self._at.status is S.QUEUED
        asked = self._at.status is S.AWAITING_CONFIRMATION or admitting
        if not asked or self._at.confirmed or self._declined:
            raise refuse("not_awaiting_confirmation")

    async def _asked_for_yes(self) -> None:
        """The record asks for the yes before this run has heard so, where a worker died between: a refusal
        then would stand for good."""
        await until(lambda: self._answerable or self._at.status is not S.QUEUED, None)
        self._may_still_answer()

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
            await until(lambda: self._over or self._at.status not in BEFORE_BROKER, HEARD_WITHIN)
            self._must_be_live()
        await self._ask(lambda: self._modify(command))
        return self._view()

    async def _modify(self, command: Modify) -> None:
        """Where nobody has taken it back while this waited for its turn."""
        self._must_be_live()
        await self._steps.modify(command)

    @modify.validator
    def _may_modify(self, command: Modify) -> None:
        if self._at.status not in BEFORE_BROKER:
            self._must_be_live()

    def _must_be_live(self) -> None:
        if self._over:
            raise refuse("order_closed")
        if self._at.status not in AT_BROKER or self._at.cancel_wanted:
            raise refuse("order_not_live")

    @workflow.update(name="resolve_order")
    async def resolve(self, command: Resolve) -> OrderView:
        """A member of staff settles what nobody could find out. Refused where the broker's book or our record
        says otherwise: then it can be decided again."""
        # The record says `needs_person` a moment before this run hears it.
        await until(lambda: self._at.status is S.NEEDS_PERSON, ANSWER_WITHIN)
        self._must_await(command)
        self._resolution, self._contradiction = command, None
        await until(lambda: self._resolution is not command, ANSWER_WITHIN)
        if self._resolution is not command and self._contradiction is not None:
            raise refuse(self._contradiction)
        return self._view()

    @resolve.validator
    def _may_resolve(self, command: Resolve) -> None:
        decider(command.assertion, self._order.assertion_public_key, STAFF_ACTION, STAFF)
        if self._over or self._resolution is not None:
            raise refuse("not_awaiting_person")
        if (command.decision is PersonDecision.FOUND) != bool(command.broker_order_id):
            raise refuse("invalid")
        if (command.decision is PersonDecision.ENDED) != (command.filled_quantity is not None):
            raise refuse("invalid")
        if bool(command.filled_quantity) != (command.average_price is not None):
            raise refuse("invalid")

    def _must_await(self, command: Resolve) -> None:
        """Of one whose day at the broker is over only the end is left to say; of others what became of it."""
        if self._at.status is not S.NEEDS_PERSON or self._resolution is not None:
            raise refuse("not_awaiting_person")
        if (command.decision is PersonDecision.ENDED) != self._at.gone:
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
