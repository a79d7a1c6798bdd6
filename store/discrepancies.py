"""What of a settlement day does not agree: found, changed and mended by the reading that shows it."""

from datetime import date, datetime
from typing import Any

from domain.ledger import Account, Entry
from domain.reconciliation import DayStatus
from store import ledger, reconciliation
from store.changes import touch
from store.database import Connection

# What is left of a line on gateway clearing is its difference: positive where the gateway owes us.
DIFFERING = """
    SELECT l.verdict AS kind,
           l.entity_id || CASE
               WHEN l.verdict = 'extra_line' AND (l.occurrence > 1 OR p.payment_id IS NOT NULL
                   OR l.settlement_id > (SELECT min(o.settlement_id) FROM finance.settlement_lines o
                                         WHERE o.entity_id = l.entity_id
                                           AND o.date IS NOT DISTINCT FROM l.date))
               THEN '.' || l.settlement_id || '.' || l.occurrence ELSE '' END AS about,
           p.payment_id, l.settlement_id, l.utr,
           CASE l.verdict WHEN 'wrong_fee' THEN l.expected_fee ELSE abs(l.expected) END AS expected,
           CASE l.verdict WHEN 'wrong_fee' THEN l.fee ELSE l.amount END AS found,
           l.expected - (l.credit - l.debit) - l.expected_fee AS difference,
           CASE l.verdict WHEN 'wrong_fee' THEN l.tax - l.expected_tax ELSE 0 END AS difference_tax
    FROM finance.settlement_lines l
    LEFT JOIN finance.payments p
        ON p.gateway_payment_id = CASE l.kind WHEN 'payment' THEN l.entity_id ELSE l.payment_id END
    WHERE l.date = %(day)s AND l.verdict IN ('extra_line', 'wrong_amount', 'wrong_fee')
"""

# The gateway may hold back debits that its balance does not cover: a refund without a line is not missing.
MISSING = """
    SELECT 'missing_line' AS kind, p.gateway_payment_id AS about, p.payment_id, NULL AS settlement_id,
           NULL AS utr, p.amount AS expected, 0 AS found, p.amount AS difference, 0 AS difference_tax
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

# A break that was decided has moved its amount off clearing. Where a later report shows another difference,
# what is between the two is a new break about the same thing.
WANTED = f"""
CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS
WITH differing AS ({DIFFERING} UNION ALL {MISSING}),
done AS (
    SELECT kind, about, sum(booked)::bigint AS booked, count(*) AS breaks, max(payment_id) AS payment_id
    FROM finance.breaks WHERE date = %(day)s AND status = 'resolved' GROUP BY kind, about)
SELECT d.kind, d.about, d.payment_id, d.settlement_id, d.utr, d.expected, d.found,
       d.difference - coalesce(done.booked, 0) AS difference, d.difference_tax,
       coalesce(done.breaks, 0) AS breaks
FROM differing d LEFT JOIN done USING (kind, about)
UNION ALL
SELECT kind, about, payment_id, NULL, NULL, 0, 0, -booked, 0, breaks FROM done
WHERE booked <> 0 AND kind <> 'missing_line' AND NOT EXISTS (
    SELECT FROM differing d WHERE (d.kind, d.about) = (done.kind, done.about))
"""  # noqa: S608

MENDED = """
UPDATE finance.breaks SET status = 'resolved', ended = 'mended', resolved_at = %(now)s, seen_date = %(day)s,
    seen_reading = %(reading)s, version = version + 1
WHERE break_id = ANY(%(ids)s) AND status <> 'resolved'
RETURNING break_id, date
"""

CHANGED = """
UPDATE finance.breaks b SET status = 'open', expected = w.expected, found = w.found,
    difference = w.difference, difference_tax = w.difference_tax, settlement_id = w.settlement_id,
    utr = w.utr, resolution = NULL, note_id = NULL, first_by = NULL, seen_date = %(day)s,
    seen_reading = %(reading)s, version = version + 1
FROM wanted w
WHERE b.date = %(day)s AND b.status <> 'resolved' AND (b.kind, b.about) = (w.kind, w.about)
  AND w.difference <> 0
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
           difference_tax, 'open', %(now)s, %(day)s, %(reading)s, 1
    FROM (SELECT *, about || CASE breaks WHEN 0 THEN '' ELSE '~' || breaks + 1 END AS reference
          FROM wanted WHERE difference <> 0) w
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

# A payment that another day is waiting for, settled on this one.
ARRIVED = """
SELECT b.break_id FROM finance.breaks b
WHERE b.kind = 'missing_line' AND b.status <> 'resolved' AND b.date <> %(day)s AND EXISTS (
    SELECT FROM finance.settlement_lines l
    WHERE l.entity_id = b.about AND l.date = %(day)s AND l.verdict NOT IN ('gone', 'extra_line'))
ORDER BY b.break_id FOR UPDATE
"""

# Decided by somebody while the lines were being matched: the money was given up, or claimed, or no longer.
OVERTAKEN = """
SELECT 1 FROM finance.settlement_lines l JOIN finance.breaks b ON b.about = l.entity_id
WHERE l.date = %(day)s AND l.verdict NOT IN ('gone', 'extra_line') AND b.kind = 'missing_line'
  AND b.ended = 'decided' AND l.matches IS DISTINCT FROM b.break_id
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


async def find(
    connection: Connection, day: date, reading: int, since: datetime, until: datetime | None, now: datetime
) -> None:
    """Brings the day's breaks to what the reading shows: opens, changes and mends. `match` goes before.

    Captures from `since` to `until` (None: there was no settlement) were due in this day's settlement, and so
    were those of the day compared before it that came after its own settlement.
    """
    values = {
        "day": day, "reading": reading, "now": now, "topic": reconciliation.TOPIC, "since": since,
        "until": until, "late_since": None, "late_until": None,
    }  # fmt: skip
    if until is not None:
        cursor = await connection.execute(
            """SELECT coalesce(settled_until, date::timestamp AT TIME ZONE 'Asia/Kolkata') AS late_since,
                      (date + 1)::timestamp AT TIME ZONE 'Asia/Kolkata' AS late_until
               FROM finance.reconciliations WHERE date < %(day)s AND finished_at IS NOT NULL
               ORDER BY date DESC LIMIT 1""",
            values,
        )
        values |= await cursor.fetchone() or {}
    await connection.execute(WANTED, values)
    rows = await (await connection.execute(ARRIVED, values)).fetchall()
    rows += await (
        await connection.execute(
            """SELECT break_id FROM finance.breaks b WHERE date = %(day)s AND status <> 'resolved'
               AND NOT EXISTS (SELECT FROM wanted w
                               WHERE (w.kind, w.about) = (b.kind, b.about) AND w.difference <> 0)""",
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
                *reconciliation.side(Account.GATEWAY_CLEARING, amount),
                *reconciliation.side(Account.GATEWAY_CLAIMS, -amount),
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
