"""A settlement day compared with the book; each difference waits for finance in a process of its own."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.billing_calendar import ist_date
    from domain.reconciliation import BreakStatus, Claim, needs_second
    from models.contracts.policies import BOOK, COMPARE, REPORT
    from models.contracts.queues import Queue
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.reconciliation import (
        BreakInput,
        Compare,
        Compared,
        DailyInput,
        Day,
        Decide,
        Found,
        Reconcile,
        ReconciliationInput,
        Resolve,
        Resolved,
        Tell,
        Telling,
    )
    from workflows.deciding import decider
    from workflows.failures import outcome, refuse
    from workflows.ports.reconciliation import ReconciliationPort
    from workflows.scheduling import due_at
    from workflows.visible import show, waiting, working

ANSWER_WITHIN = timedelta(seconds=2)
"""How long the caller's update waits for the day before it is answered `running`."""
AT_ONCE = 50
"""Break processes that are started side by side."""
TOLD_A_RUN = 2000
"""Break processes that one run hears of at most: then it goes on in a new one, before its history is long."""


@workflow.defn(name="Reconciliation")
class Reconciliation:
    """`reconciliation:{date}`. Compares what the gateway settled on a day with the book, and opens a process
    for each difference. It may run again at any time: what has not changed is not done again."""

    @workflow.init
    def __init__(self, given: ReconciliationInput) -> None:
        self._given = given
        self._compared = given.telling.compared if given.telling else None

    @workflow.run
    async def run(self, given: ReconciliationInput) -> Compared:
        telling = given.telling or await self._compare()
        compared = telling.compared
        after: str | None = telling.after
        told = 0
        while after is not None:
            if told >= TOLD_A_RUN:
                await workflow.wait_condition(workflow.all_handlers_finished)
                on = Telling(day=telling.day, compared=compared, after=after)
                workflow.continue_as_new(given.model_copy(update={"telling": on}))
            page = await workflow.execute_local_activity_method(
                ReconciliationPort.tell, Tell(day=telling.day, after=after), **BOOK.local()
            )
            compared.breaks = compared.breaks or [one for one in page.breaks if one.date == given.date]
            for first in range(0, len(page.breaks), AT_ONCE):
                await asyncio.gather(*(self._tell(one) for one in page.breaks[first : first + AT_ONCE]))
            told, after = told + len(page.breaks), page.after
        self._compared = compared
        show(state=compared.status, amount=compared.difference, reference=compared.references)
        working(f"{compared.lines} lines, {compared.matched} matched, {compared.difference} paise open")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return compared

    async def _compare(self) -> Telling:
        """The day read and compared; read again where what was read is lost before it is compared."""
        date = self._given.date
        show(state="running")
        while True:
            working(f"reading the gateway's report of {date}")
            day = await workflow.execute_local_activity_method(
                ReconciliationPort.begin, Day(date=date, as_of=workflow.now()), **BOOK.local()
            )
            settled = await workflow.execute_activity_method(
                ReconciliationPort.read, day, task_queue=Queue.RAZORPAY, **REPORT.options()
            )
            working(f"comparing {settled.lines} lines with the book")
            asked = Compare(day=day, lines=settled.lines, settled_until=settled.settled_until)
            try:
                compared = await workflow.execute_activity_method(
                    ReconciliationPort.compare, asked, **COMPARE.options()
                )
            except ActivityError as error:
                if outcome(error).code != "report_incomplete":
                    raise
                continue
            return Telling(day=day, compared=compared, after="")

    @workflow.update
    async def reconcile(self, _: Reconcile) -> Compared:
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._compared is not None, timeout=ANSWER_WITHIN)
        running = Compared(
            date=self._given.date, status="running", lines=0, matched=0, difference=0, breaks=[], version=0
        )
        return self._compared or running

    async def _tell(self, found: Found) -> None:
        """The break outlives this run, and is found again by its id when the day is compared again. One that
        had ended, its claim paid, is run anew where the line that paid it is gone."""
        run_id = workflow_id(Kind.BREAK, found.date.isoformat(), found.kind, found.reference)
        again = found.status is BreakStatus.RESOLVED
        if not again or found.claim is Claim.OPEN:
            with suppress(WorkflowAlreadyStartedError):
                await workflow.start_child_workflow(
                    "ReconciliationBreak",
                    BreakInput(found=found, assertion_public_key=self._given.assertion_public_key),
                    id=run_id,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
                    if again
                    else WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    static_summary=f"Break {found.kind} {found.reference} of {found.date}",
                    static_details=f"{found.break_id} leaves {found.difference} paise on gateway clearing",
                )
                return
        if found.version > 1:
            # Gone already: nobody waits for this.
            with suppress(ApplicationError):
                run = workflow.get_external_workflow_handle(run_id)
                await run.signal("reported", found)


@workflow.defn(name="ReconciliationBreak")
class ReconciliationBreak:
    """`break:{date}:{kind}:{reference}`. One difference between the gateway's settlement and the book: it
    waits until a person in finance has decided what becomes of it, above ₹50,000 two of them, or a later
    report mends it. What is claimed from the gateway it waits for until a report shows it paid."""

    @workflow.init
    def __init__(self, given: BreakInput) -> None:
        self._given = given
        self._found = given.found
        self._shown = 0
        self._deciding = asyncio.Lock()

    @workflow.run
    async def run(self, given: BreakInput) -> str:
        while not self._over():
            self._show()
            self._shown = self._found.version
            await workflow.wait_condition(lambda: self._found.version != self._shown)
        show(state=self._found.claim or self._found.status, attention=False)
        working(self._found.ended or "resolved")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._found.status

    def _over(self) -> bool:
        """Nothing is left to decide, and no claim is left to be paid."""
        return self._found.status is BreakStatus.RESOLVED and self._found.claim is not Claim.OPEN

    @workflow.signal
    def reported(self, found: Found) -> None:
        """A later report changed, mended or paid it."""
        if found.version > self._found.version:
            self._found = found.model_copy(update={"due_at": self._given.found.due_at})

    @workflow.update
    async def resolve(self, asked: Resolve) -> Resolved:
        async with self._deciding:
            if self._over():
                raise refuse("already_resolved")
            who = self._checked(asked)
            decision = Decide(
                break_id=self._given.found.break_id,
                resolution=asked.resolution,
                note_id=asked.note_id,
                subject=who,
                as_of=workflow.now(),
            )
            try:
                resolved = await workflow.execute_local_activity_method(
                    ReconciliationPort.decide, decision, **BOOK.local()
                )
            except ApplicationError as error:
                raise refuse(outcome(error).code) from None
            self._found = self._found.model_copy(
                update=resolved.model_dump(include={"status", "version", "claim"})
            )
            return resolved

    @resolve.validator
    def _may_resolve(self, asked: Resolve) -> None:
        self._checked(asked)

    def _checked(self, asked: Resolve) -> str:
        """Who decides, if the API has signed it for this run; what is typed by hand does not pass."""
        key, owner = self._given.assertion_public_key, self._given.found.user_id
        return decider(asked.assertion, key, "resolve", ("finance",), about=owner).subject

    def _show(self) -> None:
        """Says what is awaited, and of whom."""
        found = self._found
        known = (found.break_id, found.reference, found.about, found.payment_id, found.utr)
        decided = found.status is BreakStatus.RESOLVED
        show(
            state="claimed" if decided else found.status, attention=not decided, due=found.due_at,
            amount=abs(found.difference), reference=list(dict.fromkeys(each for each in known if each)),
            customer=found.user_id,
        )  # fmt: skip
        size = f"{found.difference} paise on gateway clearing"
        if found.difference_tax and not found.difference:
            size = f"{found.difference_tax} paise of GST in a fee that is right"
        if decided:
            waiting(
                f"the gateway's payment of the claim about {found.about}: {found.difference} paise",
                since=workflow.now(),
                otherwise="it stays on the account gateway_claims",
                who="the gateway, by a line of a later report; finance, to give it up",
                link=f"POST /v1/finance/breaks/{found.break_id}/resolve",
            )
            return
        second = found.status is BreakStatus.AWAITING_SECOND
        waiting(
            f"a decision on {found.kind} of {found.reference}: {size}",
            since=workflow.now(),
            otherwise="it stays open and is shown in each day's report"
            + (" (two people decide it)" if needs_second(found.difference, found.difference_tax) else ""),
            who="a second person in finance, with the same resolution" if second else "somebody in finance",
            link=f"POST /v1/finance/breaks/{found.break_id}/resolve",
        )


@workflow.defn(name="DailyReconciliation")
class DailyReconciliation:
    """`reconciliation-daily`. Each day: starts the comparison of the day before, under that day's own id."""

    @workflow.run
    async def run(self, given: DailyInput) -> str:
        due = due_at()
        day = ist_date(due) - timedelta(days=1)
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                "Reconciliation",
                ReconciliationInput(date=day, assertion_public_key=given.assertion_public_key),
                id=workflow_id(Kind.RECONCILIATION, day.isoformat()),
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Reconciliation of {day}",
            )
        return day.isoformat()
