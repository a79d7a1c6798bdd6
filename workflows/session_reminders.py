"""Before the opening: customers whose session at the broker is missing and missed are written to."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.market_calendar import INDIA_2026, trading_date
    from models.contracts.policies import COMPUTE
    from models.messages.broker_days import RemindersInput, RemindSessions
    from workflows.ports.broker_days import ReminderPort
    from workflows.scheduling import due_at
    from workflows.visible import show, working


@workflow.defn(name="SessionReminders")
class SessionReminders:
    """`session-reminders`. Writes to whoever has orders that wait for a login, or asked to be reminded."""

    @workflow.run
    async def run(self, given: RemindersInput) -> str:
        due = due_at()
        day = given.day or trading_date(due)
        if not INDIA_2026.is_trading_day(day):
            show(state="no_trading_day")
            return "no_trading_day"
        reminded = await workflow.execute_activity_method(
            ReminderPort.remind_sessions,
            RemindSessions(day=day, as_of=workflow.now()),
            **COMPUTE.options(),
        )
        show(state="reminded")
        working(f"{reminded.messages} customers were written to")
        return "reminded"
