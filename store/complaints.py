"""Complaints, sealed under the customer's own key."""

from datetime import datetime

from domain.complaints import NEXT, Status
from domain.moves import sources
from store.changes import touch
from store.database import Connection
from store.vault import Vault


async def write(
    connection: Connection,
    vault: Vault,
    *,
    complaint_id: str,
    user_id: str,
    subject: str,
    text: str,
    about: str | None,
    due_at: datetime,
    now: datetime,
) -> None:
    ring = await vault.person(connection, user_id)
    context = f"complaint:{complaint_id}"
    await connection.execute(
        """INSERT INTO user_management.complaints
               (complaint_id, user_id, subject, text, about, made_at, due_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (
            complaint_id,
            user_id,
            ring.seal(subject.encode(), context),
            ring.seal(text.encode(), context),
            about,
            now,
            due_at,
        ),
    )


async def move(connection: Connection, complaint_id: str, status: Status, note_id: str | None) -> None:
    """Brings a complaint to `status`; a repeat, or a step back from resolved, changes nothing."""
    cursor = await connection.execute(
        """UPDATE user_management.complaints SET status = %(status)s,
               note_id = coalesce(%(note)s, note_id), version = version + 1
           WHERE complaint_id = %(id)s AND status = ANY(%(before)s) RETURNING complaint_id""",
        {"status": status, "before": sources(NEXT, status), "note": note_id, "id": complaint_id},
    )
    if await cursor.fetchone() is not None:
        await touch(connection, complaint_id)
