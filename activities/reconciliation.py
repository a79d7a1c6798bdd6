"""What the reconciliation processes do to the world: read the report, compare, book, decide."""

from datetime import datetime, timedelta
from functools import partial

from temporalio import activity

from activities.beating import in_thread
from activities.brokers import beating
from domain.billing_calendar import ist_date, ist_midnight
from domain.errors import Rejected
from domain.reconciliation import capture_days
from models.messages.reconciliation import Compare, Compared, Day, Decide, Found, Resolved, Settled
from providers.razorpay_mandates import REPORT_PAGE, RazorpayMandates
from store import breaks, reconciliation
from store.database import Database
from workflows.ports.reconciliation import ReconciliationPort


class ReconciliationActivities(ReconciliationPort):
    """`lag_days`: working days from capture to settlement, as agreed with the gateway."""

    def __init__(self, database: Database, gateway: RazorpayMandates, lag_days: int) -> None:
        self._database = database
        self._gateway = gateway
        self._lag_days = lag_days

    @activity.defn(name="reconciliation.begin")
    async def begin(self, day: Day) -> Day:
        """Repeatable: a reading that was opened and not used leaves a gap in a counter, no more."""
        async with self._database.transaction() as connection:
            reading = await reconciliation.begin(connection, day.date, day.as_of)
        return day.model_copy(update={"reading": reading})

    @activity.defn(name="reconciliation.read")
    async def read(self, day: Day) -> Settled:
        """Repeatable: page by page from the start, each replacing what the reading had from there on."""
        number = 0
        while True:
            lines = await in_thread(partial(self._gateway.report, day.date, number))
            async with self._database.transaction() as connection:
                await reconciliation.keep_page(connection, day.date, day.reading, number, lines)
            number += len(lines)
            if len(lines) < REPORT_PAGE:
                break
        until = await in_thread(partial(self._gateway.last_settlement, day.date))
        return Settled(lines=number, settled_until=until)

    @activity.defn(name="reconciliation.compare")
    async def compare(self, compare: Compare) -> Compared:
        """One transaction; the lines carry what is booked of them, so a repeat books nothing more."""
        day, as_of = compare.day, compare.day.as_of
        since, until = self._due(day, compare.settled_until)
        async with beating(), self._database.transaction() as connection:
            await reconciliation.merge(connection, day.date, day.reading)
            await reconciliation.book(connection, day.date, as_of)
            await reconciliation.find_breaks(connection, day.date, since, until, as_of)
            row = await reconciliation.finish(connection, day.date, day.reading, compare.settled_until, as_of)
            found = await reconciliation.breaks_of(connection, day.date)
        return Compared(
            date=day.date,
            status=row["status"],
            lines=row["lines"],
            matched=row["matched"],
            difference=row["difference"],
            breaks=[Found.model_validate(item) for item in found],
            version=row["version"],
        )

    @activity.defn(name="reconciliation.decide")
    async def decide(self, decide: Decide) -> Resolved:
        async with self._database.transaction() as connection:
            row = await breaks.decide(
                connection,
                decide.break_id,
                decide.resolution,
                decide.note_id,
                decide.subject,
                decide.as_of,
            )
        if row["resolution"] is None:
            raise Rejected("break_unknown")
        return Resolved.model_validate(row)

    def _due(self, day: Day, settled_until: datetime | None) -> tuple[datetime, datetime | None]:
        """From when until when captures were due in this day's settlement.

        Without a lag the gateway settles on the day itself, what was captured by then; else whole days.
        """
        first, last = capture_days(day.date, self._lag_days)
        if self._lag_days == 0:
            return ist_midnight(day.date), settled_until
        if day.date >= ist_date(day.as_of) and settled_until is None:
            # The day is not over, and the gateway may yet settle.
            return ist_midnight(first), None
        return ist_midnight(first), ist_midnight(last + timedelta(days=1)) - timedelta(microseconds=1)
