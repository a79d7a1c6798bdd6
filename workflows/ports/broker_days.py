"""What the end of a trading day asks of the world; `activities/` does it."""

from temporalio import activity

from models.messages.broker_days import (
    CompareDay,
    DayBreakView,
    DayCompared,
    DecideDayBreak,
    Due,
    DueAccounts,
    Reminded,
    RemindSessions,
)


class BrokerDayPort:
    """An account's day beside the broker's."""

    @activity.defn(name="trading.days_due")
    async def days_due(self, command: DueAccounts) -> Due: ...

    @activity.defn(name="trading.compare_day")
    async def compare_day(self, command: CompareDay) -> DayCompared: ...

    @activity.defn(name="trading.decide_break")
    async def decide_break(self, command: DecideDayBreak) -> DayBreakView: ...


class ReminderPort:
    """Customers whose session is missing before the opening."""

    @activity.defn(name="trading.remind_sessions")
    async def remind_sessions(self, command: RemindSessions) -> Reminded: ...
