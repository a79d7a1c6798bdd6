"""Roles of staff: granted and ended by an administrator, kept with who did it and when."""

from datetime import datetime
from typing import Any

from store import audit
from store.database import Connection
from store.outbox import emit

COLUMNS = "user_id, role, granted_by, granted_at, expires_at, ended_by, ended_at"


async def grant(
    connection: Connection,
    user_id: str,
    role: str,
    granted_by: str,
    expires_at: datetime | None,
    now: datetime,
) -> dict[str, Any] | None:
    """Grants a role; one that is held gets the new expiry. None for an unknown person."""
    cursor = await connection.execute(
        f"""INSERT INTO user_management.user_roles AS r (user_id, role, granted_by, granted_at, expires_at)
           SELECT user_id, %(role)s, %(by)s, %(now)s, %(end)s FROM user_management.users
           WHERE user_id = %(user)s AND deleted_at IS NULL
           ON CONFLICT (user_id, role) WHERE ended_at IS NULL DO UPDATE SET expires_at = excluded.expires_at
           RETURNING {COLUMNS}""",  # noqa: S608
        {"user": user_id, "role": role, "by": granted_by, "end": expires_at, "now": now},
    )
    row = await cursor.fetchone()
    if row is not None:
        await emit(
            connection, "user-events", user_id, "user.role_granted", {"role": role, "by": granted_by}, now
        )
        until = {"expires_at": expires_at.isoformat()} if expires_at else {}
        await audit.write(
            connection,
            actor=granted_by,
            action="role.granted",
            subjects=[user_id],
            detail={"role": role, **until},
            now=now,
        )
    return row


async def end(connection: Connection, user_id: str, role: str, ended_by: str, now: datetime) -> bool:
    """Ends a role; False where it is not held."""
    cursor = await connection.execute(
        """UPDATE user_management.user_roles SET ended_by = %s, ended_at = %s
           WHERE user_id = %s AND role = %s AND ended_at IS NULL RETURNING role""",
        (ended_by, now, user_id, role),
    )
    if await cursor.fetchone() is None:
        return False
    await emit(connection, "user-events", user_id, "user.role_ended", {"role": role, "by": ended_by}, now)
    await audit.write(
        connection, actor=ended_by, action="role.ended", subjects=[user_id], detail={"role": role}, now=now
    )
    return True


async def held(connection: Connection, now: datetime, after: str | None, limit: int) -> list[dict[str, Any]]:
    """Roles that are held, newest first, granted before `after`."""
    cursor = await connection.execute(
        f"""SELECT {COLUMNS} FROM user_management.user_roles
           WHERE ended_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s)
             AND (%(after)s::text IS NULL OR (user_id || ' ' || role) < %(after)s)
           ORDER BY user_id || ' ' || role DESC LIMIT %(limit)s""",  # noqa: S608
        {"now": now, "after": after, "limit": limit},
    )
    return await cursor.fetchall()
