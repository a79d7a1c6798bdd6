"""Disputes: opened once, moved by what the gateway says, ended with what they cost."""

from datetime import UTC, datetime
from typing import Any

from domain.disputes import DISPUTE_FIRST, DISPUTE_LIVE, DISPUTE_NEXT, DisputeStatus
from domain.moves import begun, moved
from models.messages.disputes import GatewayDispute
from store.changes import touch
from store.database import Connection
from store.outbox import emit
from store.payments import TOPIC
from store.places import place

LIVE = [status.value for status in DISPUTE_LIVE]
PLACE = place("opened_at", "dispute_id")


async def find(connection: Connection, dispute_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    """The row. `lock` takes the payment's row first, then the dispute's, and keeps them until the end."""
    if lock:
        await connection.execute(
            """SELECT FROM finance.payments WHERE payment_id =
                   (SELECT payment_id FROM finance.disputes WHERE dispute_id = %s) FOR UPDATE""",
            (dispute_id,),
        )
    cursor = await connection.execute(
        f"SELECT * FROM finance.disputes WHERE dispute_id = %s{' FOR UPDATE' if lock else ''}",  # noqa: S608
        (dispute_id,),
    )
    return await cursor.fetchone()


async def payment_of(connection: Connection, gateway_payment_id: str) -> str | None:
    """Our payment that the gateway speaks of, once it is booked as captured."""
    cursor = await connection.execute(
        """SELECT payment_id FROM finance.payments
           WHERE gateway_payment_id = %s AND captured_at IS NOT NULL""",
        (gateway_payment_id,),
    )
    row = await cursor.fetchone()
    return row["payment_id"] if row else None


async def open_dispute(
    connection: Connection,
    said: GatewayDispute,
    payment: dict[str, Any],
    approvals_due: int,
    now: datetime,
) -> bool:
    """Inserts the dispute as `open`; False for a repeat. The caller holds the payment's row."""
    cursor = await connection.execute(
        """INSERT INTO finance.disputes (dispute_id, payment_id, user_id, status, phase, reason_code, amount,
               currency, respond_by, approvals_due, opened_at, updated_at)
           VALUES (%(id)s, %(payment_id)s, %(user_id)s, %(status)s, %(phase)s, %(reason_code)s, %(amount)s,
               %(currency)s, %(respond_by)s, %(due)s, %(now)s, %(now)s)
           ON CONFLICT DO NOTHING RETURNING dispute_id""",
        {
            **said.model_dump(),
            "payment_id": payment["payment_id"],
            "user_id": payment["user_id"],
            "currency": payment["currency"],
            "status": begun(DISPUTE_FIRST, DisputeStatus.OPEN),
            "respond_by": _moment(said.respond_by),
            "due": approvals_due,
            "now": now,
        },
    )
    if await cursor.fetchone() is None:
        return False
    await _tell(connection, said.id, payment["payment_id"], DisputeStatus.OPEN, now)
    return True


async def advance(
    connection: Connection, row: dict[str, Any], said: GatewayDispute, lost: int, now: datetime
) -> dict[str, Any]:
    """Moves a locked dispute to what the gateway says, if that may follow; gives the row. `lost` in paise."""
    before = DisputeStatus(row["status"])
    if before not in DISPUTE_LIVE or said.status is before:
        return row
    cursor = await connection.execute(
        """UPDATE finance.disputes SET status = %(status)s, lost = %(lost)s, phase = %(phase)s,
               respond_by = coalesce(%(respond_by)s, respond_by), updated_at = %(now)s,
               ended_at = CASE WHEN %(live)s THEN NULL ELSE %(now)s::timestamptz END, version = version + 1
           WHERE dispute_id = %(id)s RETURNING *""",
        {
            "status": moved(DISPUTE_NEXT, before, said.status),
            "lost": lost,
            "phase": said.phase,
            "respond_by": _moment(said.respond_by),
            "live": said.status in DISPUTE_LIVE,
            "now": now,
            "id": said.id,
        },
    )
    after = await cursor.fetchone()
    await _tell(connection, said.id, row["payment_id"], said.status, now)
    return after or row


def _moment(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


async def _tell(
    connection: Connection, dispute_id: str, payment_id: str, status: DisputeStatus, now: datetime
) -> None:
    body = {"dispute_id": dispute_id, "payment_id": payment_id, "status": status.value}
    await emit(connection, TOPIC, payment_id, f"dispute.{status}", body, now)
    await touch(connection, dispute_id)


async def approve(
    connection: Connection, row: dict[str, Any], subject: str, note_id: str | None, now: datetime
) -> dict[str, Any]:
    """Counts a person's word on a locked dispute, once; gives the row."""
    if subject in row["approvers"]:
        return row
    cursor = await connection.execute(
        """UPDATE finance.disputes SET approvers = approvers || %(who)s::text, updated_at = %(now)s,
               note_ids = note_ids || %(notes)s::text[], version = version + 1
           WHERE dispute_id = %(id)s RETURNING *""",
        {"who": subject, "notes": [note_id] if note_id else [], "now": now, "id": row["dispute_id"]},
    )
    await touch(connection, row["dispute_id"])
    return await cursor.fetchone() or row


async def known(connection: Connection, dispute_ids: list[str]) -> set[str]:
    """Which of these are on record."""
    cursor = await connection.execute(
        "SELECT dispute_id FROM finance.disputes WHERE dispute_id = ANY(%s)", (dispute_ids,)
    )
    return {row["dispute_id"] for row in await cursor.fetchall()}


async def live_of(connection: Connection, payment_id: str) -> str | None:
    """A dispute of the payment that is not decided."""
    cursor = await connection.execute(
        "SELECT dispute_id FROM finance.disputes WHERE payment_id = %s AND status = ANY(%s) LIMIT 1",
        (payment_id, LIVE),
    )
    row = await cursor.fetchone()
    return row["dispute_id"] if row else None


async def waiting_refunds(connection: Connection, payment_id: str) -> list[str]:
    """Refunds of the payment whose money has not reached the customer."""
    cursor = await connection.execute(
        """SELECT refund_id FROM finance.refunds
           WHERE payment_id = %s AND status IN ('requested', 'approved', 'pending', 'manual_payout')
           ORDER BY refund_id""",
        (payment_id,),
    )
    return [row["refund_id"] for row in await cursor.fetchall()]


async def listing(
    connection: Connection,
    *,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """The firm's disputes, newest first; `after` is the `place` of the last one shown."""
    cursor = await connection.execute(
        f"""SELECT *, {PLACE} AS place
           FROM finance.disputes
           WHERE (%(status)s::text IS NULL OR status = %(status)s)
             AND (%(start)s::timestamptz IS NULL OR opened_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR opened_at < %(end)s)
             AND (%(after)s::text IS NULL OR {PLACE} < %(after)s)
           ORDER BY opened_at DESC, dispute_id DESC LIMIT %(limit)s""",  # noqa: S608
        {"status": status, "after": after, "start": start, "end": end, "limit": limit},
    )
    return await cursor.fetchall()
