"""Refunds: asked for, approved, sent, paid; what is promised back never exceeds what was captured."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.errors import CheckViolation

from domain.moves import begun
from domain.payments import REFUND_FIRST, REFUND_NEXT, RefundStatus
from store.changes import touch
from store.database import Connection
from store.outbox import emit
from store.payments import TOPIC


@dataclass(frozen=True)
class NewRefund:
    """A refund about to be opened; `amount` in paise, `approvals_due` people have yet to agree."""

    refund_id: str
    payment_id: str
    user_id: str
    amount: int
    currency: str
    speed: str
    status: RefundStatus
    requested_by: str
    authority: str
    approvals_due: int
    note_id: str | None
    reason_code: str


@dataclass(frozen=True)
class Step:
    """What brought a refund to a state, who, and why where it has a code or that person wrote a note."""

    source: str
    actor: str | None = None
    code: str | None = None
    note_id: str | None = None


async def open_refund(connection: Connection, new: NewRefund, now: datetime) -> bool:
    """Inserts the refund and reserves its amount; True also for a repeat, False where the payment has not
    that much left (a constraint on the payment's row says so)."""
    if await find(connection, new.refund_id) is not None:
        return True
    try:
        async with connection.transaction():
            await connection.execute(
                """INSERT INTO finance.refunds (refund_id, payment_id, user_id, amount, currency, speed,
                       status, requested_by, authority, approvals_due, note_id, reason_code, created_at,
                       updated_at)
                   VALUES (%(refund_id)s, %(payment_id)s, %(user_id)s, %(amount)s, %(currency)s, %(speed)s,
                       %(status)s, %(requested_by)s, %(authority)s, %(approvals_due)s, %(note_id)s,
                       %(reason_code)s, %(now)s, %(now)s)""",
                {**vars(new), "status": begun(REFUND_FIRST, new.status), "now": now},
            )
    except CheckViolation:
        return False
    step = Step(new.authority, new.requested_by, note_id=new.note_id)
    await _tell(connection, new.refund_id, new.payment_id, new.status, now, step)
    return True


async def find(connection: Connection, refund_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    """The row. `lock` takes the payment's row first, then the refund's, and keeps them until the end."""
    if lock:
        await connection.execute(
            """SELECT FROM finance.payments WHERE payment_id =
                   (SELECT payment_id FROM finance.refunds WHERE refund_id = %s) FOR UPDATE""",
            (refund_id,),
        )
    cursor = await connection.execute(
        f"SELECT * FROM finance.refunds WHERE refund_id = %s{' FOR UPDATE' if lock else ''}",  # noqa: S608
        (refund_id,),
    )
    return await cursor.fetchone()


async def asked_before(connection: Connection, payment_id: str) -> int:
    """Paise of the payment that people have asked back and nobody rejected: what a process owes is set by
    law, and counts for no one."""
    cursor = await connection.execute(
        """SELECT coalesce(sum(amount), 0)::bigint AS asked FROM finance.refunds
           WHERE payment_id = %s AND authority <> 'system' AND status NOT IN ('rejected', 'failed')""",
        (payment_id,),
    )
    row = await cursor.fetchone()
    return int(row["asked"]) if row else 0


async def advance(
    connection: Connection,
    row: dict[str, Any],
    status: RefundStatus,
    now: datetime,
    *,
    source: str,
    approver: str | None = None,
    note_id: str | None = None,
    gateway_refund_id: str | None = None,
    arn: str | None = None,
    utr: str | None = None,
    failure_code: str | None = None,
) -> dict[str, Any]:
    """Moves a locked refund to `status` if that may follow; an approver is counted once. Gives the row.

    What was paid by bank transfer stays paid, and nothing but a transfer pays what is owed by one.
    `returned_at` marks a processed refund that is owed again.
    """
    before = RefundStatus(row["status"])
    moves = status in REFUND_NEXT[before] and not (before is RefundStatus.PROCESSED and row["utr"])
    by_bank = before is RefundStatus.MANUAL_PAYOUT and status is RefundStatus.PROCESSED
    moves = moves and not (by_bank and not utr)
    counts = approver is not None and approver not in row["approvers"]
    if not moves and not counts:
        return row
    cursor = await connection.execute(
        """UPDATE finance.refunds SET status = %(status)s, updated_at = %(now)s, version = version + 1,
               approvers = approvers || %(approvers)s::text[],
               gateway_refund_id = coalesce(%(gateway)s, gateway_refund_id), utr = coalesce(%(utr)s, utr),
               arn = coalesce(%(arn)s, arn), failure_code = coalesce(%(failure)s, failure_code),
               returned_at = CASE WHEN %(returned)s THEN %(now)s ELSE returned_at END
           WHERE refund_id = %(id)s RETURNING *""",
        {
            "status": status if moves else before,
            "now": now,
            "approvers": [approver] if counts else [],
            "gateway": gateway_refund_id,
            "utr": utr,
            "arn": arn,
            "returned": moves and before is RefundStatus.PROCESSED,
            "failure": failure_code,
            "id": row["refund_id"],
        },
    )
    after = await cursor.fetchone()
    step = Step(source, approver, failure_code, note_id)
    await _tell(connection, row["refund_id"], row["payment_id"], status if moves else before, now, step)
    return after or row


async def _tell(
    connection: Connection, refund_id: str, payment_id: str, status: RefundStatus, now: datetime, step: Step
) -> None:
    await connection.execute(
        """INSERT INTO finance.refund_timeline (refund_id, status, at, source, actor, code, note_id)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (refund_id, status, now, step.source, step.actor, step.code, step.note_id),
    )
    body = {"refund_id": refund_id, "payment_id": payment_id, "status": status.value}
    await emit(connection, TOPIC, payment_id, f"refund.{status}", body, now)
    await touch(connection, refund_id)


async def held(connection: Connection, refund_id: str) -> str | None:
    """Why the money of a refund may not leave: the code of a dispute that is not decided, or that has cost
    what was to be given back. Keeps the payment's row until the transaction ends."""
    row = await find(connection, refund_id, lock=True)
    if row is None:
        return None
    cursor = await connection.execute(
        """SELECT amount_refunding + amount_lost > amount AS lost, EXISTS (
               SELECT FROM finance.disputes d WHERE d.payment_id = p.payment_id
               AND d.status IN ('open', 'under_review')) AS disputed
           FROM finance.payments p WHERE payment_id = %s""",
        (row["payment_id"],),
    )
    found = await cursor.fetchone()
    if found is None:
        return None
    return "payment_disputed" if found["disputed"] else "dispute_lost" if found["lost"] else None


async def reduce(
    connection: Connection, row: dict[str, Any], left: int, now: datetime, step: Step
) -> dict[str, Any]:
    """Leaves `left` paise of a locked refund to be paid; gives the row."""
    cursor = await connection.execute(
        """UPDATE finance.refunds SET amount = %s, updated_at = %s, version = version + 1
           WHERE refund_id = %s RETURNING *""",
        (left, now, row["refund_id"]),
    )
    after = await cursor.fetchone()
    status = RefundStatus(row["status"])
    await _tell(connection, row["refund_id"], row["payment_id"], status, now, step)
    return after or row


async def utr_spent(connection: Connection, utr: str, refund_id: str) -> bool:
    """Whether another refund was paid by that bank transfer."""
    cursor = await connection.execute(
        "SELECT FROM finance.refunds WHERE utr = %s AND refund_id <> %s", (utr, refund_id)
    )
    return await cursor.fetchone() is not None


async def of_gateway(
    connection: Connection, gateway_refund_id: str | None, receipt: str | None
) -> dict[str, Any] | None:
    """The refund of ours that the gateway speaks of, by its id or by the receipt we sent, with its payment's
    id at the gateway."""
    cursor = await connection.execute(
        """SELECT r.*, p.gateway_payment_id FROM finance.refunds r JOIN finance.payments p USING (payment_id)
           WHERE r.gateway_refund_id = %s OR r.refund_id = %s LIMIT 1""",
        (gateway_refund_id, receipt),
    )
    return await cursor.fetchone()


async def shown(connection: Connection, refund_id: str) -> dict[str, Any] | None:
    """The row with its credit note and each step of its way, oldest first."""
    cursor = await connection.execute(
        """SELECT r.*, i.invoice_id AS credit_note_id, i.number AS credit_note_number,
               (SELECT coalesce(jsonb_agg(jsonb_build_object('status', t.status, 'at', t.at, 'source',
                    t.source, 'actor', t.actor, 'code', t.code, 'note_id', t.note_id)
                    ORDER BY t.number), '[]')
                FROM finance.refund_timeline t WHERE t.refund_id = r.refund_id) AS timeline
           FROM finance.refunds r LEFT JOIN finance.invoices i ON i.refund_id = r.refund_id
           WHERE r.refund_id = %s""",
        (refund_id,),
    )
    return await cursor.fetchone()


async def listing(
    connection: Connection,
    *,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    statuses: list[str] | None = None,
    payment_id: str | None = None,
    utr: str | None = None,
    by_bank: bool | None = None,
) -> list[dict[str, Any]]:
    """The firm's refunds, newest first; `statuses` narrows further, `by_bank` to those that finance pays."""
    cursor = await connection.execute(
        """SELECT * FROM finance.refunds
           WHERE (%(status)s::text IS NULL OR status = %(status)s)
             AND (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s))
             AND (%(payment_id)s::text IS NULL OR payment_id = %(payment_id)s)
             AND (%(utr)s::text IS NULL OR utr = %(utr)s)
             AND (%(by_bank)s::boolean IS NULL
                  OR (status = 'manual_payout' OR utr IS NOT NULL) = %(by_bank)s)
             AND (%(after)s::text IS NULL OR refund_id < %(after)s)
             AND (%(start)s::timestamptz IS NULL OR created_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR created_at < %(end)s)
           ORDER BY refund_id DESC LIMIT %(limit)s""",
        {
            "status": status,
            "statuses": statuses,
            "payment_id": payment_id,
            "utr": utr,
            "by_bank": by_bank,
            "after": after,
            "start": start,
            "end": end,
            "limit": limit,
        },
    )
    return await cursor.fetchall()
