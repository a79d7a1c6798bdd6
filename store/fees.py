"""What a family pays for research services in a year, counted over its customers and their plans."""

from datetime import datetime

from domain import fee_cap
from domain.billing_calendar import ist_date
from store.database import Connection

FAMILY = """
WITH RECURSIVE kin (user_id) AS (
    SELECT %(user)s::text
    UNION
    SELECT CASE WHEN l.user_id = k.user_id THEN l.member_id ELSE l.user_id END
    FROM kin k JOIN user_management.family_links l ON k.user_id IN (l.user_id, l.member_id)
)
SELECT user_id FROM kin ORDER BY user_id
"""

PAID = """
SELECT (SELECT coalesce(sum(p.amount - p.amount_refunding), 0) FROM finance.payments p
        WHERE p.user_id = ANY(%(family)s) AND p.purpose = 'subscription' AND p.captured_at > %(since)s
          AND EXISTS (SELECT FROM finance.subscription_plans t
                      WHERE t.name = p.title AND t.research_services))
     + (SELECT coalesce(sum(t.amount), 0) FROM finance.user_subscriptions s
        JOIN finance.subscription_plans t ON t.plan_id = coalesce(s.pending_plan_id, s.plan_id)
        WHERE s.user_id = ANY(%(family)s) AND s.subscription_id <> %(besides)s AND t.research_services
          AND (s.pending_plan_id IS NOT NULL OR s.status IN ('awaiting_payment', 'trial')))
     + (SELECT coalesce(sum(d.amount), 0) FROM finance.debits d
        JOIN finance.user_subscriptions s USING (subscription_id)
        JOIN finance.subscription_plans t ON t.plan_id = coalesce(s.next_plan_id, s.plan_id)
        WHERE s.user_id = ANY(%(family)s) AND s.subscription_id <> %(besides)s AND t.research_services
          AND d.state IN ('noticed', 'sending', 'sent'))
     AS paid
"""
"""Fees taken and not given back, and those that are about to be taken. Plans are never renamed."""


async def within_cap(
    connection: Connection, user_id: str, subscription_id: str, amount: int, at: datetime
) -> bool:
    """Whether the person's family may pay `amount` paise (GST included) more for research services at `at`.

    Families are found over the links that their members declared, in both directions, and decided one
    after the other: the lock holds until the caller's transaction ends.
    """
    cursor = await connection.execute(FAMILY, {"user": user_id})
    family = [row["user_id"] for row in await cursor.fetchall()]
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('fees:' || %s, 0))", (family[0],))
    cursor = await connection.execute(
        PAID, {"family": family, "since": at - fee_cap.YEAR, "besides": subscription_id}
    )
    row = await cursor.fetchone()
    return fee_cap.within(int(row["paid"]) if row else 0, amount, ist_date(at))
