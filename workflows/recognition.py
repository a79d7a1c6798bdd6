"""The day's earned revenue, posted once; a schedule starts it, and finance may ask for it again."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.billing_calendar import ist_date
    from models.contracts.policies import COMPARE
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.recognition import (
        AskRecognition,
        DailyRevenueInput,
        DayRecognised,
        RecogniseDay,
        RecognitionInput,
    )
    from workflows.ports.recognition import RecognitionPort
    from workflows.scheduling import due_at
    from workflows.visible import show, working

ANSWER_WITHIN = timedelta(seconds=2)
"""How long the caller's update waits for the day before it is answered `running`."""


@workflow.defn(name="RevenueRecognition")
class RevenueRecognition:
    """`revenue:{date}`. Moves what was earned through a day from deferred revenue to revenue. It may run
    again at any time: what is posted is not posted again, and what was planned late is."""

    @workflow.init
    def __init__(self, given: RecognitionInput) -> None:
        self._given = given
        self._done: DayRecognised | None = None

    @workflow.run
    async def run(self, given: RecognitionInput) -> DayRecognised:
        show(state="running")
        working(f"recognising revenue through {given.date}")
        done = await workflow.execute_activity_method(
            RecognitionPort.recognise,
            RecogniseDay(date=given.date, as_of=workflow.now()),
            **COMPARE.options(),
        )
        self._done = done
        show(state=done.status, amount=done.subscriptions + done.courses)
        working(
            f"{done.days} days posted, {done.subscriptions} paise of subscriptions, {done.courses} of courses"
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        return done

    @workflow.update
    async def recognise(self, _: AskRecognition) -> DayRecognised:
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._done is not None, timeout=ANSWER_WITHIN)
        return self._done or DayRecognised(date=self._given.date, status="running")


@workflow.defn(name="DailyRevenue")
class DailyRevenue:
    """`revenue-daily`. Each day: starts the recognition of the day before, under that day's own id."""

    @workflow.run
    async def run(self, _: DailyRevenueInput) -> str:
        due = due_at()
        day = ist_date(due) - timedelta(days=1)
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                "RevenueRecognition",
                RecognitionInput(date=day),
                id=workflow_id(Kind.REVENUE, day.isoformat()),
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Revenue earned on {day}",
            )
        return day.isoformat()
