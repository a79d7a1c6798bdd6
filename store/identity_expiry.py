"""Drops what sign-in no longer needs: none of it is evidence, all of it is about people."""

from datetime import datetime, timedelta

from domain.identity import FAILURES_FORGOTTEN, SESSION_LIFETIME
from store.database import Connection

KEPT = timedelta(days=30)
"""How long an ended session is still shown to support."""

KEYS_KEPT = timedelta(hours=24)


async def drop_expired(connection: Connection, now: datetime) -> None:
    """Worn-out codes, forgotten failures, and refresh tokens and sessions long past their end."""
    values = {
        "now": now,
        "failures": now - FAILURES_FORGOTTEN,
        "tokens": now - SESSION_LIFETIME,
        "sessions": now - KEPT,
        "keys": now - KEYS_KEPT,
    }
    for statement in (
        "DELETE FROM user_management.codes WHERE expires_at < %(now)s",
        "DELETE FROM user_management.sign_in_failures WHERE failed_at < %(failures)s",
        "DELETE FROM user_management.refresh_tokens WHERE expires_at < %(tokens)s",
        """DELETE FROM user_management.refresh_tokens t USING user_management.sessions s
           WHERE s.session_id = t.session_id AND coalesce(s.ended_at, s.expires_at) < %(sessions)s""",
        """DELETE FROM user_management.sessions s WHERE coalesce(ended_at, expires_at) < %(sessions)s
             AND NOT EXISTS (SELECT 1 FROM user_management.refresh_tokens t
                             WHERE t.session_id = s.session_id)""",
        "DELETE FROM platform.idempotency_keys WHERE made_at < %(keys)s",
    ):
        await connection.execute(statement, values)
