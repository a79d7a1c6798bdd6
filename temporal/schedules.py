"""What recurs for the whole firm: one schedule each, with a catch-up window of its own."""

from collections.abc import Callable
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
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker_days import BrokerDaysInput, RemindersInput
from models.messages.disputes import WatchInput
from models.messages.onboarding import RescreenRound
from models.messages.recognition import DailyRevenueInput
from models.messages.reconciliation import DailyInput
from models.settings import Settings

RECONCILIATION = "daily-reconciliation"
REVENUE = "daily-revenue"
DISPUTES = "dispute-watch"
RESCREENING = "rescreening"
BROKER_DAYS = "broker-days"
REMINDERS = "session-reminders"


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Creates each schedule, or brings the one that is there to what stands here; safe to repeat.

    Raises:
        RPCError: the server cannot be reached.
    """
    wanted = {
        RECONCILIATION: _daily_reconciliation(settings),
        REVENUE: _daily_revenue(),
        DISPUTES: _dispute_watch(settings),
        RESCREENING: _rescreening(),
        BROKER_DAYS: _broker_days(settings),
        REMINDERS: _session_reminders(),
    }
    for name, schedule in wanted.items():
        try:
            await client.create_schedule(name, schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(name).update(_replacing(schedule))


def _replacing(schedule: Schedule) -> Callable[[ScheduleUpdateInput], ScheduleUpdate]:
    return lambda _: ScheduleUpdate(schedule=schedule)


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


def _daily_revenue() -> Schedule:
    """At 00:20 in India the day before is over. A missed day needs no run of its own: the next one makes up
    for it, each day under its own date."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "DailyRevenue",
            DailyRevenueInput(),
            id="revenue-daily",
            task_queue=Queue.BILLING,
            static_summary="Starts the recognition of the revenue of the day before",
        ),
        spec=ScheduleSpec(cron_expressions=["CRON_TZ=Asia/Kolkata 20 0 * * *"]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(days=1)),
    )


def _dispute_watch(settings: Settings) -> Schedule:
    """Every six hours: a bank gives days to answer a dispute, and a webhook may be lost. A missed round needs
    no making up, since the next one looks at the same list."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "DisputeWatch",
            WatchInput(assertion_key=settings.assertion_public_key),
            id="dispute-watch",
            task_queue=Queue.BILLING,
            static_summary="Looks for disputes that no webhook has told of",
        ),
        spec=ScheduleSpec(cron_expressions=["CRON_TZ=Asia/Kolkata 30 3,9,15,21 * * *"]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=1)),
    )


def _rescreening() -> Schedule:
    """Each hour: a watchlist that has changed is searched for every verified customer, one that has not
    costs one read. A missed hour needs no making up, since the next one looks at the same list."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "Rescreening",
            RescreenRound(),
            id=workflow_id(Kind.RESCREENING, "hourly"),
            task_queue=Queue.ONBOARDING,
            static_summary="Looks whether the watchlist has changed",
        ),
        spec=ScheduleSpec(cron_expressions=["17 * * * *"]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=1)),
    )


def _broker_days(settings: Settings) -> Schedule:
    """After the shares' close and after the commodities': each account's day is held against the broker's
    book, which is gone at 06:00; a later round could read it no more."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "BrokerDays",
            BrokerDaysInput(assertion_public_key=settings.assertion_public_key),
            id="broker-days",
            task_queue=Queue.TRADING,
            static_summary="Starts the comparison of each account's trading day",
        ),
        spec=ScheduleSpec(
            cron_expressions=["CRON_TZ=Asia/Kolkata 0 16 * * *", "CRON_TZ=Asia/Kolkata 45 23 * * *"]
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=6)),
    )


def _session_reminders() -> Schedule:
    """Half an hour before the shares open: later than the opening a reminder helps nobody."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "SessionReminders",
            RemindersInput(),
            id="session-reminders",
            task_queue=Queue.TRADING,
            static_summary="Reminds customers of the broker's login before the opening",
        ),
        spec=ScheduleSpec(cron_expressions=["CRON_TZ=Asia/Kolkata 45 8 * * *"]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=30)),
    )
