"""API keys: shown once, kept as a hash."""

import hashlib
import secrets
from datetime import datetime
from typing import Any

from models.contracts.identifiers import uuid7
from store.database import Connection
from store.vault import Vault


async def make(
    connection: Connection, vault: Vault, user_id: str, name: str, expires_at: datetime | None, now: datetime
) -> tuple[str, str]:
    """A new key: its id, and the key itself, which nobody can read again."""
    api_key_id = f"key_{uuid7().hex}"
    key = f"trk_{secrets.token_urlsafe(32)}"
    ring = await vault.person(connection, user_id)
    await connection.execute(
        """INSERT INTO user_management.api_keys (api_key_id, user_id, name, key_hash, made_at, expires_at)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        (
            api_key_id,
            user_id,
            ring.seal(name.encode(), f"api-key:{api_key_id}"),
            hashlib.sha256(key.encode()).digest(),
            now,
            expires_at,
        ),
    )
    return api_key_id, key


async def of_person(connection: Connection, vault: Vault, user_id: str) -> list[dict[str, Any]]:
    """The person's living keys, newest first: api_key_id, name, made_at, expires_at."""
    cursor = await connection.execute(
        """SELECT api_key_id, name, made_at, expires_at FROM user_management.api_keys
           WHERE user_id = %s AND ended_at IS NULL ORDER BY api_key_id DESC LIMIT 200""",
        (user_id,),
    )
    rows = await cursor.fetchall()
    ring = await vault.person(connection, user_id)
    return [
        {**row, "name": ring.open(bytes(row["name"]), f"api-key:{row['api_key_id']}").decode()}
        for row in rows
    ]


async def end(connection: Connection, user_id: str, api_key_id: str, now: datetime) -> bool:
    """Ends one of the person's own keys; False where it is none of theirs."""
    cursor = await connection.execute(
        """UPDATE user_management.api_keys SET ended_at = coalesce(ended_at, %s)
           WHERE api_key_id = %s AND user_id = %s RETURNING api_key_id""",
        (now, api_key_id, user_id),
    )
    return await cursor.fetchone() is not None
