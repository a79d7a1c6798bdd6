"""A subscription: first payment, then one run a billing cycle, until it is cancelled or lapses.

The customer is told of every debit before it is made, a cancel that comes before the debit leaves always
wins and one that comes after gets the money back, and what is unknown is looked up and never sent again.
"""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain import billing_calendar as calendar
    from domain.payments import LATE_AUTHORISATION
    from domain.subscriptions import ENDED, Status
    from models.contracts.policies import BOOK, READ_PROVIDER
    from models.contracts.queues import Queue
    from models.messages.subscriptions import EndMandate, Open, SubscriptionInput, Topic
    from workflows.answering import caller_told
    from workflows.failures import outcome
    from workflows.ports.subscriptions import DebitsPort, SubscriptionsPort
    from workflows.renewals import give_back
    from workflows.subscription_renewals import SubscriptionRenewals
    from workflows.visible import waiting, working


@workflow.defn(name="Subscription")
class Subscription(SubscriptionRenewals):
    """`subscription:{subscription}`. Its workflow id stays the same over all its runs."""

    @workflow.init
    def __init__(self, given: SubscriptionInput) -> None:
        super().__init__(given)

    @workflow.run
    async def run(self, given: SubscriptionInput) -> str:
        if not self._opened and not await self._open():
            return "refused"
        while self._state.status not in ENDED:
            await self._tidy()
            match self._state.status:
                case _ if self._begun:
                    payment_id, self._begun = self._begun, ""
                    await self._continue(payment_id)
                case Status.AWAITING_PAYMENT | Status.TRIAL:
                    await self._first_payment()
                case Status.HALTED | Status.PAUSED:
                    await self._resumption()
                case _:
                    await self._next_period()
            if workflow.info().is_continue_as_new_suggested():
                await self._continue()
        await self._last_words()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._paid is not None and self._state.period == 0:
            # Paid a moment after it had ended: the money buys nothing.
            await give_back(self._paid.payment_id, self._given)
        return self._state.status

    # --- the story -----------------------------------------------------------------------------------

    async def _open(self) -> bool:
        try:
            opened = await workflow.execute_local_activity_method(
                SubscriptionsPort.open, Open(given=self._given, as_of=workflow.now()), **BOOK.local()
            )
        except ApplicationError as error:
            self._refused = outcome(error).code
            await caller_told(lambda: self._told)
            return False
        self._state.plan, self._state.version = opened.plan, opened.version
        self._state.opened_at = self._state.since = workflow.now()
        if opened.trial:
            self._state.try_out(workflow.now())
            await self._save()
        self._opened = True
        return True

    async def _first_payment(self) -> None:
        """While a trial lasts, and a day without one."""
        if self._paid is not None:
            async with self._writing:
                await self._begin(self._paid)
            return
        state, now = self._state, workflow.now()
        if state.status is Status.TRIAL:
            await self._trial()
            return
        until = (state.since or now) + calendar.PAYMENT_LIFE
        waiting(
            "the first payment", since=state.since or now, otherwise=f"expires at {until:%d %b %H:%M} UTC",
            who="the customer, at the checkout", link="POST /v1/payments/create",
        )  # fmt: skip
        if await self._sleep(until) and self._paid is None:
            await self._end(Status.EXPIRED)

    async def _trial(self) -> None:
        state = self._state
        ends = state.cancel_at or state.trial_ends_at or workflow.now()
        if state.cancel_at is None and not state.reminded:
            working(f"tried until {ends:%d %b %Y %H:%M} UTC; the customer is told before")
            if await self._sleep(ends - calendar.TRIAL_NOTICE):
                await self._tell(Topic.TRIAL_ENDS)
                state.reminded = True
            return
        waiting(
            "the first payment",
            since=state.since or ends,
            otherwise=f"the trial ends at {ends:%d %b %H:%M} UTC",
            who="the customer, at the checkout",
            link="POST /v1/payments/create",
        )
        if await self._sleep(ends) and self._paid is None:
            await self._end(Status.AWAITING_PAYMENT if state.cancel_at is None else Status.CANCELLED)

    async def _resumption(self) -> None:
        state, now = self._state, workflow.now()
        until = max(state.since or now, state.period_end or now) + calendar.HALT_LIFE
        waiting(
            "the customer to resume", since=state.since or now, otherwise=f"expires on {until:%d %b %Y}",
            who="the customer", link=f"POST /v1/billing/subscriptions/{state.subscription_id}/resume",
        )  # fmt: skip
        if state.cancel_at is not None:
            if await self._sleep(state.cancel_at):
                await self._end(Status.CANCELLED)
        elif await self._sleep(until):
            await self._end(Status.EXPIRED)

    # --- parts ---------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        """What came up by the way: news of earlier debits, mandates to end, a change that nobody paid."""
        state = self._state
        while self._strays:
            await self._examine(self._strays.pop(0))
        while state.replaced:
            working("ends a mandate at the gateway, under which nothing is debited any more")
            await workflow.execute_activity_method(
                DebitsPort.end_mandate,
                EndMandate(mandate=state.replaced[0], as_of=workflow.now()),
                task_queue=Queue.RAZORPAY,
                **READ_PROVIDER.options(),
            )
            state.replaced = state.replaced[1:]
        if state.pending is not None and state.pending.until <= workflow.now():
            async with self._writing:
                if state.pending is not None and state.pending.until <= workflow.now():
                    state.pending = None
                    await self._save()

    async def _last_words(self) -> None:
        """It has ended; a bank that refused a debit of late may still say yes, and the money goes back."""
        await self._tidy()
        until = (self._state.failed_at or workflow.now()) + LATE_AUTHORISATION
        while self._state.failed_at is not None and workflow.now() < until:
            working(f"{self._state.status}; a debit refused of late may come through until {until:%d %b} UTC")
            await self._sleep(until)
            await self._tidy()
