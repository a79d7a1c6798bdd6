"""The gateway's report of a day as it is read, page by page: kept until it is compared with the book.

The pages are unlogged: cheap to write, and gone after a crash of Postgres. So whoever goes on reading asks
where to begin (`resume`), and whoever compares asks whether all is there (`complete`).
"""

from collections.abc import Sequence, Set
from datetime import date, datetime
from typing import Any

from domain.errors import Rejected
from models.messages.reconciliation import Line, Payout
from store.changes import touch
from store.database import Connection

ANALYZE_FROM = 1000
"""Lines from which Postgres is told how many there are: with fewer, any plan is fast."""


async def begin(connection: Connection, day: date, now: datetime) -> int:
    """Opens a reading of the day and forgets what earlier ones left unfinished; its number."""
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
    await forget(connection, day)
    await touch(connection, day.isoformat())
    return int(row["reading"]) if row else 1


async def forget(connection: Connection, day: date) -> None:
    """Drops every page of the day."""
    await connection.execute("DELETE FROM finance.report_lines WHERE date = %s", (day,))


async def resume(connection: Connection, day: date, reading: int) -> tuple[int, tuple[Any, ...] | None]:
    """How many lines of the reading are kept, and what the last of them says (`Line.says`).

    Pages that are there in part only (Postgres crashed meanwhile) count as none, and are dropped.
    """
    cursor = await connection.execute(
        """SELECT count(*) AS kept, coalesce(max(number) + 1, 0) AS next FROM finance.report_lines
           WHERE date = %s AND reading = %s""",
        (day, reading),
    )
    row = await cursor.fetchone() or {"kept": 0, "next": 0}
    if row["kept"] != row["next"]:
        await forget(connection, day)
        return 0, None
    if row["next"] == 0:
        return 0, None
    cursor = await connection.execute(
        """SELECT settlement_id, entity_id, kind, amount, debit, credit, fee, tax FROM finance.report_lines
           WHERE date = %s AND reading = %s AND number = %s""",
        (day, reading, row["next"] - 1),
    )
    last = await cursor.fetchone() or {}
    return row["next"], tuple(last.values())


async def keep_page(
    connection: Connection, day: date, reading: int, first: int, lines: Sequence[Line]
) -> int:
    """Stores lines `first` and following of a reading; where it goes on.

    Another attempt at the same reading (its worker was only slow) may have stored them already: then this
    changes nothing and answers where that one stands.

    Raises:
        Rejected: `reading_superseded`: a later reading of the day has begun.
    """
    cursor = await connection.execute(
        """SELECT reading, (SELECT coalesce(max(number) + 1, 0) FROM finance.report_lines l
                            WHERE l.date = r.date AND l.reading = %(reading)s) AS next
           FROM finance.reconciliations r WHERE date = %(day)s FOR NO KEY UPDATE""",
        {"day": day, "reading": reading},
    )
    row = await cursor.fetchone()
    if row is None or row["reading"] != reading:
        raise Rejected("reading_superseded")
    if row["next"] != first:
        return int(row["next"])
    async with (
        connection.cursor() as writing,
        writing.copy(
            """COPY finance.report_lines (date, reading, number, settlement_id, entity_id, kind, payment_id,
                   utr, dispute_id, amount, debit, credit, fee, tax, settled) FROM STDIN"""
        ) as copy,
    ):
        for number, line in enumerate(lines, start=first):
            await copy.write_row(
                (
                    day, reading, number, line.settlement_id, line.entity_id, line.kind, line.payment_id,
                    line.utr, line.dispute_id, line.amount, line.debit, line.credit, line.fee, line.tax,
                    line.settled,
                )
            )  # fmt: skip
    return first + len(lines)


async def keep_payouts(
    connection: Connection, day: date, reading: int, payouts: Sequence[Payout], before: Set[str]
) -> list[Payout]:
    """Stores what the gateway says it paid to the bank on a day, each under its UTR; gives what it stored.

    Those that were listed `before` the lines were read; of the others those that have lines in the reading.
    """
    cursor = await connection.execute(
        """SELECT DISTINCT settlement_id FROM finance.report_lines
           WHERE date = %s AND reading = %s AND settlement_id = ANY(%s)""",
        (day, reading, [one.settlement_id for one in payouts if one.settlement_id not in before]),
    )
    known = before | {row["settlement_id"] for row in await cursor.fetchall()}
    payouts = [one for one in payouts if one.settlement_id in known]
    await connection.execute(
        """INSERT INTO finance.settlements AS s (settlement_id, date, utr, amount, made_at)
           SELECT id, %s, utr, amount, made_at
           FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::timestamptz[])
               AS p (id, utr, amount, made_at)
           ON CONFLICT (settlement_id, date) DO UPDATE SET utr = coalesce(excluded.utr, s.utr),
               amount = excluded.amount, made_at = excluded.made_at""",
        (
            day,
            [one.settlement_id for one in payouts],
            [one.utr for one in payouts],
            [one.amount for one in payouts],
            [one.made_at for one in payouts],
        ),
    )
    return payouts


async def measured(connection: Connection, lines: int) -> None:
    """Tells Postgres how much there is to compare; outside a transaction, so that nobody waits for it."""
    if lines >= ANALYZE_FROM:
        await connection.execute("ANALYZE finance.report_lines")


async def complete(connection: Connection, day: date, reading: int, lines: int) -> bool:
    """Whether every line that was read is still there, and no later reading of the day has begun."""
    cursor = await connection.execute(
        """SELECT (SELECT reading FROM finance.reconciliations WHERE date = %(day)s FOR NO KEY UPDATE)
                  = %(reading)s AND count(*) = %(lines)s AS complete
           FROM finance.report_lines WHERE date = %(day)s AND reading = %(reading)s""",
        {"day": day, "reading": reading, "lines": lines},
    )
    row = await cursor.fetchone()
    return bool(row and row["complete"])
