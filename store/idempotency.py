"""Idempotency keys of commands that have a natural key: which body a key came with first."""

import hashlib

from store.database import Connection


async def first_or_same(connection: Connection, actor: str, route: str, key: str, body: bytes) -> bool:
    """Remembers the key's first body; False where the key was first used with another body."""
    cursor = await connection.execute(
        """INSERT INTO platform.idempotency_keys AS k (actor, route, key, body_hash, made_at)
           VALUES (%(actor)s, %(route)s, %(key)s, %(hash)s, clock_timestamp())
           ON CONFLICT (actor, route, key) DO UPDATE SET body_hash = k.body_hash
           RETURNING k.body_hash = %(hash)s AS same""",
        {"actor": actor, "route": route, "key": key, "hash": hashlib.sha256(body).digest()},
    )
    row = await cursor.fetchone()
    return row is not None and row["same"]
