"""What a request's credential gives access to: one round trip a request."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from store.database import Connection


@dataclass(frozen=True)
class Access:
    """A living session or key, and whose it is. A key never carries roles."""

    user_id: str
    session_id: str | None
    api_key_id: str | None
    email_verified: bool
    phone_verified: bool
    roles: list[str]


async def by_session(connection: Connection, session_id: str, user_id: str, now: datetime) -> Access | None:
    """The access of an open session of that user, None where it has ended or expired."""
    cursor = connection.cursor(row_factory=class_row(Access))
    await cursor.execute(
        """SELECT u.user_id, s.session_id, NULL::text AS api_key_id,
                  u.email_verified_at IS NOT NULL AS email_verified,
                  u.phone_verified_at IS NOT NULL AS phone_verified,
                  coalesce((SELECT array_agg(r.role ORDER BY r.role) FROM user_management.user_roles r
                            WHERE r.user_id = u.user_id AND r.ended_at IS NULL
                              AND (r.expires_at IS NULL OR r.expires_at > %(now)s)), '{}') AS roles
           FROM user_management.sessions s JOIN user_management.users u USING (user_id)
           WHERE s.session_id = %(session)s AND s.user_id = %(user)s
             AND s.ended_at IS NULL AND s.expires_at > %(now)s AND u.deleted_at IS NULL""",
        {"session": session_id, "user": user_id, "now": now},
    )
    return await cursor.fetchone()


async def by_api_key(connection: Connection, key: str, now: datetime) -> Access | None:
    """The access of a living API key."""
    cursor = connection.cursor(row_factory=class_row(Access))
    await cursor.execute(
        """SELECT u.user_id, NULL::text AS session_id, k.api_key_id,
                  u.email_verified_at IS NOT NULL AS email_verified,
                  u.phone_verified_at IS NOT NULL AS phone_verified, '{}'::text[] AS roles
           FROM user_management.api_keys k JOIN user_management.users u USING (user_id)
           WHERE k.key_hash = %(hash)s AND k.ended_at IS NULL
             AND (k.expires_at IS NULL OR k.expires_at > %(now)s) AND u.deleted_at IS NULL""",
        {"hash": hashlib.sha256(key.encode()).digest(), "now": now},
    )
    return await cursor.fetchone()


async def roles_of(connection: Connection, user_id: str, now: datetime) -> list[str]:
    """The roles that a person holds at `now`, sorted."""
    cursor = await connection.execute(
        """SELECT role FROM user_management.user_roles
           WHERE user_id = %(user)s AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s)
           ORDER BY role""",
        {"user": user_id, "now": now},
    )
    return [row["role"] for row in await cursor.fetchall()]
