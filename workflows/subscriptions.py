"""A subscription: first payment, then one run a billing cycle, until it is cancelled or lapses.

The customer is told of every debit before it is made, a cancel that comes before the debit leaves always
wins and one that comes after gets the money back, and what is unknown is looked up and never sent again.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributePair
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain import billing_calendar as calendar
    from domain.subscriptions import ENDED, Action, Status, may
    from models.contracts.policies import BOOK, READ_PROVIDER
    from models.contracts.queues import Queue
    from models.contracts.search_attributes import Attribute
    from models.messages.billing import GatewayEvent, PaymentCaptured, PaymentEnded, PaymentRefunded
    from models.messages.subscription_state import Debit, Mandate, SubscriptionState, SubscriptionView
    from models.messages.subscriptions import (
        Cancel,
        ChangePlan,
        Collect,
        DebitResult,
        DebitStatus,
        Miss,
        Notice,
        Pause,
        Renew,
        Resume,
        Save,
        Start,
        Subscribe,
        SubscriptionInput,
        Withdraw,
    )
    from workflows.failures import outcome, refuse
    from workflows.ports.subscriptions import SubscriptionsPort
    from workflows.renewals import Collection, give_back
    from workflows.visible import show, waiting, working

REFUSAL_LIFE = timedelta(minutes=1)
"""How long a refused run stays for the update that made it."""


@workflow.defn(name="Subscription")
class Subscription:
    @workflow.init
    def __init__(self, given: SubscriptionInput) -> None:
        self._given = given
        self._state = given.state or SubscriptionState(
            subscription_id=given.subscription_id, user_id=given.user_id
        )
        self._opened = given.state is not None
        self._refused = ""
        self._told = False
        self._paid: PaymentCaptured | None = None
        self._changes = 0
        self._hints = 0
        self._writing = asyncio.Lock()

    @workflow.run
    async def run(self, given: SubscriptionInput) -> str:
        if not self._opened and not await self._open():
            return "refused"
        while self._state.status not in ENDED:
            match self._state.status:
                case Status.AWAITING_PAYMENT:
                    await self._first_payment()
                case Status.HALTED | Status.PAUSED:
                    await self._resumption()
                case _:
                    await self._next_period()
            if workflow.info().is_continue_as_new_suggested():
                await self._continue()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state.status

    # --- the story -----------------------------------------------------------------------------------

    async def _open(self) -> bool:
        try:
            opened = await workflow.execute_local_activity_method(
                SubscriptionsPort.open, self._given, **BOOK.local()
            )
        except ApplicationError as error:
            self._refused = outcome(error).code
            await self._tell_refusal()
            return False
        self._state.plan, self._state.version = opened.plan, opened.version
        self._state.opened_at = self._state.since = workflow.now()
        self._opened = True
        return True

    async def _tell_refusal(self) -> None:
        """The caller's update may come after the run has begun: it is awaited, so that it is answered."""
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._told, timeout=REFUSAL_LIFE)
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _first_payment(self) -> None:
        now = workflow.now()
        until = (self._state.opened_at or now) + calendar.PAYMENT_LIFE
        waiting(
            "the first payment", since=now, otherwise=f"expires at {until:%d %b %H:%M} UTC",
            who="the customer, at the checkout", link="POST /v1/payments/create",
        )  # fmt: skip
        expired = self._paid is None and await self._sleep(until)
        if self._paid is not None and self._state.status is Status.AWAITING_PAYMENT:
            await self._begin(self._paid)
            await self._continue(self._paid.payment_id)
        elif expired:
            await self._end(Status.EXPIRED)

    async def _begin(self, paid: PaymentCaptured) -> None:
        async with self._writing:
            mandate = None
            if paid.token_id and paid.gateway_customer_id:
                mandate = Mandate(
                    token_id=paid.token_id,
                    gateway_customer_id=paid.gateway_customer_id,
                    method=paid.method or "card",
                    since=paid.captured_at,
                )
            self._state.begin(paid.captured_at, mandate, workflow.now())
            begun = await workflow.execute_local_activity_method(
                SubscriptionsPort.begin,
                Start(
                    state=self._state,
                    payment_id=paid.payment_id,
                    next_debit_at=self._state.next_debit(workflow.now()),
                    as_of=workflow.now(),
                ),
                **BOOK.local(),
            )
            self._state.version = begun.version
            if self._state.mandate is not None:
                self._state.mandate.max_amount = begun.mandate_max

    async def _next_period(self) -> None:
        """Up to the end of the paid period, through the renewal that follows it."""
        state = self._state
        if state.cancel_at is not None:
            working(f"ends at {state.cancel_at:%d %b %Y %H:%M} UTC, as the customer was told")
            if await self._sleep(state.cancel_at):
                await self._end(Status.CANCELLED)
        elif state.debit is not None:
            working(f"debit {state.debit.payment_id} leaves at {state.debit.due_at:%d %b %Y %H:%M} UTC")
            if await self._sleep(state.debit.due_at):
                await self._collect(state.debit)
        else:
            planned = state.planned_debit(workflow.now())
            working(f"paid until {state.period_end:%d %b %Y %H:%M} UTC; next debit on {planned:%d %b %Y}")
            if await self._sleep(planned - calendar.notice_lead(state.method())):
                await self._notify(calendar.due_after(planned, workflow.now(), state.method()))

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

    # --- one renewal ---------------------------------------------------------------------------------

    async def _notify(self, due_at: datetime) -> None:
        """Tells customer and gateway of the debit; a command that came meanwhile takes it back."""
        state, seen = self._state, self._changes
        state.attempt += 1
        notice = Notice(
            state=state,
            period=state.period + 1,
            attempt=state.attempt,
            amount=state.renewal_terms().amount,
            due_at=due_at,
            as_of=workflow.now(),
        )
        try:
            state.debit = await workflow.execute_activity_method(
                SubscriptionsPort.notify, notice, task_queue=Queue.RAZORPAY, **READ_PROVIDER.options()
            )
        except ActivityError as error:
            # The gateway will not take the notice, for instance because the mandate was ended at the bank.
            state.first_due_at = state.first_due_at or due_at
            code = outcome(error).code
            missed = DebitResult(
                status=DebitStatus.FAILED, payment_id="", at=workflow.now(), failure_code=code
            )
            async with self._writing:
                await self._missed(missed)
            return
        if self._changes != seen:
            async with self._writing:
                await self._take_back()

    async def _collect(self, debit: Debit) -> None:
        about = Collect(
            subscription_id=self._state.subscription_id,
            user_id=self._state.user_id,
            debit=debit,
            mandate=self._state.mandate,
            terms=self._state.renewal_terms(),
            as_of=workflow.now(),
        )
        result = await Collection(about, self._await_approval, lambda: self._hints).result()
        async with self._writing:
            match result.status:
                case DebitStatus.CAPTURED:
                    await self._captured(debit, result)
                case DebitStatus.WITHDRAWN:
                    self._state.withdraw()
                case _:
                    await self._missed(result)
        if result.status is not DebitStatus.WITHDRAWN:
            await self._continue(result.payment_id)

    async def _await_approval(self) -> None:
        async with self._writing:
            if self._state.status not in ENDED:
                self._state.move(Status.AWAITING_APPROVAL, workflow.now())
                await self._save()

    async def _captured(self, debit: Debit, result: DebitResult) -> None:
        """Books the money with its period; with none, and gives it back, where a cancel came meanwhile."""
        state, now = self._state, workflow.now()
        unwanted = state.status in ENDED
        if unwanted:
            state.forget_series()
        else:
            state.renew(debit.period, result.at, now)
        state.version = await workflow.execute_local_activity_method(
            SubscriptionsPort.renew,
            Renew(
                state=state,
                result=result,
                period=debit.period,
                amount=debit.amount,
                next_debit_at=state.next_debit(now),
                as_of=now,
            ),
            **BOOK.local(),
        )
        if unwanted:
            await give_back(result.payment_id, state.user_id)

    async def _missed(self, result: DebitResult) -> None:
        if self._state.status in ENDED:
            return
        now = workflow.now()
        self._state.miss(now)
        self._state.version = await workflow.execute_local_activity_method(
            SubscriptionsPort.miss,
            Miss(state=self._state, result=result, next_debit_at=self._state.next_debit(now), as_of=now),
            **BOOK.local(),
        )

    # --- commands ------------------------------------------------------------------------------------

    @workflow.update
    async def subscribe(self, _: Subscribe) -> SubscriptionView:
        await workflow.wait_condition(lambda: self._opened or bool(self._refused))
        self._told = True
        if self._refused:
            raise refuse(self._refused)
        return self._state.view(workflow.now())

    @workflow.update
    async def cancel(self, asked: Cancel) -> SubscriptionView:
        async with self._writing:
            self._allow(Action.CANCEL)
            # Where the debit has left already, the subscription ends all the same and the money goes back.
            await self._take_back()
            self._state.cancel(asked.at_period_end, workflow.now())
            return await self._save()

    @workflow.update
    async def pause(self, _: Pause) -> SubscriptionView:
        async with self._writing:
            self._allow(Action.PAUSE)
            await self._hold_debit()
            self._state.move(Status.PAUSED, workflow.now())
            return await self._save()

    @workflow.update
    async def resume(self, _: Resume) -> SubscriptionView:
        async with self._writing:
            self._allow(Action.RESUME)
            if self._state.mandate is None:
                raise refuse("mandate_missing")
            self._state.resume(workflow.now())
            return await self._save()

    @workflow.update
    async def change_plan(self, asked: ChangePlan) -> SubscriptionView:
        async with self._writing:
            self._allow(Action.CHANGE_PLAN)
            try:
                wanted = await workflow.execute_local_activity_method(
                    SubscriptionsPort.plan, asked.plan_id, **BOOK.local()
                )
            except ApplicationError as error:
                raise refuse(outcome(error).code) from None
            state, present = self._state, self._state.terms()
            if wanted.amount * present.cycle.months > present.amount * wanted.cycle.months:
                # An upgrade in mid-cycle is a new checkout, never an extra debit (RBI, e-mandates).
                raise refuse("upgrade_not_built")
            most = state.mandate.max_amount if state.mandate else None
            if most is not None and wanted.amount > most:
                raise refuse("mandate_exceeded")
            await self._hold_debit()
            state.next_plan = None if wanted.plan_id == present.plan_id else wanted
            return await self._save()

    @workflow.signal
    def payment_captured(self, paid: PaymentCaptured) -> None:
        if self._state.status is Status.AWAITING_PAYMENT:
            self._paid = self._paid or paid
            self._changes += 1

    @workflow.signal
    def payment_ended(self, _: PaymentEnded) -> None:
        """The customer may open another checkout while the subscription waits for its first payment."""

    @workflow.signal
    def payment_refunded(self, _: PaymentRefunded) -> None:
        """Money went back. Access follows the subscription's state, and a refund does not cancel."""

    @workflow.signal
    def gateway_event(self, _: GatewayEvent) -> None:
        """A hint that something moved at the gateway; whoever waits looks there."""
        self._hints += 1

    # --- parts ---------------------------------------------------------------------------------------

    def _allow(self, action: Action) -> None:
        if not self._opened:
            raise refuse("subscription_not_open")
        if not may(action, self._state.status):
            raise refuse("invalid_state", self._state.status)

    async def _hold_debit(self) -> None:
        if not await self._take_back():
            raise refuse("debit_in_progress")

    async def _take_back(self) -> bool:
        """Withdraws the announced debit; False where it has left already."""
        debit = self._state.debit
        if debit is None:
            return True
        held = await workflow.execute_local_activity_method(
            SubscriptionsPort.withdraw, Withdraw(payment_id=debit.payment_id), **BOOK.local()
        )
        if held:
            self._state.withdraw()
        return held

    async def _end(self, status: Status) -> None:
        async with self._writing:
            if self._state.status not in ENDED:
                self._state.move(status, workflow.now())
                await self._save()

    async def _save(self) -> SubscriptionView:
        """Stores the projection and wakes the story."""
        self._changes += 1
        now = workflow.now()
        self._state.version = await workflow.execute_local_activity_method(
            SubscriptionsPort.save,
            Save(state=self._state, next_debit_at=self._state.next_debit(now), as_of=now),
            **BOOK.local(),
        )
        self._show()
        return self._state.view(now)

    def _show(self) -> None:
        due = self._state.next_debit(workflow.now()) or self._state.cancel_at
        show(state=self._state.status, plan=self._state.terms().plan_id, due=due, attention=False)

    async def _sleep(self, until: datetime) -> bool:
        """True when the time has come, False when a command or a payment came first."""
        seen, left = self._changes, until - workflow.now()
        if left <= timedelta():
            return True
        try:
            await workflow.wait_condition(lambda: self._changes != seen, timeout=left)
        except TimeoutError:
            return True
        return False

    async def _continue(self, payment_id: str = "") -> None:
        """One run a billing cycle, and one a debit that failed. Search attributes go along at no event."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._state.status in ENDED:
            return
        due = self._state.next_debit(workflow.now()) or self._state.cancel_at or workflow.now()
        attributes = workflow.info().typed_search_attributes.updated(
            SearchAttributePair(Attribute.STATE.value, self._state.status),
            SearchAttributePair(Attribute.PLAN.value, self._state.terms().plan_id),
            SearchAttributePair(Attribute.DUE.value, due),
            SearchAttributePair(Attribute.NEEDS_ATTENTION.value, False),
            *([SearchAttributePair(Attribute.REFERENCE.value, [payment_id])] if payment_id else []),
        )
        workflow.continue_as_new(
            self._given.model_copy(update={"state": self._state}), search_attributes=attributes
        )
