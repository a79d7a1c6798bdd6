"""A settlement day compared with the book; each difference waits for finance in a process of its own."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.billing_calendar import ist_date
    from domain.reconciliation import BreakStatus, needs_second
    from models.contracts.assertions import ForgedAssertion, check
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
    )
    from workflows.failures import outcome, refuse
    from workflows.ports.reconciliation import ReconciliationPort
    from workflows.visible import show, waiting, working

ANSWER_WITHIN = timedelta(seconds=2)
"""How long the caller's update waits for the day before it is answered `running`."""

SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn(name="Reconciliation")
class Reconciliation:
    """`reconciliation:{date}`. Compares what the gateway settled on a day with the book, and opens a process
    for each difference. It may run again at any time: what has not changed is not done again."""

    @workflow.init
    def __init__(self, given: ReconciliationInput) -> None:
        self._given = given
        self._compared: Compared | None = None

    @workflow.run
    async def run(self, given: ReconciliationInput) -> Compared:
        show(state="running")
        working(f"reading the gateway's report of {given.date}")
        day = await workflow.execute_local_activity_method(
            ReconciliationPort.begin, Day(date=given.date, as_of=workflow.now()), **BOOK.local()
        )
        settled = await workflow.execute_activity_method(
            ReconciliationPort.read, day, task_queue=Queue.RAZORPAY, **REPORT.options()
        )
        working(f"comparing {settled.lines} lines with the book")
        compared = await workflow.execute_activity_method(
            ReconciliationPort.compare,
            Compare(day=day, settled_until=settled.settled_until),
            **COMPARE.options(),
        )
        for found in compared.breaks:
            if found.status is not BreakStatus.RESOLVED:
                await self._open_break(found)
        self._compared = compared
        show(state=compared.status, amount=compared.difference)
        working(f"{compared.lines} lines, {compared.matched} matched, {len(compared.breaks)} breaks")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return compared

    @workflow.update
    async def reconcile(self, _: Reconcile) -> Compared:
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._compared is not None, timeout=ANSWER_WITHIN)
        running = Compared(
            date=self._given.date, status="running", lines=0, matched=0, difference=0, breaks=[], version=0
        )
        return self._compared or running

    async def _open_break(self, found: Found) -> None:
        """The break outlives this run, and is found again by its id when the day is compared again."""
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                "ReconciliationBreak",
                BreakInput(found=found, assertion_public_key=self._given.assertion_public_key),
                id=workflow_id(Kind.BREAK, found.date.isoformat(), found.kind, found.reference),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Break {found.kind} {found.reference} of {found.date}",
                static_details=f"{found.difference} paise are left on gateway clearing by {found.break_id}",
            )


@workflow.defn(name="ReconciliationBreak")
class ReconciliationBreak:
    """`break:{date}:{kind}:{reference}`. One difference between the gateway's settlement and the book: it
    waits until a person in finance has decided what becomes of it, above ₹50,000 two of them."""

    @workflow.init
    def __init__(self, given: BreakInput) -> None:
        self._given = given
        self._status = BreakStatus.OPEN
        self._deciding = asyncio.Lock()

    @workflow.run
    async def run(self, given: BreakInput) -> str:
        found = given.found
        show(
            state=self._status, attention=True, amount=abs(found.difference),
            reference=[found.break_id, found.reference],
        )  # fmt: skip
        self._wait("somebody in finance")
        await workflow.wait_condition(lambda: self._status is not BreakStatus.OPEN)
        if self._status is BreakStatus.AWAITING_SECOND:
            show(state=self._status)
            self._wait("a second person in finance, with the same resolution")
            await workflow.wait_condition(lambda: self._status is BreakStatus.RESOLVED)
        show(state=self._status, attention=False)
        working("resolved")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status

    @workflow.update
    async def resolve(self, asked: Resolve) -> Resolved:
        async with self._deciding:
            if self._status is BreakStatus.RESOLVED:
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
            self._status = resolved.status
            return resolved

    @resolve.validator
    def _may_resolve(self, asked: Resolve) -> None:
        self._checked(asked)

    def _checked(self, asked: Resolve) -> str:
        """Who decides, if the API has signed it for this run; what is typed by hand does not pass."""
        run_id = workflow.info().workflow_id
        key = self._given.assertion_public_key
        try:
            inside = check(asked.assertion, key, workflow_id=run_id, action="resolve", now=workflow.now())
        except ForgedAssertion:
            raise refuse("assertion_invalid") from None
        if inside.role != "finance":
            raise refuse("assertion_invalid")
        return inside.subject

    def _wait(self, who: str) -> None:
        found = self._given.found
        waiting(
            f"a decision on {found.kind} of {found.reference}: {found.difference} paise on gateway clearing",
            since=workflow.now(),
            otherwise="it stays open and is shown in each day's report"
            + (" (two people decide it)" if needs_second(found.difference) else ""),
            who=who,
            link=f"POST /v1/finance/breaks/{found.break_id}/resolve",
        )


@workflow.defn(name="DailyReconciliation")
class DailyReconciliation:
    """`reconciliation-daily`. Each day: starts the comparison of the day before, under that day's own id."""

    @workflow.run
    async def run(self, given: DailyInput) -> str:
        due = workflow.info().typed_search_attributes.get(SCHEDULED_AT) or workflow.now()
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
