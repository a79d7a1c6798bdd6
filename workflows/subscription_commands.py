"""What may be asked of a subscription and told to it, in whatever state it is."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain import billing_calendar as calendar
    from domain.subscriptions import ENDED, UNPAID, Action, Status, may
    from models.contracts.assertions import Assertion
    from models.contracts.policies import BOOK
    from models.messages.billing import GatewayEvent, PaymentCaptured, PaymentEnded, PaymentRefunded
    from models.messages.disputes import Dispute, PaymentDisputed
    from models.messages.subscription_state import (
        Cut,
        Debit,
        Mandate,
        PlanChange,
        PlanTerms,
        SubscriptionState,
        SubscriptionView,
    )
    from models.messages.subscriptions import (
        Cancel,
        ChangePlan,
        DebitSettlement,
        Pause,
        Quote,
        Resume,
        Save,
        SettleDebit,
        Start,
        Subscribe,
        SubscriptionInput,
        Withdraw,
    )
    from workflows.deciding import decider
    from workflows.failures import outcome, refuse
    from workflows.ports.subscriptions import DebitsPort, SubscriptionsPort
    from workflows.renewals import Collection, Settled, give_back
    from workflows.visible import show


class SubscriptionCommands:
    """State, updates and signals; the story that they wake is `workflows.subscriptions.Subscription`.

    Whoever writes the state holds `_writing`: each await yields to other handlers and to the story.
    """

    def __init__(self, given: SubscriptionInput) -> None:
        self._given = given
        self._state = given.state or SubscriptionState(
            subscription_id=given.subscription_id, user_id=given.user_id
        )
        self._opened = given.state is not None
        self._refused = ""
        self._told = False
        self._paid: PaymentCaptured | None = None
        self._begun = ""
        """Payment whose period has begun in this run: a new run begins with it."""
        self._changes = 0
        self._hints = 0
        self._strays: list[str] = []
        self._collecting: Collection | None = None
        """The debit that is on its way, until it is booked."""
        self._writing = asyncio.Lock()

    @workflow.update
    async def subscribe(self, _: Subscribe) -> SubscriptionView:
        await workflow.wait_condition(lambda: self._opened or bool(self._refused))
        self._told = True
        if self._refused:
            raise refuse(self._refused)
        return self._state.view(workflow.now())

    @workflow.update
    async def cancel(self, asked: Cancel) -> SubscriptionView:
        await self._heard()
        async with self._writing:
            self._allow(Action.CANCEL)
            # Where the debit has left already, the subscription ends all the same and the money goes back.
            await self._take_back()
            now = workflow.now()
            cut = self._state.cut(now)
            self._state.cancel(asked.at_period_end, now)
            return await self._save(cut if self._state.status in ENDED else None, "cancelled")

    @workflow.update
    async def pause(self, _: Pause) -> SubscriptionView:
        await self._heard()
        async with self._writing:
            self._allow(Action.PAUSE)
            await self._hold_debit()
            self._state.move(Status.PAUSED, workflow.now())
            return await self._save()

    @workflow.update
    async def resume(self, _: Resume) -> SubscriptionView:
        await self._heard()
        async with self._writing:
            self._allow(Action.RESUME)
            if self._state.mandate is None:
                raise refuse("mandate_missing")
            self._state.resume(workflow.now())
            return await self._save()

    @workflow.update
    async def change_plan(self, asked: ChangePlan) -> SubscriptionView:
        await self._heard()
        async with self._writing:
            self._allow(Action.CHANGE_PLAN)
            state = self._state
            if asked.plan_id == state.terms().plan_id:
                # The present plan: what was asked for before is taken back.
                await self._hold_debit()
                state.pending = state.next_plan = None
                return await self._save()
            wanted = await self._quoted(asked.plan_id)
            if state.needs_checkout(wanted):
                if state.disputes:
                    raise refuse("payment_disputed")
                # Until it is paid nothing changes: a renewal that falls due meanwhile is debited as before.
                until = workflow.now() + calendar.CHANGE_LIFE
                return await self._save_wish(PlanChange(plan=wanted, until=until))
            await self._hold_debit()
            state.pending, state.next_plan = None, wanted
            return await self._save()

    @workflow.update
    async def settle(self, decision: SettleDebit) -> SubscriptionView:
        """Finance says what the gateway's support says of a debit that nobody could read."""
        await self._asking(decision).check(decision)
        collecting = self._asking(decision)  # the bank may have spoken meanwhile
        collecting.settled = Settled(decision, self._signed(decision).subject)
        await workflow.wait_condition(lambda: self._collecting is not collecting)
        return self._state.view(workflow.now())

    @settle.validator
    def _may_settle(self, decision: SettleDebit) -> None:
        self._signed(decision)
        self._asking(decision)

    @workflow.signal
    async def payment_captured(self, paid: PaymentCaptured) -> None:
        known = paid.payment_id in self._state.checkouts
        if known or (self._paid is not None and self._paid.payment_id == paid.payment_id):
            return
        if self._state.period == 0 and self._paid is None:
            self._paid = paid
            self._changes += 1
            return
        async with self._writing:
            change = self._state.pending
            if change is None or self._state.status in ENDED or change.plan.amount != paid.amount:
                # It was withdrawn, or another was wanted since: the money buys nothing.
                await give_back(paid.payment_id, self._given)
                return
            # What has left for the old plan goes back when it comes.
            await self._take_back()
            await self._begin(paid)

    @workflow.signal
    def payment_ended(self, _: PaymentEnded) -> None:
        """The customer may open another checkout while the first payment, or a change of plan, is awaited."""

    @workflow.signal
    async def payment_refunded(self, refunded: PaymentRefunded) -> None:
        """What paid for the present period went back whole: it ends now. A part, or what paid for another
        period, changes nothing: so does what the subscription itself gave back, by an end or an upgrade."""
        async with self._writing:
            state, now = self._state, workflow.now()
            if not refunded.full or refunded.payment_id != state.payment_id or state.status in ENDED:
                return
            await self._take_back()
            cut = state.cut(now)
            state.cancel(False, now)
            await self._save(cut)

    @workflow.signal
    async def payment_disputed(self, told: PaymentDisputed) -> None:
        """Access is held while the customer's bank decides; it ends where the money is lost."""
        async with self._writing:
            state, now, cut = self._state, workflow.now(), None
            if state.status in ENDED:
                return
            match told.state:
                case Dispute.OPENED:
                    await self._take_back()
                    state.hold(told.dispute_id)
                case Dispute.WON:
                    state.release(told.dispute_id, now)
                case Dispute.LOST if told.payment_id == state.payment_id:
                    cut = state.cut(now)
                    state.lose(told.dispute_id, now)
                case Dispute.LOST:
                    await self._take_back()
                    state.lose_earlier(told.dispute_id, now)
            await self._save(cut)

    @workflow.signal
    def gateway_event(self, event: GatewayEvent) -> None:
        """A hint that something moved at the gateway; whoever waits looks there."""
        present = self._state.debit
        if present is not None and present.gateway_order_id == event.gateway_order_id:
            self._hints += 1
        elif event.gateway_order_id and event.gateway_order_id not in self._strays:
            self._strays.append(event.gateway_order_id)

    # --- parts ---------------------------------------------------------------------------------------

    async def _heard(self) -> None:
        """What is paid begins first, however close a command came, or however late the worker that had stored
        it is back: then it is cancelled or changed as what it is."""
        await workflow.wait_condition(lambda: self._paid is None or self._state.status not in UNPAID)

    def _signed(self, decision: SettleDebit) -> Assertion:
        given = self._given
        return decider(decision.assertion, given.assertion_key, "settle", ("finance",), about=given.user_id)

    def _asking(self, decision: SettleDebit) -> Collection:
        """The debit that a person is asked about."""
        collecting = self._collecting
        if collecting is None or not collecting.asking or collecting.settled is not None:
            raise refuse("not_awaiting_settlement")
        if not decision.note_id:
            raise refuse("evidence_required")
        taken = decision.settlement is DebitSettlement.CAPTURED
        if taken and collecting.seen is None and not decision.gateway_payment_id:
            raise refuse("gateway_payment_required")
        return collecting

    def _allow(self, action: Action) -> None:
        if not self._opened:
            raise refuse("subscription_not_open")
        if not may(action, self._state.status):
            raise refuse("invalid_state", self._state.status)

    async def _quoted(self, plan_id: str) -> PlanTerms:
        try:
            return await workflow.execute_local_activity_method(
                SubscriptionsPort.quote,
                Quote(state=self._state, plan_id=plan_id, as_of=workflow.now()),
                **BOOK.local(),
            )
        except ApplicationError as error:
            raise refuse(outcome(error).code) from None

    async def _save_wish(self, change: PlanChange) -> SubscriptionView:
        """Stored, or refused where another of the family has taken the room in the fee cap meanwhile."""
        before, self._state.pending = self._state.pending, change
        try:
            return await self._save()
        except ApplicationError as error:
            self._state.pending = before
            raise refuse(outcome(error).code) from None

    async def _begin(self, paid: PaymentCaptured) -> None:
        """The period that a checkout has paid for starts; what it cuts short goes back. Holds `_writing`."""
        state, now = self._state, workflow.now()
        cut = state.cut(paid.captured_at, day_used=False)
        state.begin(paid.payment_id, paid.captured_at, _mandate(paid), now)
        begun = await workflow.execute_local_activity_method(
            SubscriptionsPort.begin,
            Start(
                state=state,
                payment_id=paid.payment_id,
                next_debit_at=state.next_debit(now),
                as_of=now,
                cut=cut,
            ),
            **BOOK.local(),
        )
        state.version = begun.version
        if state.mandate is not None:
            state.mandate.max_amount = begun.mandate_max
        self._begun = paid.payment_id
        self._changes += 1
        if cut is not None and begun.credit:
            await give_back(cut.payment_id, self._given, "plan_changed", begun.credit)

    async def _hold_debit(self) -> None:
        if not await self._take_back():
            raise refuse("debit_in_progress")

    async def _take_back(self) -> bool:
        """Withdraws the announced debit; False where it has left already."""
        debit = self._state.debit
        if debit is None:
            return True
        held = await self._withdraw(debit)
        if held:
            self._state.withdraw()
        return held

    async def _withdraw(self, debit: Debit) -> bool:
        return await workflow.execute_local_activity_method(
            DebitsPort.withdraw, Withdraw(payment_id=debit.payment_id), **BOOK.local()
        )

    async def _save(self, cut: Cut | None = None, reason: str = "") -> SubscriptionView:
        """Stores the projection and wakes the story. With a `reason`, what a cut leaves goes back for it."""
        self._changes += 1
        now = workflow.now()
        saved = await workflow.execute_local_activity_method(
            SubscriptionsPort.save,
            Save(state=self._state, next_debit_at=self._state.next_debit(now), as_of=now, cut=cut),
            **BOOK.local(),
        )
        self._state.version = saved.version
        self._show()
        if cut is not None and saved.credit and reason:
            await give_back(cut.payment_id, self._given, reason, saved.credit)
        return self._state.view(now)

    def _show(self) -> None:
        due = self._state.next_debit(workflow.now()) or self._state.cancel_at
        asking = self._collecting is not None and self._collecting.asking
        show(state=self._state.status, plan=self._state.terms().plan_id, due=due, attention=asking)


def _mandate(paid: PaymentCaptured) -> Mandate | None:
    """What the checkout lets us debit later, if the customer gave a mandate."""
    if not paid.token_id or not paid.gateway_customer_id:
        return None
    return Mandate(
        token_id=paid.token_id,
        gateway_customer_id=paid.gateway_customer_id,
        method=paid.method or "card",
        since=paid.captured_at,
    )
