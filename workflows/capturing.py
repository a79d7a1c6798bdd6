"""The irreversible call of a payment: sent once, looked for where its answer is lost, never just repeated."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, repeat

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.errors import RateLimited, TreumError, Unknown
    from models.contracts.policies import BOOK, IRREVERSIBLE
    from models.messages.billing import CaptureCommand, Forestall, GatewayPayment, VoidAttempt
    from workflows.failures import outcome
    from workflows.ports.billing import BillingPort, GatewayPort
    from workflows.visible import show, waiting, working

AGAIN = [timedelta(seconds=1), timedelta(minutes=5), timedelta(hours=1)] + [timedelta(days=1)] * 5
"""Between attempts that surely changed nothing; after the last, a person is told."""
REREAD = [timedelta(0), timedelta(seconds=10), timedelta(minutes=1)]
"""Between looks for a capture of unknown outcome, the last again and again until it is `SURELY_OVER`."""
SURELY_OVER = timedelta(seconds=30)
"""A capture still unseen this long after it began, its deadline being 12 s, did not happen."""


@dataclass
class Capturing:
    """How one payment's held money is taken.

    `read` gives the gateway's present word, `hinted` waits for a webhook at most so long, `unsure` shows
    the payment as `unknown`.
    """

    payment_id: str
    currency: str
    read: Callable[[], Awaitable[GatewayPayment | None]]
    hinted: Callable[[timedelta], Awaitable[str | None]]
    unsure: Callable[[GatewayPayment, str], Awaitable[None]]
    attempt: int = 0

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
        # A hint ends a wait early, and any number of them may come at once: time alone proves absence.
        for delay in chain(REREAD, repeat(REREAD[-1])):
            if delay:
                waiting(
                    f"the outcome of capture attempt {self.attempt} (`{error.code}`)",
                    since=begun,
                    otherwise=f"the gateway is read again within {delay}",
                    who="nobody needs to",
                )
                await self.hinted(delay)
            found = await self.read() or seen
            if found.status != "authorized":
                return found
            if not uncertain or workflow.now() - begun >= SURELY_OVER:
                break
        await self._void(error.code)
        return seen

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
        show(attention=True)
        while True:
            waiting(
                f"the gateway's word on payment {seen.id}: is it captured?",
                since=workflow.now(),
                otherwise="the money goes back to the customer by itself three days after authorisation",
                who="finance, with the gateway's support",
            )
            await self.hinted(timedelta(days=1))
            found = await self.read()
            if found is not None and found.status != "authorized":
                show(attention=False)
                return found
