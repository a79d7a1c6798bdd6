"""What was sold and is earned over time: planned, cut short, given back; recognised by runs.

No row of a payment changes when a day is recognised: what a run posted of it follows from its segments and
from the days of the runs, so a day costs one entry and one row however many payments it is about.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from domain.ledger import Account
from domain.recognition import ACCOUNTS, Change, Kind, Segment, progressed, refunded, stopped
from store.database import Connection

LOCK = "SELECT pg_advisory_xact_lock{}(hashtextextended('finance.revenue', 0))"

SEGMENTS = """
SELECT s.number, s.amount, s.starts_on, s.ends_on, s.cut_on, s.kept,
       (SELECT max(r.day) FROM finance.revenue_runs r WHERE r.number > s.since_run) AS posted_through
FROM finance.revenue_segments s WHERE s.payment_id = %s ORDER BY s.number
"""

ADD = """
INSERT INTO finance.revenue_segments (payment_id, number, kind, amount, starts_on, ends_on, since_run)
SELECT payment_id, %(number)s, kind, %(amount)s, %(starts_on)s, %(ends_on)s,
       coalesce((SELECT max(number) FROM finance.revenue_runs), 0)
FROM finance.revenue_plans WHERE payment_id = %(payment_id)s
"""


async def plan(
    connection: Connection,
    *,
    payment_id: str,
    kind: str,
    reference_id: str,
    net: int,
    starts_on: date,
    ends_on: date,
    now: datetime,
) -> None:
    """Lets `net` paise (the invoice's taxable value) be earned from `starts_on` to the day before `ends_on`.

    Call it in the transaction that makes the paid thing begin; a repeat changes nothing. Of equal days all
    is earned on that day. `kind`: ``subscription`` or ``course``. What was given back before is left out.

    Raises:
        ValueError: no such kind.
    """
    await _share(connection)
    cursor = await connection.execute(
        """INSERT INTO finance.revenue_plans
               (payment_id, kind, reference_id, net, starts_on, ends_on, made_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        (payment_id, Kind(kind), reference_id, net, starts_on, max(starts_on, ends_on), now),
    )
    if not cursor.rowcount:
        return
    _, credited = await net_of(connection, payment_id)
    left = max(net - credited, 0)
    await _add(connection, payment_id, Segment(1, left, starts_on, max(starts_on, ends_on)))


async def stop(connection: Connection, payment_id: str, on: date) -> None:
    """The thing that was paid for ends on a day (business day, India): what is not given back is earned.

    Before or after the credit note of what is given back; a repeat, or a payment without a plan, changes
    nothing.
    """
    found = await _held(connection, payment_id)
    if found is not None:
        await _apply(connection, payment_id, stopped(found[1], on))


async def progress(connection: Connection, reference_id: str, percent: int, on: date) -> None:
    """A course's enrollment has reached `percent`: that share is earned; a repeat changes nothing."""
    cursor = await connection.execute(
        "SELECT payment_id FROM finance.revenue_plans WHERE kind = 'course' AND reference_id = %s",
        (reference_id,),
    )
    for row in await cursor.fetchall():
        found = await _held(connection, row["payment_id"])
        if found is not None:
            await _apply(connection, row["payment_id"], progressed(found[1], percent, on))


async def give_back(connection: Connection, payment_id: str, amount: int, on: date) -> int:
    """Takes `amount` paise of a credit note's taxable value off what is still to be earned; how much of it
    was deferred. The rest of it reverses revenue.

    Once a credit note, after it is issued; the caller holds the payment's row lock.
    """
    found = await _held(connection, payment_id)
    if found is None:
        net, credited = await net_of(connection, payment_id)
        return min(amount, max(net - credited + amount, 0))
    deferred, change = refunded(found[1], amount, on)
    await _apply(connection, payment_id, change)
    return deferred


async def net_of(connection: Connection, payment_id: str) -> tuple[int, int]:
    """Taxable values, in paise, of the payment's invoice and of all its credit notes."""
    cursor = await connection.execute(
        """SELECT coalesce(sum(taxable) FILTER (WHERE kind = 'invoice'), 0)::bigint AS net,
                  coalesce(sum(taxable) FILTER (WHERE kind <> 'invoice'), 0)::bigint AS credited
           FROM finance.invoices WHERE payment_id = %s AND status = 'issued'""",
        (payment_id,),
    )
    row = await cursor.fetchone()
    return (row["net"], row["credited"]) if row else (0, 0)


async def revenue_of(connection: Connection, payment_id: str) -> Account:
    """The account to which the payment's price is earned. Raises LookupError."""
    cursor = await connection.execute(
        "SELECT purpose FROM finance.payments WHERE payment_id = %s", (payment_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(payment_id)
    return ACCOUNTS[Kind(row["purpose"])]


async def _share(connection: Connection) -> None:
    """Keeps runs out until the transaction ends; other changes go on."""
    await connection.execute(LOCK.format("_shared"))


async def _held(connection: Connection, payment_id: str) -> tuple[dict[str, Any], list[Segment]] | None:
    await _share(connection)
    cursor = await connection.execute(
        "SELECT * FROM finance.revenue_plans WHERE payment_id = %s FOR UPDATE", (payment_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    cursor = await connection.execute(SEGMENTS, (payment_id,))
    return row, [Segment(**segment) for segment in await cursor.fetchall()]


async def _apply(connection: Connection, payment_id: str, change: Change) -> None:
    await _write(connection, payment_id, change.changed)
    if change.added is not None:
        await _add(connection, payment_id, change.added)


async def _write(connection: Connection, payment_id: str, segments: Sequence[Segment]) -> None:
    for segment in segments:
        await connection.execute(
            """UPDATE finance.revenue_segments SET cut_on = %s, kept = %s
               WHERE payment_id = %s AND number = %s""",
            (segment.cut_on, segment.kept, payment_id, segment.number),
        )


async def _add(connection: Connection, payment_id: str, segment: Segment) -> None:
    await connection.execute(
        ADD,
        {
            "payment_id": payment_id,
            "number": segment.number,
            "amount": segment.amount,
            "starts_on": segment.starts_on,
            "ends_on": segment.ends_on,
        },
    )
