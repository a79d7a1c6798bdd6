"""One debit of a subscription, from the send to what is certain of it; and money given back."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain import billing_calendar as calendar
    from domain.errors import Unavailable
    from domain.subscriptions import refund_id_of
    from models.contracts.policies import IRREVERSIBLE, READ_PROVIDER
    from models.contracts.queues import Queue
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.billing import RefundInput
    from models.messages.subscriptions import Collect, DebitResult, DebitStatus, SubscriptionInput
    from workflows.failures import outcome
    from workflows.ports.subscriptions import DebitsPort
    from workflows.visible import show, waiting

ABSENCE_PAUSE = timedelta(minutes=2)
"""Between two looks for a debit that the gateway does not know: longer than any call of ours lives."""

PENDING_PAUSES = (timedelta(minutes=5), timedelta(hours=1), *[timedelta(days=1)] * 5)
"""When an undecided debit is looked at again if no webhook tells of it."""

APPROVAL_PAUSES = (calendar.APPROVAL_LIFE + timedelta(minutes=5),)
"""An approval is told by webhook; after the link's life the gateway has failed it by itself."""


class Collection:
    """Finds out what becomes of one debit; knows nothing of the subscription around it."""

    def __init__(
        self, about: Collect, awaiting_approval: Callable[[], Awaitable[None]], hints: Callable[[], int]
    ) -> None:
        self._about = about
        self._awaiting_approval = awaiting_approval
        self._hints = hints
        self._heard = hints()

    @property
    def overtaken(self) -> bool:
        """Whether a webhook spoke of the debit after the gateway was asked for the last time."""
        return self._hints() != self._heard

    async def result(self) -> DebitResult:
        """Never `PENDING` or `UNSENT`: it is captured, failed, withdrawn, or proven absent."""
        result = await self._send()
        while result.status is DebitStatus.PENDING:
            result = await self._decided()
        return result

    async def _send(self) -> DebitResult:
        """Sends the debit once; whatever is not an answer is looked up."""
        while True:
            self._heard = self._hints()
            try:
                return await workflow.execute_activity_method(
                    DebitsPort.debit,
                    self._about,
                    task_queue=Queue.RAZORPAY,
                    **IRREVERSIBLE.options(),
                )
            except ActivityError as error:
                if not isinstance(outcome(error), Unavailable):
                    result = await self._resolve()
                    if result.status is not DebitStatus.UNSENT:
                        return result
            # It certainly did not leave: the same attempt may go.
            waiting(
                f"the gateway or our worker, for debit {self._about.debit.payment_id}", since=workflow.now(),
                otherwise="the same attempt is sent in a minute", who="nobody needs to",
            )  # fmt: skip
            await workflow.sleep(timedelta(minutes=1))
            self._about.as_of = workflow.now()

    async def _resolve(self) -> DebitResult:
        """Absence counts when it is seen twice, further apart than any call of ours lives."""
        result = await self._look()
        if result.status is DebitStatus.ABSENT:
            waiting(
                f"debit {self._about.debit.payment_id}, whose answer was lost, to show at the gateway",
                since=workflow.now(), otherwise=f"it counts as not made after {ABSENCE_PAUSE}",
                who="nobody needs to",
            )  # fmt: skip
            await workflow.sleep(ABSENCE_PAUSE)
            result = await self._look()
        return result

    async def _decided(self) -> DebitResult:
        """Waits for the bank, or for the customer where the amount needs an approval."""
        approval = calendar.needs_approval(self._about.debit.amount, self._about.mandate.method)
        if approval:
            await self._awaiting_approval()
        waiting(
            "the customer's approval of the debit" if approval else "the bank's answer to the debit",
            since=workflow.now(), otherwise="it fails, and is tried again after a fresh notice",
            who="the customer, by the bank's link" if approval else "the gateway",
        )  # fmt: skip
        for pause in APPROVAL_PAUSES if approval else PENDING_PAUSES:
            await self._hint(pause)
            result = await self._look()
            if result.status is not DebitStatus.PENDING:
                break
        else:
            show(attention=True)
        return result

    async def _hint(self, pause: timedelta) -> None:
        seen = self._hints()
        try:
            await workflow.wait_condition(lambda: self._hints() != seen, timeout=pause)
        except TimeoutError:
            return

    async def _look(self) -> DebitResult:
        self._about.as_of, self._heard = workflow.now(), self._hints()
        return await workflow.execute_activity_method(
            DebitsPort.look, self._about, task_queue=Queue.RAZORPAY, **READ_PROVIDER.options()
        )


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
