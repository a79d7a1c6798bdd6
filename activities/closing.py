"""What the close of a month does to the book."""

from temporalio import activity

from activities.brokers import beating
from domain.billing_calendar import ist_date
from domain.closing import PeriodStatus, month
from models.messages.closing import ClosePeriod, Lack, PeriodClosed
from store import closing, periods
from store.database import Database
from workflows.ports.recognition import ClosingPort


class ClosingActivities(ClosingPort):
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="closing.close")
    async def close(self, command: ClosePeriod) -> PeriodClosed:
        """One transaction: what is missing is looked for while nothing can be dated into the month."""
        first, following = month(command.period)
        async with beating(), self._database.transaction() as connection:
            await periods.hold(connection)
            row = await periods.find(connection, command.period)
            if row is None:
                lacks = await closing.missing(connection, command.period, ist_date(command.as_of))
                if lacks:
                    return PeriodClosed(
                        period=command.period,
                        status=PeriodStatus.OPEN,
                        missing=[Lack(code=lack.code, about=lack.about) for lack in lacks],
                    )
                row = await periods.close(
                    connection, command.period, first, following, command.subject, command.as_of
                )
        return PeriodClosed(
            period=command.period,
            status=PeriodStatus.CLOSED,
            closed_at=row["closed_at"],
            closed_by=row["closed_by"],
            entries=row["entries"],
            documents=row["documents"],
            book_hash=row["book_hash"],
        )
