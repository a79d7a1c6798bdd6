"""Accounting months: which are closed, what an open one still lacks, and the close itself.

Everything that is dated asks `finance.open_day`, which holds a shared lock until its transaction ends; the
close takes the lock for itself, so that it sees all that was dated into the month, and nothing comes after.
"""

from datetime import date, datetime
from typing import Any

from domain.closing import PERIOD_NEXT, PeriodStatus
from domain.moves import moved
from store.changes import touch
from store.database import Connection
from store.outbox import emit

TOPIC = "payment-events"

BOOK_HASH = """
SELECT count(*) AS days, encode(sha256(convert_to(coalesce(string_agg(hash, '' ORDER BY date), ''), 'UTF8')),
                                'hex') AS hash
FROM (
    SELECT date, encode(sha256(convert_to(string_agg(line, E'\\n' ORDER BY entry_id), 'UTF8')), 'hex') AS hash
    FROM (
        SELECT e.date, e.entry_id,
               concat_ws('|', e.entry_id, e.business_key, e.date, array_to_string(e.refs, ','),
                   string_agg(concat_ws(':', l.number, l.account, l.debit, l.credit), ',' ORDER BY l.number))
                   AS line
        FROM finance.journal_entries e JOIN finance.journal_lines l USING (entry_id)
        WHERE e.date >= %(first)s AND e.date < %(next)s GROUP BY e.entry_id) entries
    GROUP BY date) days
"""

DOCUMENTS_HASH = """
SELECT count(*) AS documents, encode(sha256(convert_to(coalesce(string_agg(
           concat_ws('|', number, kind, issued_on, payment_id, refund_id, place_of_supply, buyer_gstin, sac,
                     rate, taxable, cgst, sgst, igst, total), E'\\n' ORDER BY invoice_id), ''), 'UTF8')),
           'hex') AS hash
FROM finance.invoices WHERE issued_on >= %(first)s AND issued_on < %(next)s
"""

FIGURES = """
SELECT count(DISTINCT e.entry_id) AS entries, coalesce(sum(l.debit), 0)::bigint AS turnover,
       coalesce(sum(l.debit - l.credit), 0)::bigint AS difference
FROM finance.journal_entries e JOIN finance.journal_lines l USING (entry_id)
WHERE e.date >= %(first)s AND e.date < %(next)s
"""

LISTING = """
SELECT coalesce(p.period, m.period) AS period, CASE WHEN p.period IS NULL THEN 'open' ELSE 'closed' END
           AS status, p.closed_at, p.closed_by, coalesce(p.entries, m.entries) AS entries, p.turnover,
       p.documents, p.book_hash, p.documents_hash
FROM finance.periods p
FULL JOIN (SELECT to_char(date, 'YYYY-MM') AS period, count(*) AS entries
           FROM finance.journal_entries GROUP BY 1) m USING (period)
WHERE %(period)s::text IS NULL OR coalesce(p.period, m.period) = %(period)s
ORDER BY 1 DESC
"""


async def open_day(connection: Connection, day: date) -> date:
    """`day`, or the first day after it that is in no closed month; it stays open until the caller's
    transaction ends. What is dated by law or by the book is dated by this."""
    cursor = await connection.execute("SELECT finance.open_day(%s) AS day", (day,))
    row = await cursor.fetchone()
    return row["day"] if row else day


async def hold(connection: Connection) -> None:
    """Waits for every transaction that has dated something, and lets no other date anything meanwhile."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('finance.periods', 0))")


async def find(connection: Connection, period: str) -> dict[str, Any] | None:
    """The row of a closed month."""
    cursor = await connection.execute("SELECT * FROM finance.periods WHERE period = %s", (period,))
    return await cursor.fetchone()


async def listing(connection: Connection, period: str | None = None) -> list[dict[str, Any]]:
    """Months with entries, and closed ones, newest first."""
    return await (await connection.execute(LISTING, {"period": period})).fetchall()


async def difference(connection: Connection, first: date, following: date) -> int:
    """Debits less credits of a month, in paise."""
    row = await (await connection.execute(FIGURES, {"first": first, "next": following})).fetchone()
    return int(row["difference"]) if row else 0


async def figures(connection: Connection, first: date, following: date) -> dict[str, Any]:
    """What a month holds: `entries`, `turnover`, `difference`, `book_hash`, `documents`, `documents_hash`."""
    values = {"first": first, "next": following}
    found = await (await connection.execute(FIGURES, values)).fetchone() or {}
    book = await (await connection.execute(BOOK_HASH, values)).fetchone() or {}
    documents = await (await connection.execute(DOCUMENTS_HASH, values)).fetchone() or {}
    return {
        **found,
        "book_hash": book["hash"],
        "documents": documents["documents"],
        "documents_hash": documents["hash"],
    }


async def close(
    connection: Connection, period: str, first: date, following: date, subject: str, now: datetime
) -> dict[str, Any]:
    """Closes a month with what it holds; a repeat gives the row that stands. The caller `hold`s."""
    moved(PERIOD_NEXT, PeriodStatus.OPEN, PeriodStatus.CLOSED)
    held = await figures(connection, first, following)
    cursor = await connection.execute(
        """INSERT INTO finance.periods (period, first_on, next_on, closed_at, closed_by, entries, turnover,
               book_hash, documents, documents_hash)
           VALUES (%(period)s, %(first)s, %(next)s, %(now)s, %(subject)s, %(entries)s, %(turnover)s,
               %(book_hash)s, %(documents)s, %(documents_hash)s)
           ON CONFLICT (period) DO NOTHING RETURNING period""",
        {**held, "period": period, "first": first, "next": following, "now": now, "subject": subject},
    )
    if await cursor.fetchone() is not None:
        body = {"period": period, "entries": held["entries"], "book_hash": held["book_hash"]}
        await emit(connection, TOPIC, period, "period.closed", body, now)
        await touch(connection, f"close:{period}")
    row = await find(connection, period)
    if row is None:
        raise LookupError(period)
    return row


async def earlier_open(connection: Connection, first: date) -> str | None:
    """The earliest month before `first` that has entries and is not closed."""
    cursor = await connection.execute(
        """SELECT to_char(min(e.date), 'YYYY-MM') AS period FROM finance.journal_entries e
           WHERE e.date < %s AND NOT EXISTS (SELECT FROM finance.periods p
                                             WHERE e.date >= p.first_on AND e.date < p.next_on)""",
        (first,),
    )
    row = await cursor.fetchone()
    return row["period"] if row else None


async def open_breaks(connection: Connection, first: date, following: date) -> list[str]:
    """Breaks of the month's settlement days that no decision has resolved."""
    cursor = await connection.execute(
        """SELECT break_id FROM finance.breaks WHERE date >= %s AND date < %s AND status <> 'resolved'
           ORDER BY date, break_id""",
        (first, following),
    )
    return [row["break_id"] for row in await cursor.fetchall()]


async def unreconciled(connection: Connection, first: date, following: date) -> list[date]:
    """Days of the month from the first capture ever on that no finished comparison covers."""
    cursor = await connection.execute(
        """SELECT day::date AS day FROM generate_series(%(first)s::date, %(next)s::date - 1, interval '1 day')
               AS day
           WHERE day::date >= (SELECT min((captured_at AT TIME ZONE 'Asia/Kolkata')::date)
                               FROM finance.payments)
             AND NOT EXISTS (SELECT FROM finance.reconciliations r
                             WHERE r.date = day::date AND r.status <> 'running')
           ORDER BY day""",
        {"first": first, "next": following},
    )
    return [row["day"] for row in await cursor.fetchall()]


async def unregistered(connection: Connection, first: date, following: date) -> list[str]:
    """Numbers of the month's documents that the invoice portal has yet to register."""
    cursor = await connection.execute(
        """SELECT i.number FROM finance.invoices i JOIN finance.einvoices e USING (invoice_id)
           WHERE i.issued_on >= %s AND i.issued_on < %s AND e.status IN ('pending', 'attention')
           ORDER BY i.financial_year, i.sequence""",
        (first, following),
    )
    return [row["number"] for row in await cursor.fetchall()]
