"""What recurs for the whole firm: one schedule each, with a catch-up window of its own."""

from collections.abc import Callable
from datetime import timedelta

from pydantic import BaseModel
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

from domain.market_calendar import INDIA_2026
from domain.signals import Timeframe
from domain.watchlist import WATCHED, fresh_for
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, signal_round, workflow_id
from models.messages.broker_days import BrokerDaysInput, RemindersInput
from models.messages.disputes import WatchInput
from models.messages.onboarding import RescreenRound
from models.messages.recognition import DailyRevenueInput
from models.messages.reconciliation import DailyInput
from models.messages.watchlist import RoundInput
from models.settings import Settings

RECONCILIATION = "daily-reconciliation"
REVENUE = "daily-revenue"
DISPUTES = "dispute-watch"
RESCREENING = "rescreening"
BROKER_DAYS = "broker-days"
REMINDERS = "session-reminders"

INDIA = "CRON_TZ=Asia/Kolkata"

BAR_CLOSES: dict[Timeframe, tuple[str, ...]] = {
    Timeframe.M1: ("5 * 9-23",),
    Timeframe.M5: ("5 */5 9-23",),
    Timeframe.M15: ("5 */15 9-23",),
    Timeframe.H1: ("5 15 10-15", "5 30 15,23", "5 0 10-23"),
    Timeframe.D1: ("5 0 16", "5 45 23"),
}
"""Second, minute and hour at which a round begins: five seconds after a bar of the shares (counted from
09:15) or of the commodities (from 09:00) closes; a day's bar when the closing session is over, as
`broker-days`. Which exchange has a bar just then, the round finds by the calendar."""


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
        **{signal_round(timeframe): _signal_round(timeframe, settings) for timeframe in WATCHED},
    }
    for name, schedule in wanted.items():
        try:
            await client.create_schedule(name, schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(name).update(_replacing(schedule))


def _replacing(schedule: Schedule) -> Callable[[ScheduleUpdateInput], ScheduleUpdate]:
    """As it stands here; whether it rests, and who has paused it and why, is not ours to change."""

    def update(found: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule.state = found.description.schedule.state
        return ScheduleUpdate(schedule=schedule)

    return update


def _schedule(
    process: str,
    given: BaseModel,
    *crons: str,
    run: str,
    queue: Queue,
    summary: str,
    window: timedelta,
    overlap: ScheduleOverlapPolicy = ScheduleOverlapPolicy.SKIP,
) -> Schedule:
    """Starts `process` under the id `run` at each of the crons; what an outage kept from starting is started
    after it where it is no older than `window`."""
    return Schedule(
        action=ScheduleActionStartWorkflow(process, given, id=run, task_queue=queue, static_summary=summary),
        spec=ScheduleSpec(cron_expressions=crons),
        policy=SchedulePolicy(overlap=overlap, catchup_window=window),
    )


def _daily_reconciliation(settings: Settings) -> Schedule:
    """At 11:00 in India the gateway's report of the day before is complete. After an outage the days of the
    last week are made up for; what is older is asked for by hand (`POST /v1/finance/reconciliations`)."""
    return _schedule(
        "DailyReconciliation",
        DailyInput(assertion_public_key=settings.assertion_public_key),
        f"{INDIA} 0 11 * * *",
        run="reconciliation-daily",
        queue=Queue.BILLING,
        summary="Starts the reconciliation of the day before",
        window=timedelta(days=7),
        # Each missed day is its own run under its own date.
        overlap=ScheduleOverlapPolicy.ALLOW_ALL,
    )


def _daily_revenue() -> Schedule:
    """At 00:20 in India the day before is over. A missed day needs no run of its own: the next one makes up
    for it, each day under its own date."""
    return _schedule(
        "DailyRevenue",
        DailyRevenueInput(),
        f"{INDIA} 20 0 * * *",
        run="revenue-daily",
        queue=Queue.BILLING,
        summary="Starts the recognition of the revenue of the day before",
        window=timedelta(days=1),
    )


def _dispute_watch(settings: Settings) -> Schedule:
    """Every six hours: a bank gives days to answer a dispute, and a webhook may be lost. A missed round needs
    no making up, since the next one looks at the same list."""
    return _schedule(
        "DisputeWatch",
        WatchInput(assertion_key=settings.assertion_public_key),
        f"{INDIA} 30 3,9,15,21 * * *",
        run="dispute-watch",
        queue=Queue.BILLING,
        summary="Looks for disputes that no webhook has told of",
        window=timedelta(hours=1),
    )


def _rescreening() -> Schedule:
    """Each hour: a watchlist that has changed is searched for every verified customer, one that has not
    costs one read. A missed hour needs no making up, since the next one looks at the same list."""
    return _schedule(
        "Rescreening",
        RescreenRound(),
        "17 * * * *",
        run=workflow_id(Kind.RESCREENING, "hourly"),
        queue=Queue.ONBOARDING,
        summary="Looks whether the watchlist has changed",
        window=timedelta(hours=1),
    )


def _broker_days(settings: Settings) -> Schedule:
    """After the shares' close and after the commodities': each account's day is held against the broker's
    book, which is gone at 06:00; a later round could read it no more."""
    return _schedule(
        "BrokerDays",
        BrokerDaysInput(assertion_public_key=settings.assertion_public_key),
        f"{INDIA} 0 16 * * *",
        f"{INDIA} 45 23 * * *",
        run="broker-days",
        queue=Queue.TRADING,
        summary="Starts the comparison of each account's trading day",
        window=timedelta(hours=6),
    )


def _session_reminders() -> Schedule:
    """Half an hour before the shares open: later than the opening a reminder helps nobody."""
    return _schedule(
        "SessionReminders",
        RemindersInput(),
        f"{INDIA} 45 8 * * *",
        run="session-reminders",
        queue=Queue.TRADING,
        summary="Reminds customers of the broker's login before the opening",
        window=timedelta(minutes=30),
    )


def _signal_round(timeframe: Timeframe, settings: Settings) -> Schedule:
    """Just after each bar of a market day closes. A round that an outage held up past the time in which a
    signal of its bar is worth something is not made up for, and none begins while another runs."""
    days = ["* * 1-5 *"]
    # Special sessions at a week-end; holidays among the weekdays are the round's own to skip.
    special = sorted(day for day in INDIA_2026.special if day.weekday() >= 5)
    days += [f"{day.day} {day.month} * {day.year}" for day in special]
    return _schedule(
        "SignalRound",
        RoundInput(timeframe=timeframe, assertion_public_key=settings.assertion_public_key),
        *(f"{INDIA} {moment} {day}" for day in days for moment in BAR_CLOSES[timeframe]),
        run=signal_round(timeframe),
        queue=Queue.SIGNALS,
        summary=f"Runs what is on watch after the {timeframe} bar",
        window=fresh_for(timeframe),
    )
