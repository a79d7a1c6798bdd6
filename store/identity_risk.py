"""Scores of risk that an outside judge gives a customer: of the place (`location`), of honesty (`fraud`)."""

from datetime import datetime

from store.database import Connection


async def scores_of(connection: Connection, user_id: str, now: datetime) -> dict[str, int]:
    """The scores, 0 to 100, that hold at `now`, by kind: the newest of each, unless it has expired."""
    cursor = await connection.execute(
        """SELECT DISTINCT ON (kind) kind, score, expires_at > %(now)s AS holds
           FROM user_management.risk_scores
           WHERE user_id = %(user)s AND set_at <= %(now)s ORDER BY kind, set_at DESC""",
        {"user": user_id, "now": now},
    )
    return {row["kind"]: row["score"] for row in await cursor.fetchall() if row["holds"]}


async def set_score(
    connection: Connection,
    *,
    user_id: str,
    kind: str,
    score: int,
    source: str,
    set_by: str,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Records a score; earlier ones stand beside it and count no more."""
    await connection.execute(
        """INSERT INTO user_management.risk_scores
               (user_id, kind, score, source, set_by, set_at, expires_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        (user_id, kind, score, source, set_by, now, expires_at),
    )
