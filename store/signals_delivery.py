"""Who was shown which signal, where a plan allows only so many a day; and what customers decided."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from domain.signals import allowance_day
from store.database import Connection
from store.entitlements import PLAN_HOLDS

CHUNK = 500
"""People served in one transaction: each holds a lock of its own until the end."""

GRANT = """
WITH wanted AS (
    SELECT user_id FROM unnest(%(users)s::text[]) AS user_id
), spent AS (
    SELECT user_id, count(*) AS used FROM signals.deliveries
    WHERE user_id = ANY(%(users)s) AND delivered_on = %(day)s GROUP BY user_id
), added AS (
    INSERT INTO signals.deliveries (user_id, signal_id, delivered_on, delivered_at)
    SELECT wanted.user_id, %(signal)s, %(day)s, %(now)s FROM wanted LEFT JOIN spent USING (user_id)
    WHERE coalesce(spent.used, 0) < %(limit)s
    ON CONFLICT (user_id, signal_id) DO NOTHING RETURNING user_id
)
SELECT wanted.user_id,
       coalesce(spent.used, 0) + (added.user_id IS NOT NULL)::int AS used,
       added.user_id IS NOT NULL
         OR EXISTS (SELECT FROM signals.deliveries d
                    WHERE d.user_id = wanted.user_id AND d.signal_id = %(signal)s) AS shown
FROM wanted LEFT JOIN spent USING (user_id) LEFT JOIN added USING (user_id)
"""


async def grant(
    connection: Connection, users: Sequence[str], signal_id: str, a_day: int, now: datetime
) -> dict[str, tuple[bool, int]]:
    """Spends one of each person's `a_day` on this signal, unless it was spent on it before.

    Gives (whether it may be shown, how many of the day are used) a person. Call in a transaction: two
    processes that serve one person take turns.
    """
    ordered = sorted(set(users))
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('allowance:' || u, 0)) FROM unnest(%s::text[]) AS u",
        (ordered,),
    )
    values = {"users": ordered, "signal": signal_id, "day": allowance_day(now), "now": now, "limit": a_day}
    cursor = await connection.execute(GRANT, values)
    return {row["user_id"]: (row["shown"], row["used"]) for row in await cursor.fetchall()}


async def shown_to(connection: Connection, users: Sequence[str], signal_id: str) -> set[str]:
    """Those of `users` to whom the signal was delivered."""
    cursor = await connection.execute(
        "SELECT user_id FROM signals.deliveries WHERE signal_id = %s AND user_id = ANY(%s)",
        (signal_id, list(users)),
    )
    return {row["user_id"] for row in await cursor.fetchall()}


async def used(connection: Connection, user_id: str, day: date) -> int:
    cursor = await connection.execute(
        "SELECT count(*) AS used FROM signals.deliveries WHERE user_id = %s AND delivered_on = %s",
        (user_id, day),
    )
    row = await cursor.fetchone()
    return row["used"] if row else 0


async def standing_of(connection: Connection, sessions: Sequence[str], now: datetime) -> dict[str, str]:
    """Tier by session, of those sessions that still hold: one read for all who listen. Staff have no
    allowance: they count as enterprise."""
    cursor = await connection.execute(
        f"""SELECT s.session_id,
                  CASE WHEN EXISTS (
                           SELECT FROM user_management.user_roles r
                           WHERE r.user_id = s.user_id AND r.ended_at IS NULL
                             AND (r.expires_at IS NULL OR r.expires_at > %(now)s))
                       THEN 'enterprise' ELSE coalesce(e.plan_tier, 'free') END AS tier
           FROM user_management.sessions s JOIN user_management.users u USING (user_id)
           LEFT JOIN LATERAL (
               SELECT plan_tier FROM finance.entitlements e WHERE e.user_id = s.user_id AND {PLAN_HOLDS}
               ORDER BY plan_tier = 'enterprise' DESC, plan_tier = 'premium' DESC LIMIT 1) e ON true
           WHERE s.session_id = ANY(%(sessions)s) AND s.ended_at IS NULL AND s.expires_at > %(now)s
             AND u.deleted_at IS NULL""",  # noqa: S608
        {"sessions": list(sessions), "now": now},
    )
    return {row["session_id"]: row["tier"] for row in await cursor.fetchall()}


async def decline(
    connection: Connection, decision_id: str, signal_id: str, user_id: str, account_id: str, now: datetime
) -> str:
    """Records a no, once a signal and account; the id of the one that stands."""
    cursor = await connection.execute(
        """INSERT INTO signals.decisions AS d
               (decision_id, signal_id, user_id, account_id, decision, made_at)
           VALUES (%s, %s, %s, %s, 'decline', %s)
           ON CONFLICT (signal_id, user_id, account_id) WHERE decision = 'decline'
               DO UPDATE SET decision = d.decision
           RETURNING decision_id""",
        (decision_id, signal_id, user_id, account_id, now),
    )
    row = await cursor.fetchone()
    return row["decision_id"] if row else decision_id


async def confirm(
    connection: Connection,
    decision_id: str,
    *,
    signal_id: str,
    user_id: str,
    account_id: str,
    order_id: str,
    quantity: int,
    now: datetime,
) -> None:
    """Records the customer's own yes, in the transaction of the promise to order."""
    await connection.execute(
        """INSERT INTO signals.decisions
               (decision_id, signal_id, user_id, account_id, decision, order_id, quantity, made_at)
           VALUES (%s, %s, %s, %s, 'confirm', %s, %s, %s) ON CONFLICT (order_id) DO NOTHING""",
        (decision_id, signal_id, user_id, account_id, order_id, quantity, now),
    )


async def orders_over(connection: Connection, signal_id: str, account_id: str) -> int:
    """Orders for this signal and account that ended without a fill: after each, another may be tried."""
    cursor = await connection.execute(
        """SELECT count(*) AS over FROM trading.orders
           WHERE signal_id = %s AND account_id = %s AND filled_quantity = 0
             AND status IN ('risk_rejected', 'rejected', 'cancelled', 'expired')""",
        (signal_id, account_id),
    )
    row: dict[str, Any] | None = await cursor.fetchone()
    return row["over"] if row else 0
