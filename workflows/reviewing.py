"""The review of a payment whose money is held: a compliance officer decides, or the money goes back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.monitoring import DECIDE_WITHIN, ESCALATE_AFTER
    from domain.payments import PaymentStatus
    from models.contracts.policies import BOOK
    from models.messages.billing import GatewayPayment
    from models.messages.monitoring import EscalateReview
    from workflows.ports.billing import BillingPort
    from workflows.visible import show, waiting


@dataclass(frozen=True)
class Decided:
    """What an officer decided: `released`, else blocked; `note_id` names why."""

    released: bool
    by: str
    note_id: str | None


@dataclass
class Reviewing:
    """One review. `decided` gives the decision once it came, `look` the gateway's present word or None;
    `hinted` waits for either, or for a webhook."""

    payment_id: str
    decided: Callable[[], Decided | None]
    look: Callable[[], Awaitable[GatewayPayment | None]]
    hinted: Callable[[timedelta], Awaitable[str | None]]
    taken: GatewayPayment | None = None
    """The payment where somebody took its money at the gateway: the decision is due all the same."""

    async def wait(self, seen: GatewayPayment) -> Decided | GatewayPayment | None:
        """The decision; the payment where the gateway has ended it meanwhile; None where time was over."""
        since = workflow.now()
        self.taken = seen if seen.captured else None
        late, over = since + ESCALATE_AFTER, since + DECIDE_WITHIN
        show(state=PaymentStatus.REVIEW, attention=True, due=over)
        escalated = False
        while (decision := self.decided()) is None and workflow.now() < over:
            self._say(since, over, escalated)
            await self.hinted((over if escalated else late) - workflow.now())
            if self.decided() is None and not escalated and workflow.now() >= late:
                await self._escalate()
                escalated = True
            found = await self.look() if self.decided() is None else None
            if found is not None and found.captured and found.status != "refunded":
                self.taken = found
            elif found is not None and found.status != "authorized":
                show(attention=False)
                return found
        show(attention=False)
        return decision

    def _say(self, since: datetime, over: datetime, escalated: bool) -> None:
        waiting(
            f"compliance to release or to block payment {self.payment_id}"
            + (" (taken at the gateway, not delivered)" if self.taken else "")
            + (" (overdue: escalated)" if escalated else ""),
            since=since,
            otherwise=f"nothing is taken; from {over.isoformat(timespec='minutes')} the money goes back",
            who="a compliance officer; alerts: `GET /v1/compliance/payment-alerts`",
            link=f"POST /v1/staff/runs/{workflow.info().workflow_id}/actions/release, or /block",
        )

    async def _escalate(self) -> None:
        asked = EscalateReview(payment_id=self.payment_id, at=workflow.now())
        await workflow.execute_local_activity_method(BillingPort.escalate_review, asked, **BOOK.local())
