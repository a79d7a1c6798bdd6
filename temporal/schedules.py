"""What recurs for the whole firm: one schedule each, with a catch-up window of its own."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from models.contracts.queues import Queue
from models.messages.reconciliation import DailyInput
from models.settings import Settings

RECONCILIATION = "daily-reconciliation"


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Creates each schedule, or brings the one that is there to what stands here; safe to repeat.

    Raises:
        RPCError: the server cannot be reached.
    """
    daily = _daily_reconciliation(settings)
    try:
        await client.create_schedule(RECONCILIATION, daily)
    except ScheduleAlreadyRunningError:

        def replace(_: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(schedule=daily)

        await client.get_schedule_handle(RECONCILIATION).update(replace)


def _daily_reconciliation(settings: Settings) -> Schedule:
    """At 11:00 in India the gateway's report of the day before is complete. After an outage the days of the
    last week are made up for; what is older is asked for by hand (`POST /v1/finance/reconciliations`)."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "DailyReconciliation",
            DailyInput(assertion_public_key=settings.assertion_public_key),
            id="reconciliation-daily",
            task_queue=Queue.BILLING,
            static_summary="Starts the reconciliation of the day before",
        ),
        spec=ScheduleSpec(cron_expressions=["CRON_TZ=Asia/Kolkata 0 11 * * *"]),
        policy=SchedulePolicy(
            # Each missed day is its own run under its own date.
            overlap=ScheduleOverlapPolicy.ALLOW_ALL,
            catchup_window=timedelta(days=7),
        ),
    )
