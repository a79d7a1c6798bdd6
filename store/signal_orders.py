"""Whose accounts want an order prepared when a signal is published, and who lets it leave unasked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from store.changes import touch
from store.database import Connection
from store.entitlements import PLAN_HOLDS


@dataclass(frozen=True)
class Follower:
    """`value` in paise; `held`: what the account holds of the signal's symbol for delivery."""

    account_id: str
    user_id: str
    broker: str
    mode: str
    value: int
    held: int


async def followers(
    connection: Connection, signal: dict[str, Any], after: str, limit: int, as_of: datetime
) -> list[Follower]:
    """The next accounts that want an order prepared and whose customer has a plan that shows the signal."""
    cursor = connection.cursor(row_factory=class_row(Follower))
    await cursor.execute(
        f"""SELECT a.account_id, a.user_id, a.broker, a.mode, a.signal_order_value AS value,
                  coalesce((SELECT sum(p.quantity) FROM trading.positions p
                            WHERE p.account_id = a.account_id AND p.exchange = %(exchange)s
                              AND p.symbol = %(symbol)s AND p.product = 'CNC'), 0)::bigint AS held
           FROM trading.accounts a
           WHERE a.signal_order_value > 0 AND a.status <> 'closed' AND a.blocked_by IS NULL
             AND a.account_id > %(after)s
             AND EXISTS (SELECT FROM finance.entitlements e
                         WHERE e.user_id = a.user_id AND {PLAN_HOLDS})
           ORDER BY a.account_id LIMIT %(limit)s""",  # noqa: S608
        {
            "exchange": signal["exchange"],
            "symbol": signal["symbol"],
            "after": after,
            "limit": limit,
            "now": as_of,
        },
    )
    return await cursor.fetchall()


async def set_mode(
    connection: Connection, account_id: str, mode: str, algo_provider: str | None
) -> str | None:
    """Flags the account, or takes the flag back; its customer, None where there is no such account."""
    cursor = await connection.execute(
        """UPDATE trading.accounts SET mode = %s, algo_provider = %s, version = version + 1
           WHERE account_id = %s AND status <> 'closed' RETURNING user_id""",
        (mode, algo_provider, account_id),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    await touch(connection, account_id)
    return str(row["user_id"])
