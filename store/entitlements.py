"""What a person's purchases entitle them to, as the rest of the platform asks it.

Plans write their rows with their own state (`store/subscriptions.py`); courses entitle by enrollment.
"""

from datetime import datetime
from typing import Literal

from store.database import Connection

Tier = Literal["free", "premium", "enterprise"]


async def tier_of(connection: Connection, user_id: str, as_of: datetime) -> Tier:
    """The best plan tier that holds at `as_of`; "free" without one."""
    cursor = await connection.execute(
        """SELECT plan_tier FROM finance.entitlements
           WHERE user_id = %(user)s AND plan_tier IS NOT NULL AND starts_at <= %(now)s
             AND (ends_at IS NULL OR ends_at > %(now)s) AND (revoked_at IS NULL OR revoked_at > %(now)s)
           ORDER BY plan_tier = 'enterprise' DESC, plan_tier = 'premium' DESC LIMIT 1""",
        {"user": user_id, "now": as_of},
    )
    row = await cursor.fetchone()
    return row["plan_tier"] if row else "free"
