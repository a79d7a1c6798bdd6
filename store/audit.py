"""The audit trail: who did what, when, to whom, through which run. Linked and kept by the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from store.database import Connection


async def write(
    connection: Connection,
    *,
    actor: str,
    action: str,
    subjects: Sequence[str],
    now: datetime,
    run: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Appends an entry. Its writers wait for each other until they commit, so it comes last in a
    transaction; `detail` holds ids and codes, never what a person wrote."""
    await connection.execute(
        """INSERT INTO audit.trail (made_at, actor, action, subjects, run, detail)
           VALUES (%(now)s, %(actor)s, %(action)s, %(subjects)s, %(run)s, %(detail)s)""",
        {
            "now": now,
            "actor": actor,
            "action": action,
            "subjects": list(dict.fromkeys(subjects)),
            "run": run,
            "detail": Jsonb(detail or {}),
        },
    )


async def about(
    connection: Connection,
    subject: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    before: int | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """Entries about a person, run or object, or by that person, newest first, below number `before`."""
    cursor = await connection.execute(
        """SELECT number, made_at, actor, action, subjects, run, detail, encode(hash, 'hex') AS hash
           FROM audit.trail
           WHERE (subjects @> ARRAY[%(subject)s::text] OR actor = %(subject)s)
             AND (%(start)s::timestamptz IS NULL OR made_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR made_at < %(end)s)
             AND (%(before)s::bigint IS NULL OR number < %(before)s)
           ORDER BY number DESC LIMIT %(limit)s""",
        {"subject": subject, "start": start, "end": end, "before": before, "limit": limit},
    )
    return await cursor.fetchall()


async def broken_at(connection: Connection) -> int | None:
    """Number of the first entry that does not fit the chain; None where the whole trail holds."""
    cursor = await connection.execute(
        """SELECT min(number) AS number FROM (
               SELECT t.number,
                      t.hash = audit.trail_hash(t)
                      AND t.previous = coalesce(lag(t.hash) OVER chain, sha256(''))
                      AND t.number = row_number() OVER chain AS holds
               FROM audit.trail t WINDOW chain AS (ORDER BY t.number)) AS entries
           WHERE NOT holds"""
    )
    row = await cursor.fetchone()
    return row["number"] if row else None
