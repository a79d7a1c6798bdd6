"""Tells those who wait for an object that its version moved."""

from store.database import Connection

CHANNEL = "changed"


async def touch(connection: Connection, object_id: str) -> None:
    """Wakes waiting readers of `object_id` when this transaction commits."""
    await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, object_id))
