"""What a settlement day paid to the bank: judged by the gateway's list and by its lines, and booked."""

from datetime import date, datetime
from typing import Any

from domain.ledger import Account, Entry, side
from store import ledger
from store.database import Connection

# Lines count as booked: those of the day that is being compared are in `paid` and not booked yet.
GAP = """CASE WHEN s.amount IS NOT NULL OR o.named IS NOT TRUE
    THEN (coalesce(s.amount, 0) - {lines} - coalesce(o.bank, 0))::bigint END"""
OTHERS = """LEFT JOIN LATERAL (
    SELECT sum(booked_bank - residual) AS bank, bool_or(amount IS NOT NULL) AS named
    FROM finance.settlements o WHERE o.settlement_id = s.settlement_id AND o.date <> s.date) o ON true"""


async def gaps(connection: Connection, day: date) -> dict[str, int]:
    """What the day's payouts are beyond the lines of the report, by settlement, in paise; `book` goes after.

    A settlement that the gateway's list names on no day paid nothing. One that it names on another day is
    judged there, with its lines of every day.
    """
    await connection.execute(
        """CREATE TEMPORARY TABLE paid ON COMMIT DROP AS
           SELECT settlement_id, max(utr) AS utr, sum(credit - debit)::bigint AS bank,
                  sum(expected_fee - expected_tax)::bigint AS fee, sum(expected_tax)::bigint AS tax
           FROM finance.settlement_lines WHERE date = %s GROUP BY settlement_id""",
        (day,),
    )
    await connection.execute(
        """INSERT INTO finance.settlements AS s (settlement_id, date, utr)
           SELECT settlement_id, %s, utr FROM paid
           ON CONFLICT (settlement_id, date) DO UPDATE SET utr = coalesce(s.utr, excluded.utr)""",
        (day,),
    )
    await connection.execute(
        f"""UPDATE finance.settlements t SET gap = judged.gap
            FROM (SELECT s.settlement_id, {GAP.format(lines="coalesce(l.bank, 0)")} AS gap
                  FROM finance.settlements s LEFT JOIN paid l USING (settlement_id) {OTHERS}
                  WHERE s.date = %(day)s) judged
            WHERE t.date = %(day)s AND t.settlement_id = judged.settlement_id
              AND t.gap IS DISTINCT FROM judged.gap""",  # noqa: S608 (constants of this file)
        {"day": day},
    )
    cursor = await connection.execute(
        "SELECT settlement_id, gap FROM finance.settlements WHERE date = %s AND gap IS NOT NULL", (day,)
    )
    return {row["settlement_id"]: row["gap"] for row in await cursor.fetchall()}


async def keep_residuals(connection: Connection, day: date, residuals: dict[str, int]) -> None:
    """Stores what no line's break explains of each payout of the day; zero for those that are not named."""
    await connection.execute(
        """UPDATE finance.settlements s SET residual = coalesce(r.amount, 0)
           FROM finance.settlements t LEFT JOIN unnest(%(ids)s::text[], %(amounts)s::bigint[])
               AS r (settlement_id, amount) USING (settlement_id)
           WHERE s.date = %(day)s AND (s.settlement_id, s.date) = (t.settlement_id, t.date)
             AND s.residual <> coalesce(r.amount, 0)""",
        {"day": day, "ids": list(residuals), "amounts": list(residuals.values())},
    )


async def misjudged(connection: Connection, day: date) -> list[dict[str, Any]]:
    """Other days that judged a settlement of this one before this one was booked: `date`, `settled_until`.
    A day that is being compared just now sees what is booked here when it gets there."""
    cursor = await connection.execute(
        f"""SELECT r.date, r.settled_until FROM finance.reconciliations r
            WHERE r.status <> 'running' AND r.date IN (
                SELECT s.date FROM finance.settlements s {OTHERS}
                WHERE s.date <> %(day)s
                  AND s.settlement_id IN (SELECT settlement_id FROM finance.settlements WHERE date = %(day)s)
                  AND s.gap IS DISTINCT FROM {GAP.format(lines="(s.booked_bank - s.residual)")})
            ORDER BY r.date""",  # noqa: S608
        {"day": day},
    )
    return await cursor.fetchall()


async def book(connection: Connection, day: date, now: datetime) -> None:
    """Books each settlement of the day as far as it is not booked: bank, fees, input GST, clearing.

    One entry a settlement, day and booking: ``settlement:{id}:{date}``, then ``settlement:{id}:{date}:2`` and
    so on; nothing is posted where nothing changed since. The gateway's fees are an expense net of their GST,
    which is input tax. Clearing is credited with what reached the bank and with the fee that was agreed: what
    is left of a line, or of the payout itself, is its difference.
    """
    cursor = await connection.execute(
        """SELECT * FROM (
               SELECT s.settlement_id, s.utr, s.bookings,
                      coalesce(l.bank, 0) + s.residual - s.booked_bank AS bank,
                      coalesce(l.fee, 0) - s.booked_fee AS fee, coalesce(l.tax, 0) - s.booked_tax AS tax
               FROM finance.settlements s LEFT JOIN paid l USING (settlement_id) WHERE s.date = %(day)s) due
           WHERE (bank, fee, tax) <> (0, 0, 0) ORDER BY settlement_id""",
        {"day": day},
    )
    for row in await cursor.fetchall():
        lines = (
            *side(Account.BANK, row["bank"]),
            *side(Account.GATEWAY_FEES, row["fee"]),
            *side(Account.INPUT_GST, row["tax"]),
            *side(Account.GATEWAY_CLEARING, -(row["bank"] + row["fee"] + row["tax"])),
        )
        number = f":{row['bookings'] + 1}" if row["bookings"] else ""
        references = tuple(part for part in (row["settlement_id"], row["utr"]) if part)
        key = f"settlement:{row['settlement_id']}:{day.isoformat()}{number}"
        await ledger.post(
            connection, Entry(business_key=key, date=day, lines=lines, references=references), now
        )
        await connection.execute(
            """INSERT INTO finance.settlement_bookings
                   (settlement_id, date, number, booked_on, bank, fee, tax)
               SELECT %(settlement_id)s, %(day)s, %(bookings)s + 1, date, %(bank)s, %(fee)s, %(tax)s
               FROM finance.journal_entries WHERE business_key = %(key)s""",
            {**row, "day": day, "key": key},
        )
        await connection.execute(
            """UPDATE finance.settlements SET booked_bank = booked_bank + %(bank)s,
                   booked_fee = booked_fee + %(fee)s, booked_tax = booked_tax + %(tax)s,
                   bookings = bookings + 1
               WHERE settlement_id = %(settlement_id)s AND date = %(day)s""",
            {**row, "day": day},
        )


async def listing(connection: Connection, day: date) -> list[dict[str, Any]]:
    """What was paid to the bank: by the gateway's word (`amount`), by the lines of its report (`lines`).
    `residual` is what of the difference no break of a line explains: it is a break of its own."""
    cursor = await connection.execute(
        """SELECT settlement_id, utr, amount, made_at, booked_bank - residual AS lines, booked_fee AS fees,
                  booked_tax AS tax, amount - (booked_bank - residual) AS unexplained, residual
           FROM finance.settlements WHERE date = %s ORDER BY made_at NULLS LAST, settlement_id""",
        (day,),
    )
    return await cursor.fetchall()
