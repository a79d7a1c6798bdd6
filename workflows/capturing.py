"""The irreversible call of a payment: sent once, looked for where its answer is lost, never just repeated."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.errors import RateLimited, TreumError, Unknown
    from models.contracts.policies import BOOK, IRREVERSIBLE
    from models.messages.billing import CaptureCommand, Forestall, GatewayPayment, VoidAttempt
    from models.messages.monitoring import Settlement
    from workflows.failures import outcome
    from workflows.ports.billing import BillingPort, GatewayPort
    from workflows.uncertainty import AGAIN, LOOKS, SURELY_OVER
    from workflows.visible import show, waiting, working


@dataclass
class Capturing:
    """How one payment's held money is taken.

    `look` gives the gateway's present word, or None where it gives none; `hinted` waits for a webhook at most
    so long, `unsure` shows the payment as `unknown`. While `asking`, `settlement` is a person's to give.
    """

    payment_id: str
    currency: str
    look: Callable[[], Awaitable[GatewayPayment | None]]
    hinted: Callable[[timedelta], Awaitable[str | None]]
    unsure: Callable[[GatewayPayment, str], Awaitable[None]]
    attempt: int = 0
    asking: bool = False
    settlement: Settlement | None = None

    async def take(self, seen: GatewayPayment) -> GatewayPayment:
        """Captures what is authorised, exactly; the payment as it stands when its outcome is known."""
        for pause in AGAIN:
            self.attempt += 1
            working(f"capturing {seen.id}, attempt {self.attempt}")
            begun = workflow.now()
            try:
                return await self._send(seen, begun)
            except ActivityError as error:
                failure = outcome(error)
            found = await self._resolve(seen, failure, begun)
            if found.status != "authorized":
                return found
            await self._rest(failure, pause)
        return await self._ask_person(seen)

    async def _send(self, seen: GatewayPayment, begun: datetime) -> GatewayPayment:
        command = CaptureCommand(
            payment_id=self.payment_id,
            gateway_payment_id=seen.id,
            amount=seen.amount,
            currency=self.currency,
            attempt=self.attempt,
            at=begun,
        )
        return await workflow.execute_activity_method(
            GatewayPort.capture,
            command,
            summary=f"capture {seen.id}",
            **IRREVERSIBLE.options(),
        )

    async def _resolve(self, seen: GatewayPayment, error: TreumError, begun: datetime) -> GatewayPayment:
        """What became of a capture without an answer: captured, gone, or proven not to have happened."""
        uncertain = isinstance(error, Unknown)
        if uncertain and await self._never_begun():
            return seen
        if uncertain:
            await self.unsure(seen, error.code)
        looks, due = iter(LOOKS), workflow.now()
        while True:
            found = await self.look()
            if found is not None and found.status != "authorized":
                return found
            # A hint ends a wait early, and any number of them may come at once: time alone proves absence.
            if found is not None and (not uncertain or workflow.now() - begun >= SURELY_OVER):
                await self._void(error.code)
                return seen
            if workflow.now() >= due:
                pause = next(looks, None)
                if pause is None:
                    return await self._ask_person(seen)
                due = workflow.now() + pause
            waiting(
                f"the outcome of capture attempt {self.attempt} (`{error.code}`)",
                since=begun,
                otherwise=f"the gateway is read again by {due.isoformat(timespec='seconds')}",
                who="nobody needs to",
            )
            await self.hinted(due - workflow.now())

    async def _rest(self, failure: TreumError, pause: timedelta) -> None:
        """The time between an attempt that changed nothing and the next."""
        if isinstance(failure, RateLimited):
            pause = timedelta(seconds=failure.retry_after)
        waiting(
            f"the next try to capture, after attempt {self.attempt} (`{failure.code}`)",
            since=workflow.now(),
            otherwise=f"it follows within {pause}",
            who="nobody needs to",
        )
        await self.hinted(pause)

    async def _never_begun(self) -> bool:
        """The attempt left no row, and now never will: proof of absence without asking the gateway."""
        asked = Forestall(kind="capture", object_id=self.payment_id, number=self.attempt, at=workflow.now())
        return await workflow.execute_local_activity_method(BillingPort.forestall, asked, **BOOK.local())

    async def _void(self, code: str) -> None:
        proven = VoidAttempt(
            kind="capture", object_id=self.payment_id, number=self.attempt, code=code, at=workflow.now()
        )
        await workflow.execute_local_activity_method(BillingPort.void_attempt, proven, **BOOK.local())

    async def _ask_person(self, seen: GatewayPayment) -> GatewayPayment:
        """The schedule is spent: staff settle it with the gateway, and we go on reading it once a day."""
        await self.unsure(seen, "unresolved")
        show(attention=True)
        self.asking, since = True, workflow.now()
        found: GatewayPayment | None = None
        while self.settlement is None and (found is None or found.status == "authorized"):
            waiting(
                f"the gateway's word on payment {seen.id}: was it captured, or has the money gone back?",
                since=since,
                otherwise="the gateway is read again once a day; what nobody captured has gone back by then",
                who="finance, with the gateway's support",
                link=f"POST /v1/staff/runs/{workflow.info().workflow_id}/actions/settle",
            )
            if await self.hinted(timedelta(days=1)) != "staff":
                found = await self.look()
        self.asking = False
        show(attention=False)
        if self.settlement is None and found is not None:
            return found
        taken = self.settlement is Settlement.CAPTURED
        return seen.model_copy(update={"status": "captured" if taken else "refunded", "captured": taken})
