"""Attempts to send an order: every step a compare-and-set, pace counted in the same statement.

A sender holds an advisory lock under its tag from before `sending` until it has come back. The lock ends
with its database session: a lock that is free, on the same start of the server, means that the sender's
process is gone or done; a paused one still holds it.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from domain.trading import AttemptStatus
from store.database import Connection

LEG = 1
PER_MINUTE = 400
PER_DAY = 5_000
"""Kite's order limits an account (kite.trade/docs/connect/v3/exceptions, API rate limit)."""

BEGIN = """
WITH counted AS (
    INSERT INTO trading.pace AS p (account_id, kind, starts_at, used)
    VALUES (%(account)s, 'minute', date_trunc('minute', %(now)s::timestamptz), 1),
           (%(account)s, 'day', date_trunc('day', %(now)s::timestamptz, 'Asia/Kolkata'), 1)
    ON CONFLICT (account_id, kind) DO UPDATE SET
        used = CASE WHEN p.starts_at < excluded.starts_at THEN 1 ELSE p.used + 1 END,
        starts_at = greatest(p.starts_at, excluded.starts_at)
    RETURNING kind, used
), begun AS (
    UPDATE trading.order_attempts a SET status = 'sending', sending_at = clock_timestamp(),
        sent_on = %(day)s, server_started_at = pg_postmaster_start_time(), looks = 0
    WHERE a.order_id = %(order)s AND a.leg = 1 AND a.attempt = %(attempt)s AND a.status = 'queued'
      AND NOT EXISTS (SELECT 1 FROM counted WHERE used > CASE kind WHEN 'minute' THEN %(per_minute)s
                                                            ELSE %(per_day)s END)
      AND EXISTS (SELECT 1 FROM trading.accounts c
                  WHERE c.account_id = %(account)s AND c.status = 'connected'
                    AND (c.blocked_by IS NULL OR c.blocked_by = %(flattens)s))
    RETURNING pg_try_advisory_lock(hashtextextended(a.tag, 0)) AS locked
)
SELECT (SELECT locked FROM begun) AS locked,
       (SELECT status FROM trading.order_attempts
        WHERE order_id = %(order)s AND leg = 1 AND attempt = %(attempt)s) AS status_before,
       (SELECT used > %(per_minute)s FROM counted WHERE kind = 'minute') AS minute_spent,
       (SELECT used > %(per_day)s FROM counted WHERE kind = 'day') AS day_spent,
       (SELECT blocked_by IS NOT NULL AND blocked_by IS DISTINCT FROM %(flattens)s
        FROM trading.accounts WHERE account_id = %(account)s) AS blocked
"""


@dataclass(frozen=True)
class Begun:
    """`began`: the attempt is ours to send now. Else why not."""

    began: bool
    minute_spent: bool
    day_spent: bool
    blocked: bool
    status_before: AttemptStatus | None


@dataclass(frozen=True)
class Attempt:
    """An attempt as the search for a lost answer needs it."""

    tag: str
    status: AttemptStatus
    broker_order_id: str | None
    reason_code: str | None
    age: timedelta
    sent_on: date | None
    looks: int
    sender_gone: bool


async def queue(connection: Connection, order_id: str, attempt: int, tag: str) -> None:
    """Makes the row of an attempt. The unique index refuses it while an earlier one may be alive."""
    await connection.execute(
        """INSERT INTO trading.order_attempts (order_id, leg, attempt, tag, status)
           VALUES (%s, 1, %s, %s, 'queued') ON CONFLICT (order_id, leg, attempt) DO NOTHING""",
        (order_id, attempt, tag),
    )


async def begin(
    connection: Connection,
    order_id: str,
    account_id: str,
    attempt: int,
    *,
    flattens: str | None,
    day: date,
    now: datetime,
) -> Begun:
    """From queued to sending, if the minute and the day of the broker's clock have room and the account
    is not blocked (but by the kill switch that this order serves). The connection then holds the
    sender's lock until `unlock` or its own end."""
    cursor = await connection.execute(
        BEGIN,
        {
            "order": order_id,
            "account": account_id,
            "attempt": attempt,
            "flattens": flattens,
            "day": day,
            "now": now,
            "per_minute": PER_MINUTE,
            "per_day": PER_DAY,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("a SELECT without FROM gave no row")
    before = AttemptStatus(row["status_before"]) if row["status_before"] else None
    spent = bool(row["minute_spent"]), bool(row["day_spent"])
    return Begun(row["locked"] is not None, *spent, bool(row["blocked"]), before)


async def unlock(connection: Connection, tag: str) -> None:
    """The sender has come back: nothing more leaves under this attempt."""
    await connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (tag,))


async def move(
    connection: Connection,
    order_id: str,
    attempt: int,
    *,
    was: tuple[AttemptStatus, ...],
    to: AttemptStatus,
    broker_order_id: str | None = None,
    reason_code: str | None = None,
) -> bool:
    """Compare-and-set; False where the attempt is in none of the states `was`."""
    cursor = await connection.execute(
        """UPDATE trading.order_attempts SET status = %(to)s,
               broker_order_id = coalesce(%(broker)s, broker_order_id),
               reason_code = coalesce(%(reason)s, reason_code)
           WHERE order_id = %(order)s AND leg = 1 AND attempt = %(attempt)s AND status = ANY(%(was)s)
           RETURNING order_id""",
        {
            "to": to,
            "broker": broker_order_id,
            "reason": reason_code,
            "order": order_id,
            "attempt": attempt,
            "was": [str(status) for status in was],
        },
    )
    return await cursor.fetchone() is not None


async def read(connection: Connection, order_id: str, attempt: int) -> Attempt | None:
    """The attempt, and whether its sender is gone (its lock is free on the same start of the server)."""
    cursor = await connection.execute(
        """SELECT tag, status, broker_order_id, reason_code, sent_on, looks,
                  coalesce(clock_timestamp() - sending_at, interval '0') AS age,
                  status <> 'sending' OR (server_started_at = pg_postmaster_start_time()
                      AND pg_try_advisory_xact_lock(hashtextextended(tag, 0))) AS sender_gone
           FROM trading.order_attempts WHERE order_id = %s AND leg = 1 AND attempt = %s""",
        (order_id, attempt),
    )
    row = await cursor.fetchone()
    return Attempt(**{**row, "status": AttemptStatus(row["status"])}) if row else None


async def looked(connection: Connection, order_id: str, attempt: int) -> int:
    """Counts a reading of the book that held no such order; how many there were."""
    cursor = await connection.execute(
        """UPDATE trading.order_attempts SET looks = looks + 1
           WHERE order_id = %s AND leg = 1 AND attempt = %s RETURNING looks""",
        (order_id, attempt),
    )
    row = await cursor.fetchone()
    return row["looks"] if row else 0
