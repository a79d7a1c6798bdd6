"""Settlement days: the report's lines merged, matched with the book, and booked to the bank.

Set-based, so that time grows with the number of lines and memory does not.
"""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any

from domain.gst import RATES, rate_on
from domain.moves import moved
from domain.reconciliation import DAY_NEXT, DayStatus, list_price
from store.changes import touch
from store.database import Connection

TOPIC = "payment-events"
SORT_MEMORY = "96MB"
"""For the one statement that joins and sorts a day's lines; Postgres takes more only on disk."""
STREAMED = 2_000
"""Lines of a report that are in memory at once while it is written out."""

# Agreed is what the gateway told at the capture; where it told nothing, its list price is the most it may be.
# Refunds of normal speed and adjustments are free; of an instant refund the gateway tells the fee in its
# report alone, so only its tax can be checked.
AGREED_FEE = """coalesce(p.fee, least(s.fee, (p.amount * %(price)s + 5000) / 10000
    + ((p.amount * %(price)s + 5000) / 10000 * %(gst)s + 50) / 100))"""
TAX_IN = "({fee} * %(gst)s * 2 + 100 + %(gst)s) / (2 * (100 + %(gst)s))"

# What a line is matched with. A thing comes once: its second line, and money that finance has already given
# up as missing, belongs to nothing. A payment that was claimed from the gateway and comes after all, and an
# adjustment of a claim's size about the same payment, pay the claim.
MATCHED = f"""
    SELECT s.*,
        s.nth > 1 OR again.entity_id IS NOT NULL OR (late.break_id IS NOT NULL AND late.pays IS NOT TRUE)
            AS surplus,
        p.payment_id AS paid_id, p.amount AS paid,
        CASE WHEN p.payment_id IS NOT NULL THEN {AGREED_FEE} WHEN r.speed = 'optimum' THEN s.fee ELSE 0 END
            AS agreed_fee,
        CASE WHEN p.payment_id IS NOT NULL THEN coalesce(p.tax, {TAX_IN.format(fee=AGREED_FEE)})
             WHEN r.speed = 'optimum' THEN {TAX_IN.format(fee="s.fee")} ELSE 0 END AS agreed_tax,
        CASE WHEN late.pays THEN late.break_id END AS late_id,
        coalesce(r.refund_id, back.refund_id) AS refund_id, coalesce(-r.amount, back.amount) AS refunded,
        d.dispute_id AS disputed_id, d.amount AS disputed,
        claimed.break_id AS claimed_id, claimed.booked AS claimed
    FROM (
        SELECT *, row_number() OVER (PARTITION BY entity_id, settlement_id ORDER BY number) AS occurrence,
               row_number() OVER (PARTITION BY entity_id ORDER BY settlement_id, number) AS nth
        FROM finance.report_lines WHERE date = %(day)s AND reading = %(reading)s AND settled) s
    LEFT JOIN finance.payments p
        ON s.kind = 'payment' AND p.gateway_payment_id = s.entity_id AND p.captured_at IS NOT NULL
    LEFT JOIN finance.refunds r ON s.kind = 'refund' AND r.gateway_refund_id = s.entity_id
    LEFT JOIN LATERAL (
        SELECT o.entity_id FROM finance.settlement_lines o
        WHERE o.entity_id = s.entity_id AND o.date <> s.date AND o.verdict NOT IN ('gone', 'extra_line')
        LIMIT 1) again ON true
    LEFT JOIN LATERAL (
        SELECT b.break_id, b.claim = 'open' OR b.claim_line = s.entity_id AS pays FROM finance.breaks b
        WHERE b.about = CASE WHEN s.dispute_id IS NULL OR s.debit = 0 THEN s.entity_id ELSE s.dispute_id END
          AND b.kind = 'missing_line' AND b.ended = 'decided'
        ORDER BY b.date LIMIT 1) late ON true
    -- The bank's side of a dispute: taken while it is open or when it is lost, given back where it was taken;
    -- each once, whatever the gateway calls its line.
    LEFT JOIN LATERAL (
        SELECT o.dispute_id,
               CASE WHEN s.debit > 0 THEN -CASE WHEN o.status = 'lost' THEN o.lost ELSE o.amount END
                    ELSE o.amount - o.lost END AS amount
        FROM finance.disputes o
        WHERE s.kind = 'adjustment' AND o.dispute_id = s.dispute_id
          AND (s.debit > 0 OR o.status IN ('won', 'closed')
               AND (SELECT t.debit FROM finance.settlement_lines t
                    WHERE t.dispute_id = s.dispute_id AND t.debit > 0 LIMIT 1) IS NOT NULL)
          AND NOT EXISTS (
              SELECT FROM finance.report_lines t
              WHERE t.date = %(day)s AND t.reading = %(reading)s AND t.settled
                AND t.dispute_id = s.dispute_id AND (t.debit > 0) = (s.debit > 0)
                AND t.entity_id <> s.entity_id AND (t.settlement_id, t.number) < (s.settlement_id, s.number))
          AND NOT EXISTS (
              SELECT FROM finance.settlement_lines t
              WHERE t.date <> %(day)s AND t.dispute_id = s.dispute_id AND (t.debit > 0) = (s.debit > 0)
                AND t.entity_id <> s.entity_id AND t.verdict NOT IN ('gone', 'extra_line'))) d ON true
    LEFT JOIN LATERAL (
        SELECT b.break_id, b.booked FROM finance.breaks b
        WHERE s.kind = 'adjustment' AND s.dispute_id IS NULL AND b.claim IS NOT NULL
          AND b.about = s.payment_id AND b.booked = s.credit - s.debit
          AND (b.claim = 'open' OR b.claim_line = s.entity_id)
        ORDER BY b.opened_at, b.break_id LIMIT 1) claimed ON true
    -- A refund that the customer's bank sent back: its money returns.
    LEFT JOIN LATERAL (
        SELECT f.refund_id, f.amount FROM finance.refunds f
        JOIN finance.payments q ON q.payment_id = f.payment_id
        WHERE s.kind = 'adjustment' AND s.dispute_id IS NULL AND claimed.break_id IS NULL
          AND q.gateway_payment_id = s.payment_id AND f.amount = s.credit
          AND f.returned_at IS NOT NULL
        ORDER BY f.created_at LIMIT 1) back ON true
"""  # noqa: S608 (constants of this file)

MERGE = f"""
INSERT INTO finance.settlement_lines AS l (settlement_id, entity_id, occurrence, date, kind, payment_id, utr,
    dispute_id, amount, debit, credit, fee, tax, verdict, expected, expected_fee, expected_tax, matches)
SELECT settlement_id, entity_id, occurrence, date, kind, payment_id, utr, dispute_id, amount, debit, credit,
    fee, tax,
    CASE WHEN surplus THEN 'extra_line'
         WHEN due IS NULL THEN 'extra_line'
         WHEN amount <> paid OR paid IS NULL AND credit - debit <> due - fee THEN 'wrong_amount'
         WHEN (fee, tax) <> (agreed_fee, agreed_tax) THEN 'wrong_fee'
         WHEN credit - debit <> due - fee THEN 'wrong_amount'
         ELSE 'matched' END,
    CASE WHEN surplus THEN 0 ELSE coalesce(due, 0) END,
    CASE WHEN due IS NOT NULL AND NOT surplus THEN agreed_fee ELSE fee END,
    CASE WHEN due IS NOT NULL AND NOT surplus THEN agreed_tax ELSE tax END,
    CASE WHEN NOT surplus THEN coalesce(late_id, paid_id, refund_id, disputed_id, claimed_id) END
FROM (SELECT *, coalesce(paid, refunded, disputed, claimed) AS due FROM ({MATCHED}) known) matched
ON CONFLICT (settlement_id, entity_id, occurrence) DO UPDATE SET amount = excluded.amount,
    debit = excluded.debit, credit = excluded.credit, fee = excluded.fee, tax = excluded.tax,
    utr = excluded.utr, dispute_id = excluded.dispute_id, verdict = excluded.verdict,
    expected = excluded.expected, expected_fee = excluded.expected_fee,
    expected_tax = excluded.expected_tax, matches = excluded.matches
WHERE (l.amount, l.debit, l.credit, l.fee, l.tax, l.utr, l.dispute_id, l.verdict, l.expected, l.expected_fee,
       l.expected_tax, l.matches)
    IS DISTINCT FROM (excluded.amount, excluded.debit, excluded.credit, excluded.fee, excluded.tax,
       excluded.utr, excluded.dispute_id, excluded.verdict, excluded.expected, excluded.expected_fee,
       excluded.expected_tax, excluded.matches)
"""  # noqa: S608

GONE = """
UPDATE finance.settlement_lines l SET amount = 0, debit = 0, credit = 0, fee = 0, tax = 0, expected = 0,
    expected_fee = 0, expected_tax = 0, verdict = 'gone'
WHERE date = %(day)s AND verdict <> 'gone' AND NOT EXISTS (
    SELECT FROM (
        SELECT settlement_id, entity_id,
               row_number() OVER (PARTITION BY entity_id, settlement_id) AS occurrence
        FROM finance.report_lines WHERE date = %(day)s AND reading = %(reading)s AND settled) s
    WHERE (s.settlement_id, s.entity_id, s.occurrence) = (l.settlement_id, l.entity_id, l.occurrence))
"""

# Of several lines that would pay one claim, the first does.
ONE_PAYS = """
UPDATE finance.settlement_lines l SET verdict = 'extra_line', expected = 0, expected_fee = fee,
    expected_tax = tax, matches = NULL
WHERE date = %(day)s AND matches LIKE 'brk_%%' AND verdict <> 'gone' AND EXISTS (
    SELECT FROM finance.settlement_lines o
    WHERE o.matches = l.matches AND o.verdict <> 'gone'
      AND (o.date, o.settlement_id, o.entity_id, o.occurrence)
          < (l.date, l.settlement_id, l.entity_id, l.occurrence))
"""


async def alone(connection: Connection) -> None:
    """One day is compared at a time: days share settlements, breaks and claims, and each sees what the other
    has booked. Held until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('reconciliation', 0))")


async def compared(connection: Connection, day: date, reading: int) -> dict[str, Any] | None:
    """The day as it stands, where this reading of it was compared already."""
    cursor = await connection.execute(
        "SELECT FROM finance.reconciliations WHERE date = %s AND reading = %s AND status <> 'running'",
        (day, reading),
    )
    return None if await cursor.fetchone() is None else await view(connection, day)


async def merge(connection: Connection, day: date, reading: int) -> None:
    """Makes the reading the day's lines, each with what the book expects of it: new ones added, changed ones
    changed, absent ones emptied. What agrees with an earlier reading is not written again."""
    gst = rate_on(max(day, RATES[0][0]))
    values = {"day": day, "reading": reading, "price": list_price(day), "gst": gst}
    await connection.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
    cursor = await connection.execute(
        "SELECT FROM finance.settlement_lines WHERE date = %(day)s LIMIT 1", values
    )
    again = await cursor.fetchone() is not None
    await connection.execute(MERGE, values)
    if again:
        await connection.execute(GONE, values)
    await connection.execute(ONE_PAYS, values)


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
    await connection.execute("DELETE FROM finance.report_lines WHERE date = %s", (day,))
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
        """SELECT count(*) FILTER (WHERE ended = 'decided') AS decided,
                  count(*) FILTER (WHERE status <> 'resolved') AS waiting
           FROM finance.breaks WHERE date = %s""",
        (day,),
    )
    counted = await cursor.fetchone() or {"decided": 0, "waiting": 0}
    ended = DayStatus.RESOLVED if counted["decided"] else DayStatus.BALANCED
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


async def totals(connection: Connection, day: date) -> list[dict[str, Any]]:
    """The day's lines added up by kind and by what became of them; amounts in paise."""
    cursor = await connection.execute(
        """SELECT kind, verdict, count(*) AS lines, sum(credit - debit)::bigint AS net,
                  sum(expected)::bigint AS expected, sum(fee)::bigint AS fee, sum(tax)::bigint AS tax
           FROM finance.settlement_lines WHERE date = %s AND verdict <> 'gone'
           GROUP BY kind, verdict ORDER BY kind, verdict""",
        (day,),
    )
    return await cursor.fetchall()


async def report(connection: Connection, day: date) -> AsyncIterator[list[dict[str, Any]]]:
    """The day's lines with what became of each, by settlement and thing, some thousands at a time.

    The connection stays busy until the last are given.
    """
    async with connection.transaction(), connection.cursor(name="settlement_lines") as cursor:
        await cursor.execute(
            """SELECT settlement_id, utr, kind, entity_id, payment_id, amount, debit, credit, fee, tax,
                      verdict, matches, expected, expected_fee, expected_tax,
                      expected - (credit - debit) - expected_fee AS difference
               FROM finance.settlement_lines WHERE date = %s AND verdict <> 'gone'
               ORDER BY settlement_id, entity_id, occurrence""",
            (day,),
        )
        while rows := await cursor.fetchmany(STREAMED):
            yield rows
