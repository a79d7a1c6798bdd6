"""The irreversible call of a refund: sent once, looked for by our receipt, never just repeated."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.errors import RateLimited, Rejected, TreumError, Unknown
    from models.contracts.policies import BOOK, IRREVERSIBLE
    from models.messages.billing import Forestall, FoundRefund, GatewayRefund, SendRefund, VoidAttempt
    from workflows.failures import outcome
    from workflows.ports.billing import BillingPort, RefundGatewayPort
    from workflows.refund_reading import RefundReading
    from workflows.uncertainty import AGAIN, SURELY_OVER
    from workflows.visible import waiting

DISPUTE_LOOK = timedelta(hours=12)


@dataclass
class Returning(RefundReading):
    """How one refund's money goes back through the gateway. `amount` in paise."""

    amount: int
    speed: str
    attempt: int = 0
    decided: bool = False
    """A dispute of the payment has ended, and the refund has not been tried since."""
    forfeited: bool = False
    """The customer's bank gave the money back: nothing is left to give."""

    async def send(self) -> GatewayRefund | None:
        """Gives the money back, once; None where the gateway refuses for good, or where a lost dispute has
        given it back (`forfeited`)."""
        for pause in AGAIN:
            failure, begun = None, workflow.now()
            while failure is None:
                self.attempt += 1
                begun = workflow.now()
                try:
                    return await self._send(begun)
                except ActivityError as error:
                    failure = await self._held(outcome(error))
            if failure.code == "dispute_lost":
                self.forfeited = True
                return None
            found = await self._resolve(failure, begun)
            if found is not None:
                return found
            if isinstance(failure, Rejected):
                return None
            await self._rest(failure, pause)
        return None

    async def _held(self, failure: TreumError) -> TreumError | None:
        """None once a dispute that held the money has ended: nothing left, and no attempt was spent."""
        if failure.code != "payment_disputed":
            return failure
        waiting(
            "the end of a dispute of the payment",
            since=workflow.now(),
            otherwise="it is tried again every twelve hours; nothing leaves before the bank has decided",
            who="finance, who answer the dispute",
            link="GET /v1/finance/disputes?status=open",
        )
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self.decided, timeout=DISPUTE_LOOK)
        self.decided = False
        return None

    async def _send(self, begun: datetime) -> GatewayRefund:
        return await workflow.execute_activity_method(
            RefundGatewayPort.send,
            SendRefund(
                refund_id=self.refund_id,
                gateway_payment_id=self.gateway_payment_id,
                amount=self.amount,
                speed=self.speed,
                attempt=self.attempt,
                at=begun,
            ),
            summary=f"refund {self.refund_id}",
            **IRREVERSIBLE.options(),
        )

    async def _resolve(self, error: TreumError, begun: datetime) -> GatewayRefund | None:
        """What became of a refund without an answer: found by our receipt, or proven not to have happened."""
        uncertain = isinstance(error, Unknown)
        if uncertain and await self._never_begun():
            return None

        def settled(found: FoundRefund) -> bool:
            # A hint ends a wait early, and any number of them may come at once: time alone proves absence.
            return bool(found.refund) or not uncertain or workflow.now() - begun >= SURELY_OVER

        what = f"what became of refund attempt {self.attempt} (`{error.code}`)"
        found = await self.answer(what, begun, settled)
        if found.refund is None:
            await self._void(error.code)
        return found.refund

    async def _rest(self, failure: TreumError, pause: timedelta) -> None:
        """The time between an attempt that changed nothing and the next."""
        if isinstance(failure, RateLimited):
            pause = timedelta(seconds=failure.retry_after)
        waiting(
            f"the next try to refund, after attempt {self.attempt} (`{failure.code}`)",
            since=workflow.now(),
            otherwise=f"it follows within {pause}",
            who="nobody needs to",
        )
        await workflow.sleep(pause)

    async def _never_begun(self) -> bool:
        """The attempt left no row, and now never will: proof of absence without asking the gateway."""
        asked = Forestall(kind="refund", object_id=self.refund_id, number=self.attempt, at=workflow.now())
        return await workflow.execute_local_activity_method(BillingPort.forestall, asked, **BOOK.local())

    async def _void(self, code: str) -> None:
        proven = VoidAttempt(
            kind="refund", object_id=self.refund_id, number=self.attempt, code=code, at=workflow.now()
        )
        await workflow.execute_local_activity_method(BillingPort.void_attempt, proven, **BOOK.local())
