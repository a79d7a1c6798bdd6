"""One signal, from an analyst's draft to its true end: published once, never edited, watched to the close."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError
from temporalio.workflow import ActivityCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.signals import CLOSED, OPEN, Action, Status
    from models.contracts.assertions import SignedAssertion
    from models.contracts.policies import BOOK, PRICE_NOW, WATCH
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.signal_orders import SignalOrdersInput
    from models.messages.signals import (
        CloseSignal,
        CreateDraft,
        DraftSignal,
        EnterSignal,
        Priced,
        PriceNow,
        Publish,
        PublishSignal,
        Sighting,
        SignalInput,
        SignalProgress,
        SignalView,
        Standing,
        WatchMarket,
        Withdraw,
    )
    from workflows.deciding import decider
    from workflows.failures import refuse
    from workflows.ports.signals import MarketPort, SignalPort
    from workflows.visible import show, waiting, working

ROLE = "analyst"
Looking = workflow.ActivityHandle[Sighting]
LAST_LOOK = timedelta(seconds=1.5)
"""For the price at the end: a command that ends the signal answers within 3 s."""


@workflow.defn(name="SignalLifecycle")
class SignalLifecycle:
    """`signal:{signal}`. The record holds every fact; the run holds what happens next."""

    @workflow.init
    def __init__(self, signal: SignalInput) -> None:
        self._signal = signal
        self._at = signal.progress or SignalProgress()
        # A step of the record yields control: without the lock a publication and a withdrawal could cross.
        self._recording = asyncio.Lock()

    @workflow.run
    async def run(self, signal: SignalInput) -> SignalView:
        if not self._drafted:
            await self._draft()
        await self._until_published()
        await self._prepare_orders()
        while self._at.status in OPEN:
            await self._watch()
            if self._at.status in OPEN and workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(signal.model_copy(update={"progress": self._at}))
        working(f"over: {self._at.status}")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._view()

    # The story's steps

    async def _draft(self) -> None:
        command = DraftSignal(signal=self._signal, as_of=workflow.now())
        async with self._recording:
            self._take(
                await workflow.execute_local_activity_method(SignalPort.draft, command, **BOOK.local())
            )

    async def _until_published(self) -> None:
        """A draft waits for its analyst; one that nobody publishes in time lapses."""
        if self._at.status is not Status.DRAFT:
            return
        self._wait("the analyst to publish it", "the draft lapses", "publish")
        left = self._signal.terms.expires_at - workflow.now()
        try:
            await workflow.wait_condition(lambda: self._at.status is not Status.DRAFT, timeout=left)
        except TimeoutError:
            await self._close(Status.EXPIRED, None)

    async def _prepare_orders(self) -> None:
        """Customers who want it have an order that waits for their yes: a process of its own, once."""
        again = self._signal.progress is not None  # an earlier run of this signal has done it
        if again or self._at.status is not Status.PUBLISHED or self._signal.terms.action is Action.HOLD:
            return
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                "SignalOrders",
                SignalOrdersInput(signal_id=self._signal.signal_id),
                id=workflow_id(Kind.SIGNAL_ORDERS, self._signal.signal_id),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Orders prepared for {self._signal.signal_id}",
            )

    async def _watch(self) -> None:
        """One watch of the market: until something is seen, the signal is withdrawn, or its time is over."""
        entered = self._at.status is Status.LIVE
        self._wait("the market to reach target or stop", "the signal expires", "withdraw")
        # Its end is awaited: a run that ended while its watch still reports would lose the command that
        # ended it, and the caller would have to send it again.
        looking = workflow.start_activity_method(
            MarketPort.watch,
            self._look(entered),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **WATCH.options(),
        )
        left = self._signal.terms.expires_at - workflow.now()
        try:
            await workflow.wait_condition(
                lambda: looking.done() or self._at.status in CLOSED, timeout=max(left, timedelta())
            )
        except TimeoutError:
            await self._close(Status.EXPIRED, await self._price_now())
            await _stopped(looking)
            return
        if not looking.done():
            await _stopped(looking)
            return
        seen = await looking
        await self._weigh(seen)
        await self._leave_alone(seen.pause_seconds)

    async def _leave_alone(self, seconds: float) -> None:
        """A market that is shut, or that the house cannot see, is not looked at: a timer, not an activity."""
        if not seconds or self._at.status in CLOSED:
            return
        left = self._signal.terms.expires_at - workflow.now()
        pause = max(min(timedelta(seconds=seconds), left), timedelta())
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._at.status in CLOSED, timeout=pause)

    async def _weigh(self, seen: Sighting) -> None:
        """What a watch brought: the first price, a level reached, or nothing."""
        if seen.price is None or seen.seen_at is None:
            return
        self._at.last_price = seen.price
        if self._at.status is Status.PUBLISHED:
            command = EnterSignal(
                signal_id=self._signal.signal_id, price=seen.price, seen_at=seen.seen_at, as_of=workflow.now()
            )
            async with self._recording:
                if self._at.status is not Status.PUBLISHED:
                    return
                self._at.actual_entry = seen.price
                self._take(
                    await workflow.execute_local_activity_method(SignalPort.enter, command, **BOOK.local())
                )
        elif seen.reached is not None:
            await self._close(seen.reached, seen.price)

    async def _close(self, status: Status, price: Decimal | None, note: str | None = None) -> None:
        async with self._recording:
            if self._at.status in CLOSED:
                return
            command = CloseSignal(
                signal_id=self._signal.signal_id,
                status=status,
                exit_price=price,
                reason_note=note,
                as_of=workflow.now(),
            )
            self._take(
                await workflow.execute_local_activity_method(SignalPort.close, command, **BOOK.local())
            )

    async def _price_now(self) -> Decimal | None:
        """The market's price at the end, or the last one seen where it shows none in time."""
        if self._at.actual_entry is None:
            return None
        looking = workflow.start_activity_method(
            MarketPort.watch, self._look(entered=False), **WATCH.options()
        )
        try:
            await workflow.wait_condition(looking.done, timeout=LAST_LOOK)
        except TimeoutError:
            await _stopped(looking)
            return self._at.last_price
        seen = await looking
        return seen.price if seen.price is not None else self._at.last_price

    # What others ask

    @workflow.update(name="create")
    async def create(self, command: CreateDraft) -> SignalView:
        """The draft stands."""
        await workflow.wait_condition(lambda: self._drafted)
        return self._view()

    @workflow.update(name="publish")
    async def publish(self, command: Publish) -> SignalView:
        """The analyst's word makes it public, and from then on it stands as it is."""
        await workflow.wait_condition(lambda: self._drafted)
        market = await self._market()
        asked = PublishSignal(
            signal_id=self._signal.signal_id,
            published_by=self._signal.analyst_id,
            registration_number=command.registration_number,
            assertion=command.assertion,
            market=market,
            as_of=workflow.now(),
        )
        async with self._recording:
            standing = await workflow.execute_local_activity_method(SignalPort.publish, asked, **BOOK.local())
            self._take(standing)
        if standing.refused is not None:
            raise refuse(standing.refused)
        return self._view()

    async def _market(self) -> Priced | None:
        """The market as it stands when the signal is published; None where the house cannot see it in time:
        then too it counts only from the first price seen after."""
        terms = self._signal.terms
        looking = workflow.start_activity_method(
            MarketPort.price_now,
            PriceNow(exchange=terms.exchange, symbol=terms.symbol),
            **PRICE_NOW.options(),
        )
        try:
            found = await looking
        except ActivityError:
            return None
        return found if found.price is not None else None

    @publish.validator
    def _may_publish(self, command: Publish) -> None:
        self._asserted(command.assertion, "publish")
        if self._drafted and self._at.status is not Status.DRAFT:
            raise refuse("not_a_draft")

    @workflow.update(name="withdraw")
    async def withdraw(self, command: Withdraw) -> SignalView:
        """The analyst takes it back; what it brought until now counts all the same."""
        await workflow.wait_condition(lambda: self._drafted)
        if self._at.status not in CLOSED:
            await self._close(Status.WITHDRAWN, await self._price_now(), command.reason_note)
        if self._at.status is not Status.WITHDRAWN:
            raise refuse("signal_closed")
        return self._view()

    @withdraw.validator
    def _may_withdraw(self, command: Withdraw) -> None:
        self._asserted(command.assertion, "withdraw")
        if self._at.status in CLOSED:
            raise refuse("signal_closed")

    def _asserted(self, signed: SignedAssertion, action: str) -> None:
        """The signal's own analyst, in that role, signed by the API for this very run."""
        who = decider(signed, self._signal.assertion_public_key, action, (ROLE,))
        if who.subject != self._signal.analyst_id:
            raise refuse("forbidden", "not the signal's analyst")

    # What the record says, and what staff see

    @property
    def _drafted(self) -> bool:
        return self._at.version > 0

    def _take(self, standing: Standing) -> None:
        self._at.status = standing.status
        self._at.version = standing.version
        self._at.published_at = standing.published_at
        known = [self._signal.signal_id, *([self._signal.run_id] if self._signal.run_id else [])]
        show(
            state=standing.status,
            symbol=self._signal.terms.symbol,
            reference=known,
            due=self._signal.terms.expires_at,
        )

    def _look(self, entered: bool) -> WatchMarket:
        return WatchMarket(signal_id=self._signal.signal_id, terms=self._signal.terms, entered=entered)

    def _wait(self, what: str, otherwise: str, action: str) -> None:
        waiting(
            what,
            since=workflow.now(),
            otherwise=f"{otherwise} at {self._signal.terms.expires_at.isoformat(timespec='seconds')}",
            who="the analyst",
            link=f"POST /v1/signals/{self._signal.signal_id}/{action}",
        )

    def _view(self) -> SignalView:
        return SignalView(
            signal_id=self._signal.signal_id,
            status=self._at.status,
            version=self._at.version,
            published_at=self._at.published_at,
        )


async def _stopped(looking: Looking) -> None:
    """Ends a watch that nobody waits for any more; its end is no news."""
    looking.cancel()
    with suppress(ActivityError):
        await looking
