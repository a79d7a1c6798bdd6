"""Settlement days: the report's lines merged, compared with the book, and booked to the bank.

Set-based, so that time grows with the number of lines and memory does not.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from domain.ledger import Account, Entry, Line
from domain.moves import moved
from domain.reconciliation import DAY_NEXT, BreakKind, DayStatus, break_id
from store import ledger
from store.changes import touch
from store.database import Connection
from store.outbox import emit

TOPIC = "payment-events"


async def begin(connection: Connection, day: date, now: datetime) -> int:
    """Opens a reading of the day; its number."""
    cursor = await connection.execute(
        """INSERT INTO finance.reconciliations AS r
               (date, status, reading, lines, matched, bank, started_at, version)
           VALUES (%(day)s, 'running', 1, 0, 0, 0, %(now)s, 1)
           ON CONFLICT (date) DO UPDATE SET status = 'running', reading = r.reading + 1,
               version = r.version + 1
           RETURNING reading""",
        {"day": day, "now": now},
    )
    row = await cursor.fetchone()
    await touch(connection, day.isoformat())
    return int(row["reading"]) if row else 1


async def keep_page(
    connection: Connection, day: date, reading: int, first: int, lines: Iterable[dict[str, Any]]
) -> int:
    """Stores one page of the report as read; a repeat of the page changes nothing."""
    await connection.execute(
        """DELETE FROM finance.report_lines
           WHERE date = %s AND (reading < %s OR reading = %s AND number >= %s)""",
        (day, reading, reading, first),
    )
    count = 0
    async with (
        connection.cursor() as cursor,
        cursor.copy(
            """COPY finance.report_lines (date, reading, number, settlement_id, entity_id, kind, payment_id,
                   utr, amount, debit, credit, fee, tax) FROM STDIN"""
        ) as copy,
    ):
        for count, line in enumerate(lines, start=1):
            await copy.write_row(
                (
                    day,
                    reading,
                    first + count - 1,
                    line.get("settlement_id") or f"none-{day.isoformat()}",
                    line["entity_id"],
                    line["type"],
                    line.get("payment_id"),
                    line.get("settlement_utr"),
                    int(line["amount"]),
                    int(line["debit"]),
                    int(line["credit"]),
                    int(line.get("fee") or 0),
                    int(line.get("tax") or 0),
                )
            )
    return count


MERGE = """
INSERT INTO finance.settlement_lines AS l (settlement_id, entity_id, occurrence, date, reading, kind,
    payment_id, utr, amount, debit, credit, fee, tax)
SELECT settlement_id, entity_id,
       row_number() OVER (PARTITION BY settlement_id, entity_id ORDER BY number),
       date, reading, kind, payment_id, utr, amount, debit, credit, fee, tax
FROM finance.report_lines WHERE date = %(day)s AND reading = %(reading)s
ON CONFLICT (settlement_id, entity_id, occurrence) DO UPDATE SET reading = excluded.reading,
    amount = excluded.amount, debit = excluded.debit, credit = excluded.credit, fee = excluded.fee,
    tax = excluded.tax, utr = excluded.utr
"""

GONE = """
UPDATE finance.settlement_lines SET amount = 0, debit = 0, credit = 0, fee = 0, tax = 0, verdict = 'gone'
WHERE date = %(day)s AND reading < %(reading)s AND verdict <> 'gone'
"""

JUDGE = """
UPDATE finance.settlement_lines l SET verdict = j.verdict,
    expected_fee = CASE WHEN j.paid_fee AND j.verdict <> 'extra_line' THEN j.fee ELSE l.fee END,
    expected_tax = CASE WHEN j.paid_fee AND j.verdict <> 'extra_line' THEN j.tax ELSE l.tax END
FROM (
    SELECT s.settlement_id, s.entity_id, s.occurrence,
        coalesce(p.fee, s.fee) AS fee, coalesce(p.tax, s.tax) AS tax,
        s.kind = 'payment' AND p.captured_at IS NOT NULL AS paid_fee,
        CASE
            WHEN s.occurrence > 1 OR again.entity_id IS NOT NULL OR given_up.reference IS NOT NULL
                THEN 'extra_line'
            WHEN s.kind = 'payment' AND p.captured_at IS NOT NULL THEN
                CASE WHEN s.amount <> p.amount THEN 'wrong_amount'
                     WHEN s.fee <> coalesce(p.fee, s.fee) OR s.tax <> coalesce(p.tax, s.tax) THEN 'wrong_fee'
                     WHEN s.credit - s.debit <> p.amount - s.fee THEN 'wrong_amount'
                     ELSE 'matched' END
            WHEN s.kind = 'refund' AND r.refund_id IS NOT NULL THEN
                CASE WHEN s.debit - s.credit <> r.amount THEN 'wrong_amount' ELSE 'matched' END
            ELSE 'extra_line' END AS verdict
    FROM finance.settlement_lines s
    LEFT JOIN finance.payments p ON p.gateway_payment_id = s.entity_id
    LEFT JOIN finance.refunds r ON r.gateway_refund_id = s.entity_id
    -- The same thing in another settlement, or given up as missing before: this money is not expected.
    LEFT JOIN LATERAL (
        SELECT o.entity_id FROM finance.settlement_lines o
        WHERE o.entity_id = s.entity_id AND o.verdict NOT IN ('gone', 'extra_line')
          AND (o.date, o.settlement_id) < (s.date, s.settlement_id) LIMIT 1) again ON true
    LEFT JOIN LATERAL (
        SELECT b.reference FROM finance.breaks b
        WHERE b.reference = s.entity_id AND b.kind = 'missing_line' AND b.status = 'resolved'
          AND b.date < s.date LIMIT 1) given_up ON true
    WHERE s.date = %(day)s AND s.reading = %(reading)s
) j
WHERE (l.settlement_id, l.entity_id, l.occurrence) = (j.settlement_id, j.entity_id, j.occurrence)
"""

# Clearing is credited with what reached the bank and with the fee that was agreed. What is left of a line
# on clearing is its difference: positive where the gateway owes us.
DIFFERING = """
SELECT * FROM (
    SELECT l.entity_id ||
               CASE WHEN l.verdict = 'extra_line' AND (l.occurrence > 1 OR p.payment_id IS NOT NULL)
                    THEN '.' || l.settlement_id || '.' || l.occurrence ELSE '' END AS reference,
           l.verdict AS kind, p.payment_id,
           CASE l.verdict WHEN 'wrong_fee' THEN l.expected_fee
                          WHEN 'wrong_amount' THEN coalesce(p.amount, r.amount) ELSE 0 END AS expected,
           CASE l.verdict WHEN 'wrong_fee' THEN l.fee ELSE l.amount END AS found,
           CASE l.verdict WHEN 'extra_line' THEN 0 ELSE coalesce(p.amount, -r.amount) END
               - (l.credit - l.debit) - l.expected_fee AS difference,
           CASE l.verdict WHEN 'wrong_fee' THEN l.tax - l.expected_tax ELSE 0 END AS difference_tax
    FROM finance.settlement_lines l
    LEFT JOIN finance.payments p ON p.gateway_payment_id = l.entity_id
    LEFT JOIN finance.refunds r ON r.gateway_refund_id = l.entity_id
    WHERE l.date = %(day)s AND l.verdict IN ('extra_line', 'wrong_amount', 'wrong_fee')
) differing
"""

MISSING = """
SELECT p.gateway_payment_id AS reference, 'missing_line' AS kind, p.payment_id, p.amount AS expected,
       0 AS found, p.amount AS difference, 0 AS difference_tax
FROM finance.payments p
WHERE p.captured_at <= %(until)s AND p.gateway_payment_id IS NOT NULL
  AND (p.captured_at >= %(since)s OR EXISTS (
      -- Captured after its own day had been compared, and still not settled.
      SELECT FROM finance.reconciliations r WHERE r.date < %(day)s AND r.finished_at IS NOT NULL
          AND r.date = (p.captured_at AT TIME ZONE 'Asia/Kolkata')::date))
  AND NOT EXISTS (SELECT FROM finance.settlement_lines l
                  WHERE l.entity_id = p.gateway_payment_id AND l.verdict <> 'gone')
  AND NOT EXISTS (SELECT FROM finance.breaks b
                  WHERE b.reference = p.gateway_payment_id AND b.kind = 'missing_line'
                    AND b.date <> %(day)s)
"""

BREAK = """
INSERT INTO finance.breaks (break_id, date, kind, reference, payment_id, expected, found, difference,
    difference_tax, status, opened_at, version)
VALUES (%(break_id)s, %(date)s, %(kind)s, %(reference)s, %(payment_id)s, %(expected)s, %(found)s,
    %(difference)s, %(difference_tax)s, 'open', %(now)s, 1)
ON CONFLICT (date, kind, reference) DO NOTHING
"""


async def merge(connection: Connection, day: date, reading: int) -> None:
    """Makes the reading the day's lines: new ones added, changed ones changed, absent ones emptied."""
    values = {"day": day, "reading": reading}
    await connection.execute(MERGE, values)
    await connection.execute(GONE, values)
    await connection.execute(JUDGE, values)
    await connection.execute("DELETE FROM finance.report_lines WHERE date = %s", (day,))


async def book(connection: Connection, day: date, now: datetime) -> None:
    """Books each settlement of the day as far as it is not booked: bank, fees, input GST, clearing.

    One entry a settlement and booking, ``settlement:{id}`` and then ``settlement:{id}:2``…; nothing is
    posted where nothing changed since.
    """
    cursor = await connection.execute(
        """SELECT settlement_id, max(utr) AS utr, sum(credit - debit - booked_bank)::bigint AS bank,
                  sum(wanted_fee - booked_fee)::bigint AS fee, sum(wanted_tax - booked_tax)::bigint AS tax
           FROM (SELECT *,
                     CASE WHEN verdict = 'gone' THEN 0 ELSE expected_fee - expected_tax END AS wanted_fee,
                     CASE WHEN verdict = 'gone' THEN 0 ELSE expected_tax END AS wanted_tax
                 FROM finance.settlement_lines WHERE date = %s) lines
           GROUP BY settlement_id ORDER BY settlement_id""",
        (day,),
    )
    for row in await cursor.fetchall():
        lines = [
            *_side(Account.BANK, row["bank"]),
            *_side(Account.GATEWAY_FEES, row["fee"]),
            *_side(Account.INPUT_GST, row["tax"]),
            *_side(Account.GATEWAY_CLEARING, -(row["bank"] + row["fee"] + row["tax"])),
        ]
        if lines:
            references = tuple(part for part in (row["settlement_id"], row["utr"]) if part)
            key = await _next_key(connection, f"settlement:{row['settlement_id']}")
            entry = Entry(business_key=key, date=day, lines=tuple(lines), references=references)
            await ledger.post(connection, entry, now)
    await connection.execute(
        """UPDATE finance.settlement_lines SET booked_bank = credit - debit,
               booked_fee = CASE WHEN verdict = 'gone' THEN 0 ELSE expected_fee - expected_tax END,
               booked_tax = CASE WHEN verdict = 'gone' THEN 0 ELSE expected_tax END
           WHERE date = %s""",
        (day,),
    )


async def _next_key(connection: Connection, key: str) -> str:
    cursor = await connection.execute(
        """SELECT count(*) AS n FROM finance.journal_entries
           WHERE business_key = %s OR business_key LIKE %s""",
        (key, f"{key}:%"),
    )
    row = await cursor.fetchone()
    return f"{key}:{row['n'] + 1}" if row and row["n"] else key


def _side(account: Account, amount: int) -> tuple[Line, ...]:
    """A debit of a positive amount, a credit of a negative one, nothing for zero."""
    if amount == 0:
        return ()
    return (Line(account=account, debit=max(amount, 0), credit=max(-amount, 0)),)


async def find_breaks(
    connection: Connection, day: date, since: datetime, until: datetime | None, now: datetime
) -> None:
    """Adds a break for each difference of the day that has none yet.

    Captures from `since` to `until` (None: there was no settlement) were due in this day's settlement.
    The gateway may hold back debits that its balance does not cover: a refund without a line is not missing.
    """
    rows = await (await connection.execute(DIFFERING, {"day": day})).fetchall()
    if until is not None:
        cursor = await connection.execute(MISSING, {"day": day, "since": since, "until": until})
        rows += await cursor.fetchall()
    for row in rows:
        if row["difference"]:
            found_id = break_id(day, BreakKind(row["kind"]), row["reference"])
            made = await connection.execute(BREAK, {**row, "break_id": found_id, "date": day, "now": now})
            if made.rowcount:
                body = {"break_id": found_id, "kind": row["kind"], "difference": row["difference"]}
                await emit(connection, TOPIC, found_id, "reconciliation.break_opened", body, now)


async def remainder(connection: Connection, row: dict[str, Any]) -> tuple[int, int]:
    """What a break still leaves on clearing, and how much of it is GST on a fee: less than it was where a
    later reading of the report has mended it."""
    if row["kind"] == BreakKind.MISSING_LINE:
        cursor = await connection.execute(
            "SELECT FROM finance.settlement_lines WHERE entity_id = %s AND verdict <> 'gone'",
            (row["reference"],),
        )
        return (0, 0) if await cursor.fetchone() is not None else (row["difference"], 0)
    cursor = await connection.execute(
        DIFFERING + "WHERE reference = %(reference)s AND kind = %(kind)s",
        {"day": row["date"], "reference": row["reference"], "kind": row["kind"]},
    )
    left = await cursor.fetchone()
    return (left["difference"], left["difference_tax"]) if left else (0, 0)


async def finish(
    connection: Connection, day: date, reading: int, settled_until: datetime | None, now: datetime
) -> dict[str, Any]:
    """Closes the reading and gives the day as it stands."""
    await connection.execute(
        """UPDATE finance.reconciliations r SET lines = t.lines, matched = t.matched, bank = t.bank,
               settled_until = %(until)s, finished_at = %(now)s, version = version + 1
           FROM (SELECT count(*) FILTER (WHERE verdict <> 'gone') AS lines,
                        count(*) FILTER (WHERE verdict = 'matched') AS matched,
                        coalesce(sum(credit - debit), 0)::bigint AS bank
                 FROM finance.settlement_lines WHERE date = %(day)s) t
           WHERE r.date = %(day)s AND r.reading = %(reading)s""",
        {"day": day, "reading": reading, "until": settled_until, "now": now},
    )
    await settle_status(connection, day, DayStatus.RUNNING)
    found = await view(connection, day)
    if found is None:
        raise LookupError(day.isoformat())
    return found


async def settle_status(connection: Connection, day: date, was: DayStatus) -> None:
    """Moves a day that stands at `was` on by its breaks: balanced without any, open while one waits, resolved
    after. A decision that comes while the day is being compared leaves it to the comparison's end."""
    cursor = await connection.execute(
        "SELECT status FROM finance.reconciliations WHERE date = %s FOR UPDATE", (day,)
    )
    row = await cursor.fetchone()
    if row is None or row["status"] != was:
        return
    # A statement of its own, after the lock: it sees every decision that was made before.
    cursor = await connection.execute(
        """SELECT count(*) AS breaks, count(*) FILTER (WHERE status <> 'resolved') AS waiting
           FROM finance.breaks WHERE date = %s""",
        (day,),
    )
    counted = await cursor.fetchone() or {"breaks": 0, "waiting": 0}
    ended = DayStatus.RESOLVED if counted["breaks"] else DayStatus.BALANCED
    to = moved(DAY_NEXT, was, DayStatus.OPEN if counted["waiting"] else ended)
    await connection.execute(
        "UPDATE finance.reconciliations SET status = %s, version = version + 1 WHERE date = %s", (to, day)
    )
    await touch(connection, day.isoformat())


async def view(connection: Connection, day: date) -> dict[str, Any] | None:
    """The day in figures; `difference` is what its unresolved breaks leave on gateway clearing."""
    cursor = await connection.execute(
        """SELECT r.*, coalesce((SELECT sum(difference) FROM finance.breaks b
                                 WHERE b.date = r.date AND b.status <> 'resolved'), 0)::bigint AS difference
           FROM finance.reconciliations r WHERE r.date = %s""",
        (day,),
    )
    return await cursor.fetchone()


async def breaks_of(connection: Connection, day: date) -> list[dict[str, Any]]:
    cursor = await connection.execute(
        "SELECT * FROM finance.breaks WHERE date = %s ORDER BY kind, reference", (day,)
    )
    return await cursor.fetchall()


async def report(connection: Connection, day: date) -> list[dict[str, Any]]:
    """The day's lines with what became of each, in the report's own order of settlement and thing."""
    cursor = await connection.execute(
        """SELECT settlement_id, utr, kind, entity_id, payment_id, amount, debit, credit, fee, tax, verdict
           FROM finance.settlement_lines WHERE date = %s AND verdict <> 'gone'
           ORDER BY settlement_id, entity_id, occurrence""",
        (day,),
    )
    return await cursor.fetchall()
