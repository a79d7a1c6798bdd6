"""The close of an accounting month, by a person of finance: all or nothing, and for good."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.closing import PeriodStatus
    from models.contracts.policies import COMPARE
    from models.messages.closing import AskClose, CloseInput, ClosePeriod, PeriodClosed
    from workflows.deciding import decider
    from workflows.failures import refuse
    from workflows.ports.recognition import ClosingPort
    from workflows.visible import show, waiting, working

ANSWER_WITHIN = timedelta(seconds=2)
"""How long the caller's update waits for the close before it is answered `closing`."""

ASK_WITHIN = timedelta(minutes=1)
"""How long a run waits for the signed word that it was started with: one that was refused never comes."""


@workflow.defn(name="PeriodClose")
class PeriodClose:
    """`close:{yyyy-mm}`. Closes a month if nothing is missing in it; else it ends and says what is missing,
    and may be asked for again."""

    @workflow.init
    def __init__(self, given: CloseInput) -> None:
        self._given = given
        self._subject = ""
        self._closed: PeriodClosed | None = None

    @workflow.run
    async def run(self, given: CloseInput) -> str:
        show(state="asked")
        waiting(
            f"the signed word of a person of finance to close {given.period}",
            since=workflow.now(),
            otherwise="nothing is closed, and this run ends after a minute",
            who="finance",
            link=f"POST /v1/finance/periods/{given.period}/close",
        )
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: bool(self._subject), timeout=ASK_WITHIN)
        if not self._subject:
            return "refused"
        working(f"looking for what is missing in {given.period}")
        closed = await workflow.execute_activity_method(
            ClosingPort.close,
            ClosePeriod(period=given.period, subject=self._subject, as_of=workflow.now()),
            **COMPARE.options(),
        )
        self._closed = closed
        show(state=closed.status)
        working(", ".join(lack.code for lack in closed.missing) or f"closed with {closed.entries} entries")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return closed.status

    @workflow.update
    async def close(self, asked: AskClose) -> PeriodClosed:
        self._subject = self._subject or self._checked(asked)
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._closed is not None, timeout=ANSWER_WITHIN)
        if self._closed is None:
            return PeriodClosed(period=self._given.period, status="closing")
        if self._closed.status is not PeriodStatus.CLOSED and self._closed.missing:
            raise refuse("period_not_ready", ",".join(lack.code for lack in self._closed.missing))
        return self._closed

    @close.validator
    def _may_close(self, asked: AskClose) -> None:
        self._checked(asked)

    def _checked(self, asked: AskClose) -> str:
        """Who closes, if the API has signed it for this run; what is typed by hand does not pass."""
        return decider(asked.assertion, self._given.assertion_public_key, "close", ("finance",)).subject
