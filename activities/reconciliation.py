"""What the reconciliation processes do to the world: read the report, compare, book, decide."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

from temporalio import activity

from activities.brokers import beating
from domain.billing_calendar import ist_date, ist_midnight
from domain.errors import Rejected, Unavailable
from domain.reconciliation import BreakStatus, Claim, capture_days, decide_by
from models.messages.reconciliation import (
    Compare,
    Compared,
    Day,
    Decide,
    Found,
    Resolved,
    Settled,
    Tell,
    Told,
)
from providers.razorpay_reports import REPORT_PAGE, RazorpayReports
from store import breaks, discrepancies, payouts, reconciliation, settlement_report
from store.database import Connection, Database
from workflows.ports.reconciliation import ReconciliationPort

TOLD = 200
"""Breaks in one page: what a history takes at once."""
REFERENCES = 20
"""Settlements and UTRs of a day by which its run is found."""


class ReconciliationActivities(ReconciliationPort):
    """`lag_days`: working days from capture to settlement, as agreed with the gateway; `page`: lines in one
    call of its report."""

    def __init__(
        self, database: Database, gateway: RazorpayReports, lag_days: int, page: int = REPORT_PAGE
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._lag_days = lag_days
        self._page = page

    @activity.defn(name="reconciliation.begin")
    async def begin(self, day: Day) -> Day:
        """Repeatable: a reading that was opened and not used leaves a gap in a counter, no more."""
        async with self._database.transaction() as connection:
            reading = await settlement_report.begin(connection, day.date, day.as_of)
        return day.model_copy(update={"reading": reading})

    @activity.defn(name="reconciliation.read")
    async def read(self, day: Day) -> Settled:
        """Repeatable: goes on at the page where the last attempt ended.

        Each page begins with the last line of the page before it. Where that is another line, the report was
        changed while it was read, or a page came twice: then it is read from the start. A settlement that is
        made meanwhile, and whose lines came too late for this reading, is left to the next one.
        """
        async with beating():
            before = await asyncio.to_thread(self._gateway.payouts, day.date)
            async with self._database.transaction() as connection:
                number, last = await settlement_report.resume(connection, day.date, day.reading)
            while True:
                lines = await asyncio.to_thread(
                    self._gateway.report, day.date, max(number - 1, 0), self._page
                )
                if number and (not lines or lines[0].says() != last):
                    await self._forget(day)
                    raise Unavailable("report_changed")
                new = lines[1:] if number else lines
                async with self._database.transaction() as connection:
                    kept = await settlement_report.keep_page(connection, day.date, day.reading, number, new)
                    if kept != number + len(new):
                        kept, last = await settlement_report.resume(connection, day.date, day.reading)
                    elif new:
                        last = new[-1].says()
                fresh, number = kept == number + len(new), kept
                activity.heartbeat(number)
                if fresh and len(lines) < self._page:
                    break
            payouts = await asyncio.to_thread(self._gateway.payouts, day.date)
            async with self._database.transaction() as connection:
                payouts = await settlement_report.keep_payouts(
                    connection, day.date, day.reading, payouts, {one.settlement_id for one in before}
                )
            async with self._database.reading() as connection:
                await settlement_report.measured(connection, number)
        # The gateway tells whole seconds: what was captured within the last one may be in it.
        until = payouts[-1].made_at + timedelta(seconds=1) if payouts else None
        return Settled(lines=number, settled_until=until)

    async def _forget(self, day: Day) -> None:
        async with self._database.transaction() as connection:
            await settlement_report.forget(connection, day.date)

    @activity.defn(name="reconciliation.compare")
    async def compare(self, compare: Compare) -> Compared:
        """One transaction; each settlement carries what is booked of it, so a repeat books nothing more."""
        day, as_of = compare.day, compare.day.as_of
        async with beating(), self._database.transaction() as connection:
            await reconciliation.alone(connection)
            row = await reconciliation.compared(connection, day.date, day.reading)
            if row is None:
                if not await settlement_report.complete(connection, day.date, day.reading, compare.lines):
                    raise Rejected("report_incomplete")
                await self._compare(connection, day, compare.settled_until)
                row = await reconciliation.finish(
                    connection, day.date, day.reading, compare.settled_until, as_of
                )
            settlements = await payouts.listing(connection, day.date)
        return Compared(
            date=day.date,
            status=row["status"],
            lines=row["lines"],
            matched=row["matched"],
            difference=row["difference"],
            breaks=[],
            version=row["version"],
            references=_references(settlements),
        )

    async def _compare(self, connection: Connection, day: Day, settled_until: datetime | None) -> None:
        reading = discrepancies.Reading(day.date, day.reading)
        due = self._due(day.date, settled_until, day.as_of)
        await discrepancies.match(connection, day.date, day.reading)
        await discrepancies.settle_claims(connection, day.date, day.reading, day.as_of)
        await discrepancies.judge(connection, day.date, due, reading, day.as_of)
        for other in await payouts.misjudged(connection, day.date):
            due = self._due(other["date"], other["settled_until"], day.as_of)
            await discrepancies.judge_again(connection, other["date"], due, reading, day.as_of)

    @activity.defn(name="reconciliation.tell")
    async def tell(self, tell: Tell) -> Told:
        async with self._database.reading() as connection:
            rows = await breaks.to_tell(connection, tell.day.date, tell.day.reading, tell.after, TOLD + 1)
        found = [Found.model_validate({**row, "due_at": decide_by(row["opened_at"])}) for row in rows[:TOLD]]
        return Told(breaks=found, after=found[-1].break_id if len(rows) > TOLD else None)

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
        if row["claim"] == Claim.OPEN and row["claim_first_by"] is not None:
            row = {**row, "status": BreakStatus.AWAITING_SECOND}
        return Resolved.model_validate({**row, "resolution": row["claim_resolution"] or row["resolution"]})

    def _due(self, day: date, settled_until: datetime | None, as_of: datetime) -> discrepancies.Due:
        """What this day's settlement was to bring.

        Without a lag the gateway settles on the day itself, what was captured by then; else whole days.
        """
        first, last = capture_days(day, self._lag_days)
        until: datetime | None = ist_midnight(last + timedelta(days=1)) - timedelta(microseconds=1)
        if self._lag_days == 0:
            first, until = day, settled_until
        elif day >= ist_date(as_of) and settled_until is None:
            # The day is not over, and the gateway may yet settle.
            until = None
        return discrepancies.Due(ist_midnight(first), until, same_day=self._lag_days == 0)


def _references(settlements: list[dict[str, Any]]) -> list[str]:
    """Settlement ids and UTRs, each settlement's together."""
    both = [part for row in settlements for part in (row["settlement_id"], row["utr"]) if part]
    return both[:REFERENCES]
