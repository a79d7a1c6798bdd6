"""The outbox as the relay and its readers see it: a sequence for each topic, given after commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from store.database import Connection

RELAY_LOCK = 7373002
"""Advisory lock of the one relay that numbers and publishes."""

NUMBER = """
WITH fresh AS (
    SELECT number, topic FROM audit.outbox WHERE sequence IS NULL ORDER BY number LIMIT %(limit)s
), counted AS (
    SELECT topic, count(*) AS added FROM fresh GROUP BY topic
), topics AS (
    INSERT INTO audit.topics AS t (topic, last_sequence, published_sequence)
    SELECT topic, added, 0 FROM counted
    ON CONFLICT (topic) DO UPDATE SET last_sequence = t.last_sequence + excluded.last_sequence
    RETURNING t.topic, t.last_sequence
), placed AS (
    SELECT fresh.number,
           topics.last_sequence - counted.added
             + row_number() OVER (PARTITION BY fresh.topic ORDER BY fresh.number) AS sequence
    FROM fresh JOIN counted USING (topic) JOIN topics USING (topic)
)
UPDATE audit.outbox SET sequence = placed.sequence FROM placed WHERE outbox.number = placed.number
"""


@dataclass(frozen=True)
class Published:
    """One event at its place in its topic."""

    topic: str
    sequence: int
    key: str
    type: str
    body: dict[str, Any]
    made_at: datetime


async def try_lead(connection: Connection) -> bool:
    """Takes the relay's lock for this connection's session, if nobody holds it."""
    cursor = await connection.execute("SELECT pg_try_advisory_lock(%s) AS held", (RELAY_LOCK,))
    row = await cursor.fetchone()
    return bool(row and row["held"])


async def resign(connection: Connection) -> None:
    """Gives the lock back before the connection returns to its pool; a broken connection has lost it."""
    if not connection.broken:
        await connection.execute("SELECT pg_advisory_unlock(%s)", (RELAY_LOCK,))


async def number_fresh(connection: Connection, limit: int) -> int:
    """Gives committed events their sequence, without gaps; only the leader calls it. How many."""
    cursor = await connection.execute(NUMBER, {"limit": limit})
    return cursor.rowcount


async def unpublished(connection: Connection, limit: int) -> list[Published]:
    cursor = await connection.execute(
        """SELECT o.topic, o.sequence, o.key, o.type, o.body, o.made_at
           FROM audit.topics t JOIN audit.outbox o ON o.topic = t.topic AND o.sequence > t.published_sequence
           WHERE t.published_sequence < t.last_sequence
           ORDER BY o.topic, o.sequence LIMIT %s""",
        (limit,),
    )
    return [Published(**row) for row in await cursor.fetchall()]


async def mark_published(connection: Connection, topic: str, sequence: int) -> None:
    await connection.execute(
        "UPDATE audit.topics SET published_sequence = greatest(published_sequence, %s) WHERE topic = %s",
        (sequence, topic),
    )


async def after(connection: Connection, topic: str, sequence: int, limit: int = 500) -> Sequence[Published]:
    """Events of a topic past `sequence`: what a reader falls back on when Redis has dropped them."""
    cursor = await connection.execute(
        """SELECT topic, sequence, key, type, body, made_at FROM audit.outbox
           WHERE topic = %s AND sequence > %s ORDER BY sequence LIMIT %s""",
        (topic, sequence, limit),
    )
    return [Published(**row) for row in await cursor.fetchall()]


async def last_sequence(connection: Connection, topic: str) -> int:
    """The newest sequence of a topic; 0 while it has none."""
    cursor = await connection.execute("SELECT last_sequence FROM audit.topics WHERE topic = %s", (topic,))
    row = await cursor.fetchone()
    return row["last_sequence"] if row else 0
