"""Events for others: written in the transaction of the state they tell of, published by the relay."""

from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from store.database import Connection


async def emit(
    connection: Connection, topic: str, key: str, event_type: str, body: dict[str, Any], made_at: datetime
) -> None:
    """Adds an event to `topic` about the entity `key`; `body` holds ids, codes and amounts only."""
    await connection.execute(
        "INSERT INTO audit.outbox (topic, key, type, body, made_at) VALUES (%s, %s, %s, %s, %s)",
        (topic, key, event_type, Jsonb(body), made_at),
    )
