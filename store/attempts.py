"""Attempts of irreversible calls: `sending` before the socket, `sent` after the answer, else `void`."""

from datetime import datetime

from store.database import Connection


async def begin(connection: Connection, kind: str, object_id: str, number: int, now: datetime) -> bool:
    """Compare-and-set to `sending`; False where this or another live attempt of the object stands.

    One live attempt an object is a unique index, so two workers cannot both send.
    """
    cursor = await connection.execute(
        """INSERT INTO finance.attempts (kind, object_id, number, state, begun_at)
           VALUES (%s, %s, %s, 'sending', %s) ON CONFLICT DO NOTHING RETURNING number""",
        (kind, object_id, number, now),
    )
    return await cursor.fetchone() is not None


async def sent(connection: Connection, kind: str, object_id: str, now: datetime) -> None:
    """The provider has answered: the live attempt happened. Safe to repeat."""
    await connection.execute(
        """UPDATE finance.attempts SET state = 'sent', ended_at = %s
           WHERE kind = %s AND object_id = %s AND state = 'sending'""",
        (now, kind, object_id),
    )


async def void(
    connection: Connection, kind: str, object_id: str, number: int, code: str, now: datetime
) -> None:
    """This attempt did not happen, which is proven; another may follow. Safe to repeat."""
    await connection.execute(
        """UPDATE finance.attempts SET state = 'void', code = %s, ended_at = %s
           WHERE kind = %s AND object_id = %s AND number = %s AND state = 'sending'""",
        (code, now, kind, object_id, number),
    )


async def forestall(connection: Connection, kind: str, object_id: str, number: int, now: datetime) -> bool:
    """Voids an attempt that has not begun: True where its row was not there, and `begin` now refuses it.

    A worker killed before it began left no row; one that is only slow finds its number taken.
    """
    cursor = await connection.execute(
        """INSERT INTO finance.attempts (kind, object_id, number, state, code, begun_at, ended_at)
           VALUES (%(kind)s, %(object)s, %(number)s, 'void', 'never_begun', %(now)s, %(now)s)
           ON CONFLICT DO NOTHING RETURNING number""",
        {"kind": kind, "object": object_id, "number": number, "now": now},
    )
    return await cursor.fetchone() is not None
