"""Monitoring's side of the book: what it looks at, the alerts that it raises, the scores it is given."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.gst import IST
from domain.monitoring import Facts, Finding
from store import audit, identity_risk, payments
from store.database import Connection
from store.onboarding import kyc_of
from store.outbox import emit

HISTORY = 100
"""Newest payments of a customer that make up the pattern."""
ACTOR = "monitoring"


async def facts_of(
    connection: Connection, user_id: str, payment_id: str, amount: int, now: datetime
) -> Facts:
    """Everything that a payment is held against at `now`, the payment itself left out of it."""
    standing = await kyc_of(connection, user_id, now)
    day = now.astimezone(IST).replace(hour=0, minute=0, second=0, microsecond=0)
    scores = await identity_risk.scores_of(connection, user_id, now)
    return Facts(
        amount=amount,
        on=day.date(),
        tier=standing.tier if standing is not None and standing.in_force else None,
        turnover=await payments.turnover(connection, user_id, day, day.replace(day=1), payment_id),
        in_the_hour=await _opened_since(connection, user_id, payment_id, now - timedelta(hours=1), now),
        history=await _history(connection, user_id, payment_id),
        location_risk=scores.get("location"),
        fraud_score=scores.get("fraud"),
    )


async def _opened_since(
    connection: Connection, user_id: str, besides: str, start: datetime, end: datetime
) -> int:
    cursor = await connection.execute(
        """SELECT count(*) AS opened FROM finance.payments
           WHERE user_id = %s AND payment_id <> %s AND NOT renewal
             AND created_at > %s AND created_at <= %s""",
        (user_id, besides, start, end),
    )
    row = await cursor.fetchone()
    return int(row["opened"]) if row else 0


async def _history(connection: Connection, user_id: str, besides: str) -> list[int]:
    cursor = await connection.execute(
        """SELECT amount FROM finance.payments
           WHERE user_id = %s AND payment_id <> %s AND captured_at IS NOT NULL
           ORDER BY created_at DESC LIMIT %s""",
        (user_id, besides, HISTORY),
    )
    return [row["amount"] for row in await cursor.fetchall()]


async def raise_alerts(
    connection: Connection,
    payment_id: str,
    user_id: str,
    stage: str,
    findings: Sequence[Finding],
    now: datetime,
    run: str | None = None,
) -> None:
    """Tells compliance of each flag, once a payment and flag: a row, an event and an entry in the trail.
    `run`: the payment's process, where it is not `Payment`.

    Last in its transaction, for the trail's sake. The event names the payment alone: flags are for staff.
    """
    fresh = [
        each.flag.value
        for each in findings
        if await _raised(connection, payment_id, user_id, stage, each, now)
    ]
    if not fresh:
        return
    await connection.execute(
        "UPDATE finance.payments SET flags = flags || %s WHERE payment_id = %s", (fresh, payment_id)
    )
    detail = {"flags": fresh, "stage": stage}
    await _tell(connection, payment_id, user_id, "payment.flagged", detail, now, run)


async def _raised(
    connection: Connection, payment_id: str, user_id: str, stage: str, found: Finding, now: datetime
) -> bool:
    cursor = await connection.execute(
        """INSERT INTO finance.payment_alerts
               (payment_id, user_id, flag, effect, stage, measured, allowed, raised_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (payment_id, flag) DO NOTHING RETURNING 1""",
        (payment_id, user_id, found.flag, found.effect, stage, found.measured, found.allowed, now),
    )
    return await cursor.fetchone() is not None


async def decide(
    connection: Connection, payment_id: str, decision: str, by: str, note_id: str | None, now: datetime
) -> None:
    """Records what became of a payment's alerts (`released`, `blocked`, `lapsed`) and by whom; once."""
    await connection.execute(
        """UPDATE finance.payment_alerts SET decision = %s, decided_by = %s, note_id = %s, decided_at = %s
           WHERE payment_id = %s AND decision IS NULL""",
        (decision, by, note_id, now, payment_id),
    )


async def escalate(connection: Connection, payment_id: str, now: datetime) -> None:
    """A review is overdue: said once, to all of compliance."""
    cursor = await connection.execute(
        """UPDATE finance.payment_alerts SET escalated_at = %s
           WHERE payment_id = %s AND escalated_at IS NULL AND decision IS NULL RETURNING user_id""",
        (now, payment_id),
    )
    row = await cursor.fetchone()
    if row is not None:
        await _tell(connection, payment_id, row["user_id"], "payment.review_overdue", {}, now)


async def _tell(
    connection: Connection,
    payment_id: str,
    user_id: str,
    action: str,
    detail: dict[str, Any],
    now: datetime,
    run: str | None = None,
) -> None:
    body = {"payment_id": payment_id}
    await emit(connection, payments.TOPIC, payment_id, action, body, now)
    await audit.write(
        connection,
        actor=ACTOR,
        action=action,
        subjects=[payment_id, user_id],
        run=run or f"payment:{payment_id}",
        detail=detail,
        now=now,
    )


async def alerts(
    connection: Connection,
    *,
    user_id: str | None = None,
    payment_id: str | None = None,
    undecided: bool = False,
    start: datetime | None = None,
    end: datetime | None = None,
    before: int | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """Alerts, newest first, below number `before`, each with its payment's state (None: never opened) and,
    where it is a debit that was announced, its subscription."""
    cursor = await connection.execute(
        """SELECT a.*, p.status, coalesce(p.amount, d.amount, 0) AS amount, d.subscription_id
           FROM finance.payment_alerts a
           LEFT JOIN finance.payments p USING (payment_id)
           LEFT JOIN finance.debits d USING (payment_id)
           WHERE (%(user)s::text IS NULL OR a.user_id = %(user)s)
             AND (%(payment)s::text IS NULL OR a.payment_id = %(payment)s)
             AND (NOT %(undecided)s OR (p.status = 'review' AND a.decision IS NULL))
             AND (%(start)s::timestamptz IS NULL OR a.raised_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR a.raised_at < %(end)s)
             AND (%(before)s::bigint IS NULL OR a.number < %(before)s)
           ORDER BY a.number DESC LIMIT %(limit)s""",
        {
            "user": user_id,
            "payment": payment_id,
            "undecided": undecided,
            "start": start,
            "end": end,
            "before": before,
            "limit": limit,
        },
    )
    return await cursor.fetchall()
