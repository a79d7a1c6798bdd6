"""The renewals of a subscription: notice, debit, booking, and what follows where one fails."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributePair
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain import billing_calendar as calendar
    from domain.subscriptions import COLLECTING, ENDED, NEXT, Reason, Status
    from models.contracts.policies import BOOK, READ_PROVIDER
    from models.contracts.queues import Queue
    from models.contracts.search_attributes import Attribute
    from models.messages.subscription_state import Debit, PlanTerms
    from models.messages.subscriptions import (
        Collect,
        DebitResult,
        DebitStatus,
        Late,
        Miss,
        Notice,
        Renew,
        Tell,
        Topic,
    )
    from workflows.failures import outcome
    from workflows.ports.subscriptions import DebitsPort, SubscriptionsPort
    from workflows.renewals import Collection, give_back
    from workflows.subscription_commands import SubscriptionCommands
    from workflows.visible import show, waiting, working


class SubscriptionRenewals(SubscriptionCommands):
    """From one paid period to the next; `workflows.subscriptions.Subscription` tells the whole story."""

    async def _next_period(self) -> None:
        """Up to the end of the paid period, through the renewal that follows it."""
        state = self._state
        if state.cancel_at is not None:
            working(f"ends at {state.cancel_at:%d %b %Y %H:%M} UTC, as the customer was told")
            if await self._sleep(state.cancel_at):
                await self._end(Status.CANCELLED)
        elif state.disputes:
            waiting(
                "the bank's decision on a dispute", since=workflow.now(), otherwise="access stays held",
                who="finance, with evidence at the gateway", link=f"dispute:{state.disputes[0]}",
            )  # fmt: skip
            await self._news()
        elif state.debit is not None:
            working(f"debit {state.debit.payment_id} leaves at {state.debit.due_at:%d %b %Y %H:%M} UTC")
            if await self._sleep(state.debit.due_at):
                await self._collect(state.debit)
        else:
            planned = state.planned_debit(workflow.now())
            working(f"paid until {state.period_end:%d %b %Y %H:%M} UTC; next debit on {planned:%d %b %Y}")
            if await self._sleep(planned - calendar.notice_lead(state.method())):
                await self._notify(state.due(workflow.now()))

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
            debit = await workflow.execute_activity_method(
                DebitsPort.notify, notice, task_queue=Queue.RAZORPAY, **READ_PROVIDER.options()
            )
        except ActivityError as error:
            if await self._not_announced(notice, outcome(error).code):
                await self._continue()
            return
        async with self._writing:
            if self._changes == seen:
                state.debit = debit
                known = workflow.info().typed_search_attributes.get(Attribute.REFERENCE.value) or []
                show(reference=[*known, debit.payment_id, debit.gateway_order_id])
            elif await self._withdraw(debit) and notice.period == state.period + 1:
                state.series_from += 1

    async def _not_announced(self, notice: Notice, code: str) -> bool:
        """The family's fees of the year are spent, the consent is withdrawn, monitoring blocks it, or the
        gateway takes no notice for this mandate, for instance because it was ended at the bank: True where
        that counts as a debit that failed."""
        state = self._state
        async with self._writing:
            if state.status not in COLLECTING or notice.period != state.period + 1:
                # A pause, a cancel or another plan came meanwhile, and stands.
                return False
            if code in list(Reason):
                await self._withhold(Reason(code))
                return False
            state.first_due_at = state.first_due_at or notice.due_at
            missed = DebitResult(
                status=DebitStatus.FAILED, payment_id="", at=workflow.now(), failure_code=code
            )
            await self._missed(missed)
        return True

    async def _withhold(self, reason: Reason) -> None:
        """Nothing is debited for that reason, and the customer is told."""
        self._state.withhold(reason, workflow.now())
        await self._tell(Topic(reason.value))
        await self._save()

    async def _collect(self, debit: Debit) -> None:
        about = Collect(
            subscription_id=self._state.subscription_id,
            user_id=self._state.user_id,
            debit=debit,
            mandate=self._state.mandate,
            terms=self._state.renewal_terms(),
            as_of=workflow.now(),
        )
        collection = Collection(about, self._await_approval, lambda: self._hints)
        self._collecting = collection
        result = await collection.result()
        references = [result.payment_id, debit.gateway_order_id]
        async with self._writing:
            match result.status:
                case DebitStatus.CAPTURED:
                    references = await self._captured(debit, result, about.terms)
                case DebitStatus.WITHDRAWN:
                    if self._is_present(debit):
                        self._state.withdraw()
                        if result.failure_code in list(Reason) and self._state.status in COLLECTING:
                            await self._withhold(Reason(result.failure_code))
                case _ if self._is_present(debit):
                    await self._missed(result)
                case _:
                    await self._settle_missed(result, told=False)
        self._collecting = None
        if result.status in (DebitStatus.FAILED, DebitStatus.ABSENT) and collection.overtaken:
            await self._examine(debit.gateway_order_id)
        if result.status is not DebitStatus.WITHDRAWN:
            await self._continue(*references)

    def _is_present(self, debit: Debit) -> bool:
        """Whether the state still waits for this debit; a change of plan may have left it behind."""
        return self._state.debit is not None and self._state.debit.payment_id == debit.payment_id

    async def _await_approval(self) -> None:
        async with self._writing:
            if self._state.status in COLLECTING and self._state.debit is not None:
                self._state.move(Status.AWAITING_APPROVAL, workflow.now())
                await self._save()

    async def _captured(self, debit: Debit, result: DebitResult, terms: PlanTerms | None = None) -> list[str]:
        """Books the money with its period; without one, and gives it back, where nobody wants it any more:
        a cancel came meanwhile, the period is paid, or is to be one of another price. What it is found by."""
        state, now = self._state, workflow.now()
        amount = result.gateway.amount if result.gateway else debit.amount
        due = debit.period == state.period + 1 and amount == state.renewal_terms().amount
        wanted = due and state.status not in ENDED
        if wanted:
            state.renew(debit.period, result.payment_id, result.at, now)
        renew = Renew(
            state=state,
            result=result,
            wanted=wanted,
            amount=amount,
            terms=terms,
            next_debit_at=state.next_debit(now),
            as_of=now,
        )
        renewed = await workflow.execute_local_activity_method(SubscriptionsPort.renew, renew, **BOOK.local())
        state.version = renewed.version
        if not wanted:
            await give_back(result.payment_id, self._given)
        told = result.gateway
        order_id = (told.order_id if told else None) or debit.gateway_order_id
        return [result.payment_id, order_id, told.id if told else "", renewed.invoice_number]

    async def _examine(self, gateway_order_id: str) -> None:
        """A webhook spoke of an earlier debit: a bank may say yes after it has said no."""
        late = await workflow.execute_activity_method(
            DebitsPort.late,
            Late(
                subscription_id=self._state.subscription_id,
                gateway_order_id=gateway_order_id,
                as_of=workflow.now(),
            ),
            task_queue=Queue.RAZORPAY,
            **READ_PROVIDER.options(),
        )
        if late.debit is None or late.result is None:
            return
        async with self._writing:
            await self._take_back()
            references = await self._captured(late.debit, late.result)
        await self._continue(*references)

    async def _missed(self, result: DebitResult) -> None:
        # A pause or a cancel that came meanwhile stands.
        if self._state.status not in COLLECTING:
            # A webhook about it is from now on one about an earlier debit.
            self._state.debit = None
            await self._settle_missed(result, told=False)
            return
        self._state.miss(workflow.now())
        await self._settle_missed(result)

    async def _settle_missed(self, result: DebitResult, *, told: bool = True) -> None:
        now = workflow.now()
        self._state.failed_at = now
        self._state.version = await workflow.execute_local_activity_method(
            SubscriptionsPort.miss,
            Miss(
                state=self._state,
                result=result,
                told=told,
                next_debit_at=self._state.next_debit(now),
                as_of=now,
            ),
            **BOOK.local(),
        )

    # --- parts ---------------------------------------------------------------------------------------

    async def _tell(self, topic: Topic) -> None:
        await workflow.execute_local_activity_method(
            SubscriptionsPort.tell, Tell(state=self._state, topic=topic), **BOOK.local()
        )

    async def _end(self, status: Status) -> None:
        async with self._writing:
            # A command of the same moment may have gone first: a subscription just resumed does not expire.
            if status in NEXT[self._state.status]:
                self._state.move(status, workflow.now())
                await self._save()

    async def _sleep(self, until: datetime) -> bool:
        """True when the time has come; False when something came first, or a change of plan lapsed."""
        pending = self._state.pending
        first = until if pending is None else min(until, pending.until)
        if until <= workflow.now():
            return True
        if first <= workflow.now():
            return False
        return not await self._news(first - workflow.now()) and first == until

    async def _news(self, at_most: timedelta | None = None) -> bool:
        """Waits for a command or news; False where none came within the time."""
        seen = self._changes
        try:
            await workflow.wait_condition(
                lambda: self._changes != seen or bool(self._strays), timeout=at_most
            )
        except TimeoutError:
            return False
        return True

    async def _continue(self, *references: str) -> None:
        """One run a billing cycle, and one a debit that failed. Search attributes go along at no event: the
        next run is found by its subscription and by what was paid or tried last."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        unread = bool(self._strays) or (self._paid is not None and self._state.period == 0)
        if unread or self._state.status in ENDED:
            return
        due = self._state.next_debit(workflow.now()) or self._state.cancel_at or workflow.now()
        named = [self._state.subscription_id, *(each for each in references if each)]
        attributes = workflow.info().typed_search_attributes.updated(
            SearchAttributePair(Attribute.STATE.value, self._state.status),
            SearchAttributePair(Attribute.PLAN.value, self._state.terms().plan_id),
            SearchAttributePair(Attribute.DUE.value, due),
            SearchAttributePair(Attribute.NEEDS_ATTENTION.value, False),
            *([SearchAttributePair(Attribute.REFERENCE.value, named)] if references else []),
        )
        workflow.continue_as_new(
            self._given.model_copy(update={"state": self._state}), search_attributes=attributes
        )
