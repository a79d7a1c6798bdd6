"""What a person's purchases entitle them to, as the rest of the platform asks it.

Plans write their rows with their own state (`store/subscriptions.py`); courses entitle by enrollment.
"""

from datetime import datetime
from typing import Literal

from store.database import Connection

PLAN_HOLDS = """e.plan_tier IS NOT NULL AND e.starts_at <= %(now)s
    AND (e.ends_at IS NULL OR e.ends_at > %(now)s) AND (e.revoked_at IS NULL OR e.revoked_at > %(now)s)"""
"""Whether a row `e` of `finance.entitlements` is a plan that holds at `now`."""

Tier = Literal["free", "premium", "enterprise"]


async def tier_of(connection: Connection, user_id: str, as_of: datetime) -> Tier:
    """The best plan tier that holds at `as_of`; "free" without one."""
    cursor = await connection.execute(
        f"""SELECT plan_tier FROM finance.entitlements e WHERE e.user_id = %(user)s AND {PLAN_HOLDS}
            ORDER BY plan_tier = 'enterprise' DESC, plan_tier = 'premium' DESC LIMIT 1""",  # noqa: S608
        {"user": user_id, "now": as_of},
    )
    row = await cursor.fetchone()
    return row["plan_tier"] if row else "free"
