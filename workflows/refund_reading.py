"""What the gateway says of a refund of ours, asked on a schedule that ends with a person."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from models.contracts.policies import LOOK
    from models.messages.billing import FindRefund, FoundRefund
    from workflows.ports.billing import RefundGatewayPort
    from workflows.uncertainty import DAY, LOOKS
    from workflows.visible import show, waiting


@dataclass
class RefundReading:
    """How one refund is looked for."""

    refund_id: str
    gateway_payment_id: str
    told: bool = field(default=False, kw_only=True)
    """A webhook named this refund, and the gateway has not been read since."""

    async def look(self) -> FoundRefund | None:
        """Our refund as the gateway knows it now; None where it gives no answer, which says nothing."""
        try:
            return await workflow.execute_activity_method(
                RefundGatewayPort.find,
                FindRefund(refund_id=self.refund_id, gateway_payment_id=self.gateway_payment_id),
                summary=f"find {self.refund_id}",
                **LOOK.options(),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return None

    async def answer(
        self, what: str, since: datetime, enough: Callable[[FoundRefund], bool] = lambda _: True
    ) -> FoundRefund:
        """What the gateway says of our refund, as soon as it says `enough`; once the schedule of looks is
        spent a person is told, and it is asked on."""
        looks, due, asking = iter(LOOKS), workflow.now(), False
        while (found := await self.look()) is None or not enough(found):
            if workflow.now() >= due:
                pause = next(looks, None)
                asking, due = pause is None, workflow.now() + (pause or DAY)
            if asking:
                show(attention=True)
            waiting(
                f"the gateway's word: {what}",
                since=since,
                otherwise=f"it is asked again by {due.isoformat(timespec='seconds')}; nothing is sent before",
                who="finance, with the gateway's support" if asking else "nobody needs to",
                link=f"GET /v1/payments/refunds/{self.refund_id}",
            )
            await self.wait(due - workflow.now())
        if asking:
            show(attention=False)
        return found

    async def wait(self, at_most: timedelta) -> None:
        """Until a webhook tells of the refund, at most so long."""
        try:
            await workflow.wait_condition(lambda: self.told, timeout=at_most)
        except TimeoutError:
            return
        self.told = False
