"""Attempts to send an order: every step a compare-and-set, pace counted in the same statement.

A sender holds an advisory lock under its tag from before `sending` until it has come back. The lock ends
with its database session: a lock that is free, on the same start of the server, means that the sender's
process is gone or done; a paused one still holds it.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from domain.trading import AttemptStatus, tag_of
from store.database import Connection

Key = tuple[str, int, int]
"""Order, leg, attempt."""

PER_SECOND = 10
PER_MINUTE = 400
PER_DAY = 5_000
"""Kite's order limits an account (kite.trade/docs/connect/v3/exceptions, API rate limit)."""
SECOND = timedelta(milliseconds=1100)
MINUTE = timedelta(seconds=61)
"""Windows that slide hold every calendar second and minute of the broker's clock, however the clocks stand
to one another; the surplus is what two calls' ways to the broker may differ by."""

BEGIN = """
WITH paced AS (
    INSERT INTO trading.pace AS p (account_id, kind, starts_at, used, recent)
    VALUES (%(account)s, 'day', date_trunc('day', %(now)s::timestamptz, 'Asia/Kolkata'), 1,
            ARRAY[clock_timestamp()])
    ON CONFLICT (account_id, kind) DO UPDATE SET (recent, verdict, used, starts_at) = (
        SELECT CASE word WHEN 'granted' THEN kept || clock_timestamp() ELSE kept END, word,
               today + (word = 'granted')::integer, greatest(p.starts_at, excluded.starts_at)
        FROM (SELECT ARRAY(SELECT at FROM unnest(p.recent) AS at
                           WHERE at > clock_timestamp() - %(minute)s::interval) AS kept,
                     CASE WHEN p.starts_at < excluded.starts_at THEN 0 ELSE p.used END AS today) AS before,
             LATERAL (SELECT CASE WHEN today >= %(per_day)s THEN 'day'
                                  WHEN cardinality(kept) >= %(per_minute)s THEN 'minute'
                                  WHEN (SELECT count(*) FROM unnest(kept) AS at
                                        WHERE at > clock_timestamp() - %(second)s::interval)
                                       >= %(per_second)s THEN 'second'
                                  ELSE 'granted' END AS word) AS judged)
    RETURNING verdict, extract(epoch FROM recent[1] + %(minute)s::interval - clock_timestamp())::float8
        AS minute_left
), begun AS (
    UPDATE trading.order_attempts a SET status = 'sending', sending_at = clock_timestamp(),
        sent_on = %(day)s, server_started_at = pg_postmaster_start_time(), looks = 0
    WHERE a.order_id = %(order)s AND a.leg = %(leg)s AND a.attempt = %(attempt)s AND a.status = 'queued'
      AND (SELECT verdict FROM paced) = 'granted'
      AND EXISTS (SELECT 1 FROM trading.accounts c
                  WHERE c.account_id = %(account)s AND c.status = 'connected'
                    AND (c.blocked_by IS NULL OR c.blocked_by = %(flattens)s))
    RETURNING pg_try_advisory_lock(hashtextextended(a.tag, 0)) AS locked
)
SELECT (SELECT locked FROM begun) AS locked,
       (SELECT status FROM trading.order_attempts
        WHERE order_id = %(order)s AND leg = %(leg)s AND attempt = %(attempt)s) AS status_before,
       verdict, minute_left,
       (SELECT blocked_by IS NOT NULL AND blocked_by IS DISTINCT FROM %(flattens)s
        FROM trading.accounts WHERE account_id = %(account)s) AS blocked
FROM paced
"""


class Pace(StrEnum):
    """What the account's gate says of a call."""

    GRANTED = "granted"
    SECOND = "second"
    MINUTE = "minute"
    DAY = "day"
    """So much was called already in the second, the minute, the day."""


@dataclass(frozen=True)
class Begun:
    """`began`: the attempt is ours to send now. Else why not; `minute_left` seconds until the minute that
    slides has room again."""

    began: bool
    pace: Pace
    minute_left: float
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
    locked: bool
    """Whether its sender holds its lock: it may yet send, however long it was silent."""
    followed: bool
    """Whether the next attempt of the slice has been made."""


async def queue(connection: Connection, key: Key) -> None:
    """Makes the row of an attempt. The unique index refuses it while an earlier one may be alive."""
    await connection.execute(
        """INSERT INTO trading.order_attempts (order_id, leg, attempt, tag, status)
           VALUES (%s, %s, %s, %s, 'queued') ON CONFLICT (order_id, leg, attempt) DO NOTHING""",
        (*key, tag_of(*key)),
    )


async def begin(
    connection: Connection,
    key: Key,
    account_id: str,
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
            **_named(key),
            "account": account_id,
            "flattens": flattens,
            "day": day,
            "now": now,
            "second": SECOND,
            "minute": MINUTE,
            "per_second": PER_SECOND,
            "per_minute": PER_MINUTE,
            "per_day": PER_DAY,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("a SELECT without FROM gave no row")
    before = AttemptStatus(row["status_before"]) if row["status_before"] else None
    pace, left = Pace(row["verdict"]), row["minute_left"] or 0.0
    if row["locked"] is False:
        # A sender of before holds the lock yet, for a moment: whoever sent without it could not be told from
        # one that is gone.
        await move(connection, key, was=(AttemptStatus.SENDING,), to=AttemptStatus.QUEUED)
        return Begun(False, Pace.SECOND, left, bool(row["blocked"]), before)
    return Begun(row["locked"] is not None, pace, left, bool(row["blocked"]), before)


async def unlock(connection: Connection, tag: str) -> None:
    """The sender has come back: nothing more leaves under this attempt."""
    await connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (tag,))


async def move(
    connection: Connection,
    key: Key,
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
           WHERE order_id = %(order)s AND leg = %(leg)s AND attempt = %(attempt)s
             AND status = ANY(%(was)s)
           RETURNING order_id""",
        {
            "to": to,
            "broker": broker_order_id,
            "reason": reason_code,
            **_named(key),
            "was": [str(status) for status in was],
        },
    )
    return await cursor.fetchone() is not None


async def read(connection: Connection, key: Key) -> Attempt | None:
    """The attempt, and whether its sender is gone (its lock is free on the same start of the server)."""
    cursor = await connection.execute(
        """SELECT tag, status, broker_order_id, reason_code, sent_on, looks,
                  coalesce(clock_timestamp() - sending_at, interval '0') AS age,
                  status <> 'sending' OR (server_started_at = pg_postmaster_start_time() AND free)
                      AS sender_gone,
                  NOT free AS locked,
                  EXISTS (SELECT 1 FROM trading.order_attempts n WHERE n.order_id = a.order_id
                          AND n.leg = a.leg AND n.attempt = a.attempt + 1) AS followed
           FROM trading.order_attempts a
           CROSS JOIN LATERAL (SELECT CASE WHEN a.status = 'sending'
               THEN pg_try_advisory_xact_lock(hashtextextended(a.tag, 0)) ELSE true END AS free OFFSET 0) l
           WHERE order_id = %s AND leg = %s AND attempt = %s""",
        key,
    )
    row = await cursor.fetchone()
    return Attempt(**{**row, "status": AttemptStatus(row["status"])}) if row else None


async def looked(connection: Connection, key: Key) -> int:
    """Counts a reading of the book that held no such order; how many there were."""
    cursor = await connection.execute(
        """UPDATE trading.order_attempts SET looks = looks + 1
           WHERE order_id = %s AND leg = %s AND attempt = %s RETURNING looks""",
        key,
    )
    row = await cursor.fetchone()
    return row["looks"] if row else 0


def _named(key: Key) -> dict[str, object]:
    order_id, leg, attempt = key
    return {"order": order_id, "leg": leg, "attempt": attempt}
