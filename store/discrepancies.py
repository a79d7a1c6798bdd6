"""What of a settlement day does not agree: found, changed and mended by the reading that shows it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from domain.billing_calendar import ist_midnight
from domain.ledger import Account, Entry, side
from domain.reconciliation import DayStatus, debit_days, residuals
from store import ledger, payouts, reconciliation
from store.changes import touch
from store.database import Connection


@dataclass(frozen=True)
class Due:
    """Whose money a settlement day was to bring: captures from `since` to `until` (None: there was no
    settlement); with `same_day`, also those of the day compared before it that came after its settlement."""

    since: datetime
    until: datetime | None
    same_day: bool


# What is left of a line on gateway clearing is its difference: positive where the gateway owes us. What a
# payout holds beyond the line where it is the line alone that is wrong is `hidden`.
DIFFERING = """
    SELECT l.verdict AS kind,
           l.entity_id || CASE
               WHEN l.verdict = 'extra_line' AND (l.occurrence > 1 OR p.payment_id IS NOT NULL
                   OR l.settlement_id > (SELECT min(o.settlement_id) FROM finance.settlement_lines o
                                         WHERE o.entity_id = l.entity_id
                                           AND o.date IS NOT DISTINCT FROM l.date))
               THEN '.' || l.settlement_id || '.' || l.occurrence ELSE '' END AS about,
           p.payment_id, l.settlement_id, l.utr,
           CASE WHEN l.verdict <> 'wrong_fee' THEN abs(l.expected)
                WHEN l.fee <> l.expected_fee THEN l.expected_fee ELSE l.expected_tax END AS expected,
           CASE WHEN l.verdict <> 'wrong_fee' THEN l.amount
                WHEN l.fee <> l.expected_fee THEN l.fee ELSE l.tax END AS found,
           l.expected - (l.credit - l.debit) - l.expected_fee AS difference,
           CASE l.verdict WHEN 'wrong_fee' THEN l.tax - l.expected_tax ELSE 0 END AS difference_tax,
           CASE l.verdict WHEN 'extra_line' THEN l.debit - l.credit
               ELSE l.expected - (l.credit - l.debit) - l.expected_fee END AS hidden
    FROM finance.settlement_lines l
    LEFT JOIN finance.payments p
        ON p.gateway_payment_id = CASE l.kind WHEN 'payment' THEN l.entity_id ELSE l.payment_id END
    WHERE l.date = %(day)s AND l.verdict IN ('extra_line', 'wrong_amount', 'wrong_fee')
"""

MISSING = """
    SELECT 'missing_line' AS kind, p.gateway_payment_id AS about, p.payment_id, NULL AS settlement_id,
           NULL AS utr, p.amount AS expected, 0 AS found, p.amount AS difference, 0 AS difference_tax,
           p.amount - coalesce(p.fee, 0) AS hidden
    FROM finance.payments p
    WHERE (p.captured_at BETWEEN %(since)s AND %(until)s
           OR p.captured_at > %(late_since)s AND p.captured_at < %(late_until)s)
      AND p.gateway_payment_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM finance.settlement_lines l
                      WHERE l.entity_id = p.gateway_payment_id AND l.verdict <> 'gone')
      AND NOT EXISTS (SELECT FROM finance.breaks b
                      WHERE b.about = p.gateway_payment_id AND b.kind = 'missing_line'
                        AND b.date <> %(day)s AND b.ended IS DISTINCT FROM 'mended')
"""

# The gateway may hold back debits that its balance does not cover: for some days their lines are not missing.
UNDEDUCTED = """
    SELECT 'missing_line', d.about, d.payment_id, NULL, NULL, d.amount, 0, -d.amount, 0, -d.amount
    FROM (
        SELECT r.gateway_refund_id AS about, r.payment_id, r.amount FROM finance.refunds r
        WHERE r.status = 'processed' AND r.utr IS NULL AND r.returned_at IS NULL
          AND r.gateway_refund_id IS NOT NULL
          AND r.updated_at >= %(debits_since)s AND r.updated_at < %(debits_until)s
          AND NOT EXISTS (SELECT FROM finance.settlement_lines l
                          WHERE l.entity_id = r.gateway_refund_id AND l.verdict <> 'gone')
        UNION ALL
        SELECT o.dispute_id, o.payment_id, o.lost FROM finance.disputes o
        WHERE o.lost > 0 AND o.ended_at >= %(debits_since)s AND o.ended_at < %(debits_until)s
          AND NOT EXISTS (SELECT FROM finance.settlement_lines l
                          WHERE l.dispute_id = o.dispute_id AND l.debit > 0 AND l.verdict <> 'gone')) d
    WHERE NOT EXISTS (SELECT FROM finance.breaks b
                      WHERE b.about = d.about AND b.kind = 'missing_line'
                        AND b.date <> %(day)s AND b.ended IS DISTINCT FROM 'mended')
"""

COMPARED = (
    f"CREATE TEMPORARY TABLE differing ON COMMIT DROP AS {DIFFERING} UNION ALL {MISSING} "
    f"UNION ALL {UNDEDUCTED}"
)

# What no break of a line explains of a payout is booked with it: positive, and the gateway has paid too much.
UNEXPLAINED = """
    SELECT 'wrong_amount', settlement_id, NULL, settlement_id, utr, coalesce(amount, 0) - residual,
           coalesce(amount, 0), -residual, 0, residual
    FROM finance.settlements WHERE date = %(day)s AND residual <> 0
"""

# A break that was decided has moved its amount off clearing. Where a later report shows another difference,
# what is between the two is a new break about the same thing.
WANTED = f"""
CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS
WITH differing AS (SELECT * FROM differing UNION ALL {UNEXPLAINED}),
done AS (
    SELECT kind, about, sum(booked)::bigint AS booked, sum(decided_tax)::bigint AS tax,
           coalesce(sum(decided_tax) FILTER (WHERE resolution = 'accept'), 0)::bigint AS booked_tax,
           count(*) AS breaks, max(payment_id) AS payment_id
    FROM finance.breaks WHERE date = %(day)s AND status = 'resolved' GROUP BY kind, about)
SELECT d.kind, d.about, d.payment_id, d.settlement_id, d.utr, d.expected, d.found,
       d.difference - coalesce(done.booked, 0) AS difference,
       d.difference_tax - coalesce(done.tax, 0) AS difference_tax, coalesce(done.breaks, 0) AS breaks
FROM differing d LEFT JOIN done USING (kind, about)
UNION ALL
SELECT kind, about, payment_id, NULL, NULL, 0, 0, -booked, -booked_tax, breaks FROM done
WHERE (booked, booked_tax) <> (0, 0) AND kind <> 'missing_line' AND NOT EXISTS (
    SELECT FROM differing d WHERE (d.kind, d.about) = (done.kind, done.about))
"""  # noqa: S608

MENDED = """
UPDATE finance.breaks SET status = 'resolved', ended = 'mended', resolved_at = %(now)s, seen_date = %(seen)s,
    seen_reading = %(reading)s, version = version + 1
WHERE break_id = ANY(%(ids)s) AND status <> 'resolved'
RETURNING break_id, date
"""

CHANGED = """
UPDATE finance.breaks b SET status = 'open', expected = w.expected, found = w.found,
    difference = w.difference, difference_tax = w.difference_tax, settlement_id = w.settlement_id,
    utr = w.utr, resolution = NULL, first_by = NULL, seen_date = %(seen)s,
    seen_reading = %(reading)s, version = version + 1
FROM wanted w
WHERE b.date = %(day)s AND b.status <> 'resolved' AND (b.kind, b.about) = (w.kind, w.about)
  AND (w.difference, w.difference_tax) <> (0, 0)
  AND (b.expected, b.found, b.difference, b.difference_tax)
      <> (w.expected, w.found, w.difference, w.difference_tax)
RETURNING b.break_id
"""

# The id is that of `domain.reconciliation.break_id`.
OPENED = """
WITH opened AS (
    INSERT INTO finance.breaks (break_id, date, kind, reference, about, payment_id, settlement_id, utr,
        expected, found, difference, difference_tax, status, opened_at, seen_date, seen_reading, version)
    SELECT 'brk_' || left(encode(sha256(convert_to(%(day)s::date || ':' || kind || ':' || reference, 'UTF8')),
                                 'hex'), 32),
           %(day)s, kind, reference, about, payment_id, settlement_id, utr, expected, found, difference,
           difference_tax, 'open', %(now)s, %(seen)s, %(reading)s, 1
    FROM (SELECT *, about || CASE breaks WHEN 0 THEN '' ELSE '~' || breaks + 1 END AS reference
          FROM wanted WHERE (difference, difference_tax) <> (0, 0)) w
    ON CONFLICT DO NOTHING
    RETURNING break_id, kind, difference)
INSERT INTO audit.outbox (topic, key, type, body, made_at)
SELECT %(topic)s, break_id, 'reconciliation.break_opened',
       jsonb_build_object('break_id', break_id, 'kind', kind, 'difference', difference), %(now)s
FROM opened
"""

TELL_MENDED = """
INSERT INTO audit.outbox (topic, key, type, body, made_at)
SELECT %(topic)s, id, 'reconciliation.break_mended', jsonb_build_object('break_id', id), %(now)s
FROM unnest(%(ids)s::text[]) AS id
"""

# What another day is waiting for, settled on this one; or a refund that the customer's bank has sent back.
ARRIVED = """
SELECT b.break_id FROM finance.breaks b
WHERE b.kind = 'missing_line' AND b.status <> 'resolved' AND b.date <> %(day)s AND (
    EXISTS (SELECT FROM finance.settlement_lines l
            WHERE l.entity_id = b.about AND l.date = %(day)s AND l.verdict NOT IN ('gone', 'extra_line'))
    OR EXISTS (SELECT FROM finance.settlement_lines l
               WHERE l.dispute_id = b.about AND l.debit > 0 AND l.date = %(day)s
                 AND l.verdict NOT IN ('gone', 'extra_line'))
    OR EXISTS (SELECT FROM finance.refunds r
               WHERE r.gateway_refund_id = b.about AND r.returned_at IS NOT NULL))
ORDER BY b.break_id FOR UPDATE
"""

# Decided by somebody while the lines were being matched: the money was given up, or claimed, or no longer.
OVERTAKEN = """
SELECT 1 FROM finance.settlement_lines l JOIN finance.breaks b ON b.about = l.entity_id
WHERE l.date = %(day)s AND l.verdict NOT IN ('gone', 'extra_line') AND b.kind = 'missing_line'
  AND b.ended = 'decided' AND l.matches IS DISTINCT FROM b.break_id
UNION ALL
SELECT 1 FROM finance.settlement_lines l JOIN finance.breaks b ON b.about = l.dispute_id
WHERE l.date = %(day)s AND l.verdict NOT IN ('gone', 'extra_line') AND l.debit > 0
  AND b.kind = 'missing_line' AND b.ended = 'decided' AND l.matches IS DISTINCT FROM b.break_id
UNION ALL
SELECT 1 FROM finance.settlement_lines l JOIN finance.breaks b ON b.break_id = l.matches
WHERE l.date = %(day)s AND l.verdict <> 'gone' AND l.matches LIKE 'brk_%%' AND b.claim = 'given_up'
LIMIT 1
"""


async def match(connection: Connection, day: date, reading: int) -> None:
    """Merges the reading while nobody decides the breaks that its lines, or their absence, are about.

    A break that was decided after its line had been matched changes what the line is: matched again.
    """
    await reconciliation.merge(connection, day, reading)
    await connection.execute(ARRIVED, {"day": day})
    await connection.execute(
        """SELECT FROM finance.breaks WHERE date = %(day)s AND status <> 'resolved'
               OR break_id IN (SELECT matches FROM finance.settlement_lines
                               WHERE date = %(day)s AND matches LIKE 'brk_%%')
           ORDER BY break_id FOR UPDATE""",
        {"day": day},
    )
    cursor = await connection.execute(OVERTAKEN, {"day": day})
    if await cursor.fetchone() is not None:
        await reconciliation.merge(connection, day, reading)


async def _weigh(connection: Connection, day: date, due: Due) -> None:
    """Finds what of the day's lines differs or is missing, and what of its payouts that leaves unexplained.
    `match` goes before, `payouts.book` and `_find` after."""
    cursor = await connection.execute(
        """SELECT date, coalesce(settled_until, date::timestamp AT TIME ZONE 'Asia/Kolkata') AS settled_until
           FROM finance.reconciliations WHERE date < %s AND finished_at IS NOT NULL
           ORDER BY date DESC LIMIT 1""",
        (day,),
    )
    before = await cursor.fetchone()
    first, last = debit_days(day, before["date"] if before else None)
    values = {
        "day": day, "since": due.since, "until": due.until, "late_since": None, "late_until": None,
        "debits_since": ist_midnight(first), "debits_until": ist_midnight(last + timedelta(days=1)),
    }  # fmt: skip
    if before and due.same_day and due.until is not None:
        values["late_since"] = before["settled_until"]
        values["late_until"] = ist_midnight(before["date"] + timedelta(days=1))
    await connection.execute(COMPARED, values)
    gaps = await payouts.gaps(connection, day)
    cursor = await connection.execute(
        """SELECT settlement_id, hidden >= 0 AS credits, sum(hidden)::bigint AS amount FROM differing
           GROUP BY settlement_id, hidden >= 0"""
    )
    own: dict[str, int] = {}
    missing = [0, 0]
    for row in await cursor.fetchall():
        if row["settlement_id"] is None:
            missing[row["credits"]] = row["amount"]
        else:
            own[row["settlement_id"]] = own.get(row["settlement_id"], 0) + row["amount"]
    left = residuals(gaps, own, {*missing, sum(missing)})
    await payouts.keep_residuals(connection, day, left)


@dataclass(frozen=True)
class Reading:
    """By whose report breaks are opened, changed or mended: it tells their processes."""

    date: date
    number: int


async def judge(connection: Connection, day: date, due: Due, reading: Reading, now: datetime) -> None:
    """Weighs the day's lines and payouts, books them, and brings its breaks to what they show."""
    await _weigh(connection, day, due)
    await payouts.book(connection, day, now)
    await _find(connection, day, reading, now)
    await connection.execute("DROP TABLE differing, paid, wanted")


async def judge_again(connection: Connection, day: date, due: Due, reading: Reading, now: datetime) -> None:
    """Judges a day of which nothing was read anew: another day's reading has changed what its payouts are
    measured by."""
    # Nobody decides a break that is about to change. Breaks first, then their day, as who decides one does.
    await connection.execute(
        "SELECT FROM finance.breaks WHERE date = %s AND status <> 'resolved' ORDER BY break_id FOR UPDATE",
        (day,),
    )
    await connection.execute(
        "UPDATE finance.reconciliations SET status = %s WHERE date = %s", (DayStatus.RUNNING, day)
    )
    await judge(connection, day, due, reading, now)
    await reconciliation.settle_status(connection, day, DayStatus.RUNNING)


async def _find(connection: Connection, day: date, reading: Reading, now: datetime) -> None:
    """Opens, changes and mends the day's breaks. `_weigh` goes before."""
    values = {
        "day": day, "seen": reading.date, "reading": reading.number, "now": now,
        "topic": reconciliation.TOPIC,
    }  # fmt: skip
    await connection.execute(WANTED, values)
    rows = await (await connection.execute(ARRIVED, values)).fetchall()
    rows += await (
        await connection.execute(
            """SELECT break_id FROM finance.breaks b WHERE date = %(day)s AND status <> 'resolved'
               AND NOT EXISTS (SELECT FROM wanted w
                               WHERE (w.kind, w.about) = (b.kind, b.about)
                                 AND (w.difference, w.difference_tax) <> (0, 0))""",
            values,
        )
    ).fetchall()
    await _mend(connection, [row["break_id"] for row in rows], values)
    changed = await (await connection.execute(CHANGED, values)).fetchall()
    await connection.execute(OPENED, values)
    for row in changed:
        await touch(connection, row["break_id"])


async def _mend(connection: Connection, ids: list[str], values: dict[str, Any]) -> None:
    if not ids:
        return
    mended = await (await connection.execute(MENDED, {**values, "ids": ids})).fetchall()
    ids = [row["break_id"] for row in mended]
    await connection.execute(TELL_MENDED, {**values, "ids": ids})
    for other in sorted({row["date"] for row in mended} - {values["day"]}):
        await reconciliation.settle_status(connection, other, DayStatus.OPEN)
    for break_id in ids:
        await touch(connection, break_id)


async def settle_claims(connection: Connection, day: date, reading: int, now: datetime) -> None:
    """Closes each claim that a line of the day pays, and opens it again where that line is gone."""
    cursor = await connection.execute(
        """SELECT b.break_id, b.about, b.booked, b.version, l.entity_id, l.verdict <> 'gone' AS paid
           FROM finance.settlement_lines l JOIN finance.breaks b ON b.break_id = l.matches
           WHERE l.date = %s AND l.matches LIKE 'brk_%%'
             AND (b.claim = 'open' AND l.verdict <> 'gone'
                  OR b.claim = 'settled' AND b.claim_line = l.entity_id AND l.verdict = 'gone')
           ORDER BY b.break_id FOR UPDATE OF b""",
        (day,),
    )
    for row in await cursor.fetchall():
        amount = row["booked"] if row["paid"] else -row["booked"]
        entry = Entry(
            business_key=f"claim:{row['break_id']}:{row['version'] + 1}",
            date=day,
            lines=(
                *side(Account.GATEWAY_CLEARING, amount),
                *side(Account.GATEWAY_CLAIMS, -amount),
            ),
            references=(row["break_id"], row["entity_id"]),
        )
        await ledger.post(connection, entry, now)
        await connection.execute(
            """UPDATE finance.breaks SET claim = CASE WHEN %(paid)s THEN 'settled' ELSE 'open' END,
                   claim_line = CASE WHEN %(paid)s THEN %(entity_id)s END,
                   claim_settled_at = CASE WHEN %(paid)s THEN %(now)s::timestamptz END,
                   seen_date = %(day)s, seen_reading = %(reading)s, version = version + 1
               WHERE break_id = %(break_id)s""",
            {**row, "day": day, "reading": reading, "now": now},
        )
        await touch(connection, row["break_id"])
