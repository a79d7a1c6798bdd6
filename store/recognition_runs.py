"""Runs of revenue recognition: each posts what was earned through its day and is not in the book yet.

One statement reads every stretch that may still bring something; nothing of a payment is written.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from domain.ledger import revenue_entry
from store import ledger
from store.changes import touch
from store.database import Connection
from store.recognition import LOCK

# `covered`: through which day the runs after a number have recognised what was there before them.
DUE = """
WITH covered AS MATERIALIZED (
    SELECT number AS since_run, max(day) OVER (ORDER BY number DESC
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS through
    FROM (SELECT 0 AS number, NULL::date AS day UNION ALL SELECT number, day FROM finance.revenue_runs) runs),
open AS MATERIALIZED (SELECT min(through) AS floor, max(since_run) AS newest FROM covered)
SELECT count(*) FILTER (WHERE due > 0) AS segments,
       coalesce(sum(due) FILTER (WHERE kind = 'subscription'), 0)::bigint AS subscriptions,
       coalesce(sum(due) FILTER (WHERE kind = 'course'), 0)::bigint AS courses
FROM (
    SELECT s.kind, greatest(finance.earned(s, %(day)s) - finance.earned(s, c.through), 0) AS due
    FROM finance.revenue_segments s JOIN covered c USING (since_run), open
    WHERE (s.last_on > open.floor OR s.since_run = open.newest)
      AND (c.through IS NULL OR c.through < %(day)s)
) dues
"""

DETAIL = """
WITH covered AS MATERIALIZED (
    SELECT since_run, (SELECT max(day) FROM finance.revenue_runs r
                       WHERE r.number > since_run AND r.number < %(number)s) AS through
    FROM (SELECT DISTINCT since_run FROM finance.revenue_segments WHERE since_run < %(number)s) numbers)
SELECT * FROM (
    SELECT s.payment_id, s.kind, p.reference_id, s.starts_on, s.ends_on,
           sum(greatest(finance.earned(s, %(day)s) - finance.earned(s, c.through), 0))::bigint AS amount
    FROM finance.revenue_segments s JOIN covered c USING (since_run)
    JOIN finance.revenue_plans p USING (payment_id)
    WHERE (c.through IS NULL OR c.through < %(day)s)
    GROUP BY s.payment_id, s.kind, p.reference_id, s.starts_on, s.ends_on) dues
WHERE amount > 0 ORDER BY payment_id, starts_on
"""


@dataclass(frozen=True)
class Recognised:
    """What a run has posted, in paise; `entry_id` None where nothing was due."""

    day: date
    subscriptions: int = 0
    courses: int = 0
    segments: int = 0
    entry_id: str | None = None


async def recognise(connection: Connection, day: date, now: datetime) -> Recognised:
    """Posts what was earned through `day` and is not in the book, as one entry ``revenue:{day}``; a repeat
    posts nothing, and what was planned late for the day comes under ``revenue:{day}:{run}``."""
    await connection.execute("SELECT finance.open_day(%s)", (day,))  # before the lock: see `store/periods.py`
    await connection.execute(LOCK.format(""))
    due = await _one(connection, DUE, {"day": day})
    last = await _one(connection, "SELECT max(number) AS number, max(day) AS day FROM finance.revenue_runs")
    earned = due["subscriptions"] + due["courses"]
    if not earned and last["day"] is not None and day <= last["day"]:
        return Recognised(day)
    number = (last["number"] or 0) + 1
    entry_id = None
    if earned:
        key = f"revenue:{day.isoformat()}"
        if await ledger.posted(connection, key):
            key = f"{key}:{number}"
        entry = revenue_entry(key, day, due["subscriptions"], due["courses"])
        entry_id = await ledger.post(connection, entry, now)
    await connection.execute(
        """INSERT INTO finance.revenue_runs (number, day, segments, subscriptions, courses, entry_id, made_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (number, day, due["segments"], due["subscriptions"], due["courses"], entry_id, now),
    )
    await touch(connection, f"revenue:{day.isoformat()}")
    return Recognised(day, due["subscriptions"], due["courses"], due["segments"], entry_id)


async def recognise_through(connection: Connection, day: date, now: datetime) -> list[Recognised]:
    """Posts every day that no run has covered yet, each under its own date, up to and including `day`, in
    the caller's transaction; what each run posted."""
    return [await recognise(connection, each, now) for each in await due_days(connection, day)]


async def due_days(connection: Connection, day: date) -> list[date]:
    """The days to run so that all is recognised through `day`: those after the last run's, from the first on
    which anything is earned, and `day`."""
    row = await _one(
        connection,
        """SELECT greatest((SELECT max(day) + 1 FROM finance.revenue_runs),
                           (SELECT min(starts_on) FROM finance.revenue_segments)) AS first""",
    )
    first = min(row["first"] or day, day)
    return [first + timedelta(days=number) for number in range((day - first).days + 1)]


async def unrecognised(connection: Connection, day: date) -> int:
    """Paise earned through a day that are not in the book."""
    due = await _one(connection, DUE, {"day": day})
    return int(due["subscriptions"] + due["courses"])


async def detail(connection: Connection, number: int) -> list[dict[str, Any]]:
    """What a run recognised of each payment; its sum is the run's, however it was changed since."""
    run = await _one(connection, "SELECT day FROM finance.revenue_runs WHERE number = %s", (number,))
    cursor = await connection.execute(DETAIL, {"number": number, "day": run["day"]})
    return await cursor.fetchall()


async def listing(connection: Connection, day: date) -> list[dict[str, Any]]:
    """The runs of a day, in their order."""
    cursor = await connection.execute(
        "SELECT * FROM finance.revenue_runs WHERE day = %s ORDER BY number", (day,)
    )
    return await cursor.fetchall()


async def _one(connection: Connection, query: str, values: Any = None) -> dict[str, Any]:
    row = await (await connection.execute(query, values)).fetchone()
    if row is None:
        raise LookupError("no such run")
    return row
