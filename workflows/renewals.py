"""One debit of a subscription, from the send to what is certain of it; and money given back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import TypeGuard

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain import billing_calendar as calendar
    from domain.errors import Unavailable
    from domain.subscriptions import refund_id_of
    from models.contracts.policies import BOOK, IRREVERSIBLE, LOOK
    from models.contracts.queues import Queue
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.billing import GatewayPayment, RefundInput
    from models.messages.subscriptions import (
        Collect,
        DebitResult,
        DebitSettlement,
        DebitStatus,
        SettleDebit,
        SubscriptionInput,
    )
    from workflows.failures import outcome, refuse
    from workflows.glancing import glanced
    from workflows.ports.subscriptions import DebitsPort
    from workflows.visible import show, waiting

ABSENCE_PAUSE = timedelta(minutes=2)
"""Between two looks for a debit that the gateway does not know: longer than any call of ours lives."""

AGAIN = (timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1))
"""Between sends that certainly did not leave, the last again and again."""

AWAY_LONG = timedelta(days=1)
"""A debit that cannot be sent for so long is shown to people."""

PENDING_PAUSES = (timedelta(minutes=5), timedelta(hours=1), *[timedelta(days=1)] * 5)
"""When an undecided debit, or one that cannot be read, is looked at again if no webhook tells of it; after
the last, a person is asked."""

APPROVAL_PAUSE = calendar.APPROVAL_LIFE + timedelta(minutes=5)
"""An approval is told by webhook; after the link's life the gateway has failed it by itself."""


@dataclass(frozen=True)
class Settled:
    """What finance says of a debit, and who said it."""

    decision: SettleDebit
    by: str


class Collection:
    """Finds out what becomes of one debit; knows nothing of the subscription around it.

    While `asking`, `settled` is a person's to give.
    """

    def __init__(
        self, about: Collect, awaiting_approval: Callable[[], Awaitable[None]], hints: Callable[[], int]
    ) -> None:
        self._about = about
        self._awaiting_approval = awaiting_approval
        self._hints = hints
        self._heard = hints()
        self._gone: datetime | None = None
        """When the gateway first said that it does not know the debit."""
        self.seen: GatewayPayment | None = None
        """As the gateway showed it last."""
        self.asking = False
        self.settled: Settled | None = None

    @property
    def overtaken(self) -> bool:
        """Whether a webhook spoke of the debit after the gateway was asked for the last time."""
        return self._hints() != self._heard

    async def result(self) -> DebitResult:
        """Never `PENDING` or `UNSENT`: it is captured, failed, withdrawn, or proven absent."""
        result = await self._send()
        return await self._decided() if result.status is DebitStatus.PENDING else result

    async def _send(self) -> DebitResult:
        """Sends the debit once; whatever is not an answer is looked up."""
        begun = workflow.now()
        for pause in chain(AGAIN, repeat(AGAIN[-1])):
            self._heard, self._gone = self._hints(), None
            try:
                result = await workflow.execute_activity_method(
                    DebitsPort.debit,
                    self._about,
                    task_queue=Queue.RAZORPAY,
                    **IRREVERSIBLE.options(),
                )
                self.seen = result.gateway
            except ActivityError as error:
                lost = not isinstance(outcome(error), Unavailable)
                result = await self._resolve() if lost else None
            if result is not None and result.status is not DebitStatus.UNSENT:
                return result
            # It certainly did not leave: the same attempt may go.
            away_long = workflow.now() - begun >= AWAY_LONG
            if away_long:
                show(attention=True)
            waiting(
                f"the gateway or our worker, for debit {self._about.debit.payment_id}", since=begun,
                otherwise=f"the same attempt is sent in {pause}",
                who="support, with the gateway's status page" if away_long else "nobody needs to",
            )  # fmt: skip
            await workflow.sleep(pause)
            self._about.as_of = workflow.now()
        raise AssertionError("the pauses do not end")

    async def _resolve(self) -> DebitResult:
        """What became of a debit without an answer; a gateway that cannot be read says nothing of it."""
        pauses = iter(PENDING_PAUSES)
        while True:
            result = await self._look()
            if result is not None and (self._is_known(result) or result.status is DebitStatus.PENDING):
                return result
            pause = ABSENCE_PAUSE if result else next(pauses, None)
            if pause is None:
                return await self._ask_person()
            waiting(
                f"debit {self._about.debit.payment_id}, whose answer was lost, to show at the gateway",
                since=workflow.now(), who="nobody needs to",
                otherwise=f"it counts as not made after {pause}" if result
                else f"the gateway, which cannot be read, is asked again in {pause}",
            )  # fmt: skip
            if result:
                await workflow.sleep(pause)
            else:
                await self._hint(pause)

    def _is_known(self, result: DebitResult | None) -> TypeGuard[DebitResult]:
        """Whether that is the end of it. Absence counts when it is seen twice, further apart than any call of
        ours lives, and never of what was seen."""
        if result is None or result.status is DebitStatus.PENDING:
            return False
        if result.status is not DebitStatus.ABSENT:
            return True
        first, self._gone = self._gone, self._gone or workflow.now()
        return self.seen is None and first is not None and workflow.now() - first >= ABSENCE_PAUSE

    async def _decided(self) -> DebitResult:
        """Waits for the customer where the amount needs an approval, for the bank, and then for a person."""
        pauses, since, due = [*PENDING_PAUSES], workflow.now(), workflow.now()
        approves = calendar.needs_approval(self._about.debit.amount, self._about.mandate.method)
        if approves:
            await self._awaiting_approval()
            pauses = [APPROVAL_PAUSE, *pauses]
        for pause in pauses:
            asked = approves and pause is APPROVAL_PAUSE
            waiting(
                "the customer's approval of the debit" if asked else "the bank's answer to the debit",
                since=since, otherwise="it fails, and is tried again after a fresh notice" if asked
                else "the gateway is read again, in the end once a day; after five days finance is asked",
                who="the customer, by the bank's link" if asked else "the gateway",
            )  # fmt: skip
            # A hint ends a wait early, and any number of them may come: the schedule goes by time alone.
            due += pause
            while workflow.now() < due:
                await self._hint(due - workflow.now())
                result = await self._look()
                if self._is_known(result):
                    return result
        return await self._ask_person()

    async def _ask_person(self) -> DebitResult:
        """The schedule is spent: finance settles it with the gateway, and we go on reading it once a day."""
        self._about.as_of = since = workflow.now()
        await workflow.execute_local_activity_method(DebitsPort.unsure, self._about, **BOOK.local())
        self.asking = True
        show(attention=True)
        debit, result = self._about.debit, None
        while result is None:
            waiting(
                f"the gateway's word on debit {debit.payment_id} (order {debit.gateway_order_id}): was the "
                "money taken, or has the debit failed?",
                since=since,
                otherwise="the gateway is read again once a day; nothing more is debited before it is known",
                who="finance, with the gateway's support",
                link=f"POST /v1/staff/runs/{workflow.info().workflow_id}/actions/settle",
            )
            await self._hint(timedelta(days=1))
            seen = None if self.settled else await self._look()
            # What a person said while the gateway was read is what holds: they were answered nothing else.
            if self.settled is not None:
                result = self._told(self.settled)
            elif self._is_known(seen):
                result = seen
        self.asking = False
        show(attention=False)
        return result

    def _told(self, settled: Settled) -> DebitResult:
        """The outcome as a person told it."""
        debit, told = self._about.debit, settled.decision
        taken = told.settlement is DebitSettlement.CAPTURED
        seen = self.seen or GatewayPayment(
            id=told.gateway_payment_id or "",
            order_id=debit.gateway_order_id,
            status="created",
            amount=debit.amount,
            captured=False,
            method=self._about.mandate.method,
            token_id=self._about.mandate.token_id,
            customer_id=self._about.mandate.gateway_customer_id,
        )
        return DebitResult(
            status=DebitStatus.CAPTURED if taken else DebitStatus.FAILED,
            payment_id=debit.payment_id,
            gateway=seen.model_copy(update={"status": "captured", "captured": True}) if taken else self.seen,
            at=workflow.now(),
            failure_code=None if taken else "payment_failed",
            settled_by=settled.by,
            note_id=told.note_id,
        )

    async def check(self, decision: SettleDebit) -> None:
        """Refuses a payment of the gateway's that cannot be this debit's."""
        told = decision.gateway_payment_id
        if told and self.seen is not None and self.seen.id != told:
            raise refuse("gateway_payment_differs")
        try:
            await workflow.execute_local_activity_method(
                DebitsPort.unsure,
                self._about.model_copy(update={"gateway_payment_id": told}),
                **BOOK.local(),
            )
        except ApplicationError as error:  # as a local activity fails
            raise refuse(outcome(error).code) from None

    async def _hint(self, pause: timedelta) -> None:
        """Until a webhook speaks of the debit or a person settles it, at most so long; one that spoke during
        the last look counts."""
        try:
            await workflow.wait_condition(lambda: self.overtaken or self.settled is not None, timeout=pause)
        except TimeoutError:
            return

    async def _look(self) -> DebitResult | None:
        """What the gateway has of the debit; None where it gave no answer, which says nothing."""
        self._about.as_of, self._heard = workflow.now(), self._hints()
        try:
            order = self._about.debit.gateway_order_id
            result: DebitResult = await glanced(
                DebitsPort.look, self._about, LOOK, summary=f"read {order}", queue=Queue.RAZORPAY
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return None
        self.seen = result.gateway or self.seen
        return result


async def give_back(
    payment_id: str, given: SubscriptionInput, reason: str = "no_longer_wanted", amount: int | None = None
) -> None:
    """Starts the refund of a payment, of all that is left of it or of `amount` paise, once however often it
    is asked for. It outlives this run."""
    refund_id = refund_id_of(payment_id)
    try:
        await workflow.start_child_workflow(
            "Refund",
            RefundInput(
                refund_id=refund_id,
                payment_id=payment_id,
                amount=amount,
                requested_by=given.user_id,
                authority="system",
                reason_code=reason,
                assertion_key=given.assertion_key,
            ),
            id=workflow_id(Kind.REFUND, refund_id),
            task_queue=Queue.BILLING,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"Refund of {payment_id}: {reason}",
        )
    except WorkflowAlreadyStartedError:
        return
