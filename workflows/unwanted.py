"""Money that is not to be kept: held money that the bank lets go by itself, taken money that goes back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from domain.payments import LATE_AUTHORISATION
    from models.contracts.identifiers import Prefix, mint
    from models.contracts.policies import BOOK
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.billing import BookCapture, BookedCapture, GatewayPayment, RefundInput
    from workflows.ports.billing import BillingPort
    from workflows.visible import show, waiting, working


@dataclass
class Unwanted:
    """How the money of one payment goes back.

    `read` gives the gateway's present word, `hinted` waits for a webhook at most so long.
    """

    payment_id: str
    amount: int
    assertion_key: str
    read: Callable[[], Awaitable[GatewayPayment | None]]
    hinted: Callable[[timedelta], Awaitable[str | None]]

    async def released(self, seen: GatewayPayment, reason: str) -> GatewayPayment:
        """Waits until the gateway has let held money go, which it does within three days and free of charge
        (Razorpay); the payment as it then stands. Money that somebody took at the gateway is booked and
        given back."""
        since, overdue = workflow.now(), False
        while seen.status != "refunded" and not self._was_taken(seen):
            if workflow.now() - since >= 2 * LATE_AUTHORISATION or seen.status == "captured":
                overdue = True
                show(attention=True)
            waiting(
                f"the gateway to release {seen.id} (`{reason}`): {seen.status}, {seen.amount} paise",
                since=since,
                otherwise="after six days finance asks the gateway; we read it on, twice a day",
                who="finance, with the gateway's support" if overdue else "nobody needs to",
            )
            await self.hinted(timedelta(hours=12))
            seen = await self.read() or seen
        if overdue:
            show(attention=False)
        if self._was_taken(seen):
            await self.return_taken(seen, "gateway", reason)
        else:
            working(f"`{reason}`: {seen.id} went back")
        return seen

    def _was_taken(self, seen: GatewayPayment) -> bool:
        """Captured with our amount. Any other is no sale of ours: a person gives it back at the gateway."""
        return seen.status == "captured" and seen.amount == self.amount

    async def return_taken(self, seen: GatewayPayment, source: str, reason: str) -> BookedCapture:
        """Books money that was taken and buys nothing, and gives it back."""
        booked = await workflow.execute_local_activity_method(
            BillingPort.book_capture,
            BookCapture(payment_id=self.payment_id, gateway=seen, source=source, at=workflow.now()),
            **BOOK.local(),
        )
        await self.give_back(reason)
        return booked

    async def give_back(self, reason: str) -> None:
        """Captured money that buys nothing any more goes back, whatever becomes of this run."""
        refund_id = mint(Prefix.REFUND, workflow.uuid7())
        try:
            await workflow.start_child_workflow(
                "Refund",
                RefundInput(
                    refund_id=refund_id,
                    payment_id=self.payment_id,
                    requested_by="payment",
                    authority="system",
                    reason_code=reason,
                    assertion_key=self.assertion_key,
                ),
                id=workflow_id(Kind.REFUND, refund_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=f"Refund of {self.payment_id}: {reason}",
                static_details=f"Started by the payment itself. `GET /v1/payments/refunds/{refund_id}`",
            )
        except ChildWorkflowError:
            show(attention=True)
            working(f"the refund {refund_id} could not be started; finance starts it by hand")
