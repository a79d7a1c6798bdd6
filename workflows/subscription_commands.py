"""What may be asked of a subscription and told to it, in whatever state it is."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.subscriptions import Action, Status, may
    from models.contracts.policies import BOOK
    from models.messages.billing import GatewayEvent, PaymentCaptured, PaymentEnded, PaymentRefunded
    from models.messages.subscription_state import SubscriptionState, SubscriptionView
    from models.messages.subscriptions import (
        Cancel,
        ChangePlan,
        Pause,
        Resume,
        Save,
        Subscribe,
        SubscriptionInput,
        Withdraw,
    )
    from workflows.failures import outcome, refuse
    from workflows.ports.subscriptions import SubscriptionsPort
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
        self._changes = 0
        self._hints = 0
        self._strays: list[str] = []
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
        # What is paid begins first, however close the two came: then it is cancelled as what it is.
        await workflow.wait_condition(
            lambda: self._paid is None or self._state.status is not Status.AWAITING_PAYMENT
        )
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
        if self._state.period == 0:
            self._paid = self._paid or paid
            self._changes += 1

    @workflow.signal
    def payment_ended(self, _: PaymentEnded) -> None:
        """The customer may open another checkout while the subscription waits for its first payment."""

    @workflow.signal
    def payment_refunded(self, _: PaymentRefunded) -> None:
        """Money went back. Access follows the subscription's state, and a refund does not cancel."""

    @workflow.signal
    def gateway_event(self, event: GatewayEvent) -> None:
        """A hint that something moved at the gateway; whoever waits looks there."""
        present = self._state.debit
        if present is not None and present.gateway_order_id == event.gateway_order_id:
            self._hints += 1
        elif event.gateway_order_id and event.gateway_order_id not in self._strays:
            self._strays.append(event.gateway_order_id)

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
