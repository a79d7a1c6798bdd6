"""Events received from outside: stored raw and once, done when their workflow has taken them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb
from pydantic_core import from_json, to_json

from models.contracts.commands import Drive
from store.database import Connection
from store.vault import Vault

GRACE = timedelta(seconds=5)
"""How long the receiver has to deliver an event itself before the sweeper does."""


@dataclass(frozen=True)
class OpenEvent:
    number: int
    workflow_id: str
    signal: str
    argument: dict[str, Any]
    attempts: int
    start: Drive | None = None
    """How its process is started where it does not run yet; None where it runs already or never will."""


async def receive(
    connection: Connection,
    vault: Vault,
    *,
    source: str,
    event_id: str,
    raw: bytes,
    workflow_id: str | None,
    signal: str | None,
    argument: dict[str, Any],
    now: datetime,
    start: Drive | None = None,
    grace: timedelta = GRACE,
) -> int | None:
    """Stores an event; its number, or None where (source, event_id) is stored already.

    `grace`: how long the sweeper leaves it to the caller to deliver it.

    An event that no workflow of ours awaits (`workflow_id` None) is kept as received and done.
    """
    cursor = await connection.execute(
        """INSERT INTO platform.events
               (source, event_id, raw, workflow_id, signal, argument, start, attempts, received_at, due_at,
                done_at)
           VALUES (%(source)s, %(event_id)s, %(raw)s, %(workflow_id)s, %(signal)s, %(argument)s, %(start)s, 0,
                   %(now)s, %(due)s, CASE WHEN %(workflow_id)s::text IS NULL THEN %(now)s::timestamptz END)
           ON CONFLICT (source, event_id) DO NOTHING RETURNING number""",
        {
            "source": source,
            "event_id": event_id,
            "raw": vault.firm.seal(raw, f"event:{source}"),
            "workflow_id": workflow_id,
            "signal": signal,
            "argument": vault.firm.seal(to_json(argument), f"event:{source}"),
            "start": Jsonb(start.model_dump(mode="json")) if start else None,
            "now": now,
            "due": now + grace,
        },
    )
    row = await cursor.fetchone()
    return row["number"] if row else None


async def done(connection: Connection, number: int, now: datetime) -> None:
    await connection.execute(
        "UPDATE platform.events SET done_at = coalesce(done_at, %s) WHERE number = %s", (now, number)
    )


async def open_events(
    connection: Connection, vault: Vault, now: datetime, limit: int = 100
) -> list[OpenEvent]:
    """Takes events that are due, moving each one's next turn back (doubling, at most an hour)."""
    cursor = await connection.execute(
        """UPDATE platform.events SET attempts = attempts + 1,
               due_at = %(now)s
                   + least(interval '1 hour', interval '2 seconds' * power(2, least(attempts, 12)))
           WHERE number IN (
               SELECT number FROM platform.events WHERE done_at IS NULL AND due_at <= %(now)s
               ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
           RETURNING number, source, workflow_id, signal, argument, attempts, start""",
        {"now": now, "limit": limit},
    )
    return [
        OpenEvent(
            row["number"],
            row["workflow_id"],
            row["signal"],
            from_json(vault.firm.open(bytes(row["argument"]), f"event:{row['source']}")),
            row["attempts"],
            Drive.model_validate(row["start"]) if row["start"] else None,
        )
        for row in await cursor.fetchall()
    ]
