"""Sessions and their refresh tokens: a session is the family, a token is spent once."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.identity import SESSION_LIFETIME, Refresh, judge_refresh
from store.database import Connection
from store.vault import Vault


@dataclass(frozen=True)
class Rotation:
    """What became of a presented refresh token."""

    outcome: Refresh
    user_id: str = ""
    session_id: str = ""
    refresh_token: str = ""


async def begin(
    connection: Connection, vault: Vault, *, session_id: str, user_id: str, device: str, now: datetime
) -> str:
    """Opens a session; its first refresh token."""
    ring = await vault.person(connection, user_id)
    await connection.execute(
        """INSERT INTO user_management.sessions
               (session_id, user_id, device, fingerprint, made_at, used_at, expires_at)
           VALUES (%(session)s, %(user)s, %(device)s, %(fingerprint)s, %(now)s, %(now)s, %(end)s)""",
        {
            "session": session_id,
            "user": user_id,
            "device": ring.seal(device.encode(), f"device:{session_id}"),
            "fingerprint": vault.index("device", device),
            "now": now,
            "end": now + SESSION_LIFETIME,
        },
    )
    token, token_hash = _fresh()
    await _add(connection, token_hash, session_id, now)
    return token


async def rotate(connection: Connection, token: str, now: datetime) -> Rotation:
    """Spends a refresh token for the next one; a reused one ends its whole family.

    The session's row is locked first, so that two uses of one token follow each other.
    """
    given = _hash(token)
    cursor = await connection.execute(
        """SELECT s.session_id, s.user_id, s.ended_at, s.expires_at
           FROM user_management.refresh_tokens t JOIN user_management.sessions s USING (session_id)
           WHERE t.token_hash = %s FOR UPDATE OF s""",
        (given,),
    )
    session = await cursor.fetchone()
    if session is None or session["ended_at"] is not None:
        return Rotation(Refresh.EXPIRED)
    cursor = await connection.execute(
        """SELECT t.spent_at, t.voided_at, t.expires_at, t.successor, n.spent_at AS successor_spent_at
           FROM user_management.refresh_tokens t
           LEFT JOIN user_management.refresh_tokens n ON n.token_hash = t.successor
           WHERE t.token_hash = %s""",
        (given,),
    )
    row = await cursor.fetchone()
    if row is None:
        return Rotation(Refresh.EXPIRED)
    outcome = judge_refresh(
        spent_at=row["spent_at"],
        voided=row["voided_at"] is not None,
        expires_at=row["expires_at"],
        successor_used=row["successor_spent_at"] is not None,
        now=now,
    )
    session_id, user_id = session["session_id"], session["user_id"]
    match outcome:
        case Refresh.REUSED:
            await end(connection, session_id, "refresh_reused", now)
            return Rotation(outcome, user_id, session_id)
        case Refresh.EXPIRED:
            return Rotation(outcome)
        case Refresh.REPEAT:
            await connection.execute(
                "UPDATE user_management.refresh_tokens SET voided_at = %s WHERE token_hash = %s",
                (now, row["successor"]),
            )
    return Rotation(outcome, user_id, session_id, await _succeed(connection, given, session_id, now))


async def end(connection: Connection, session_id: str, reason: str, now: datetime) -> None:
    """Ends a session, and with it every token of its family."""
    await connection.execute(
        """UPDATE user_management.sessions SET ended_at = %s, end_reason = %s
           WHERE session_id = %s AND ended_at IS NULL""",
        (now, reason, session_id),
    )


async def end_all(
    connection: Connection, user_id: str, reason: str, now: datetime, *, but: str | None = None
) -> None:
    """Ends every session of a person, save the one that asks."""
    await connection.execute(
        """UPDATE user_management.sessions SET ended_at = %s, end_reason = %s
           WHERE user_id = %s AND ended_at IS NULL AND session_id IS DISTINCT FROM %s""",
        (now, reason, user_id, but),
    )


async def open_sessions(
    connection: Connection, vault: Vault, user_id: str, now: datetime
) -> list[dict[str, Any]]:
    """The person's open sessions, newest first: session_id, device, made_at, used_at, expires_at."""
    cursor = await connection.execute(
        """SELECT session_id, device, made_at, used_at, expires_at FROM user_management.sessions
           WHERE user_id = %s AND ended_at IS NULL AND expires_at > %s ORDER BY session_id DESC LIMIT 200""",
        (user_id, now),
    )
    rows = await cursor.fetchall()
    ring = await vault.person(connection, user_id)
    return [
        {**row, "device": ring.open(bytes(row["device"]), f"device:{row['session_id']}").decode()}
        for row in rows
    ]


async def end_own(connection: Connection, user_id: str, session_id: str, now: datetime) -> bool:
    """Ends one of the person's own sessions; False where it is none of theirs."""
    cursor = await connection.execute(
        """UPDATE user_management.sessions SET ended_at = coalesce(ended_at, %s),
               end_reason = coalesce(end_reason, 'ended_by_user')
           WHERE session_id = %s AND user_id = %s RETURNING session_id""",
        (now, session_id, user_id),
    )
    return await cursor.fetchone() is not None


async def _succeed(connection: Connection, spent: bytes, session_id: str, now: datetime) -> str:
    token, token_hash = _fresh()
    await _add(connection, token_hash, session_id, now)
    await connection.execute(
        """UPDATE user_management.refresh_tokens SET spent_at = coalesce(spent_at, %s), successor = %s
           WHERE token_hash = %s""",
        (now, token_hash, spent),
    )
    await connection.execute(
        "UPDATE user_management.sessions SET used_at = %s, expires_at = %s WHERE session_id = %s",
        (now, now + SESSION_LIFETIME, session_id),
    )
    return token


async def _add(connection: Connection, token_hash: bytes, session_id: str, now: datetime) -> None:
    await connection.execute(
        """INSERT INTO user_management.refresh_tokens (token_hash, session_id, made_at, expires_at)
           VALUES (%s, %s, %s, %s)""",
        (token_hash, session_id, now, now + SESSION_LIFETIME),
    )


def _fresh() -> tuple[str, bytes]:
    token = f"trr_{secrets.token_urlsafe(32)}"
    return token, _hash(token)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
