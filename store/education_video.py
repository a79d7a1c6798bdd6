"""The free tier's daily allowance of video that was not paid for, counted where nothing is forgotten."""

from datetime import date

from store.database import Connection

FREE_SECONDS_A_DAY = 2 * 3600
"""Founding document: the free plan's video, a day of Asia/Kolkata."""


async def take(connection: Connection, user_id: str, lesson_id: str, seconds: int, day: date) -> bool:
    """Counts a lesson's length against the day; False where it does not fit, and nothing is counted.

    A lesson counts once a day, however often it is opened. Holds against people who open many at once:
    the day's row is locked until the transaction ends.
    """
    about = {"user": user_id, "lesson": lesson_id, "seconds": seconds, "day": day}
    cursor = await connection.execute(
        """INSERT INTO education.video_days AS d (user_id, day, seconds) VALUES (%(user)s, %(day)s, 0)
           ON CONFLICT (user_id, day) DO UPDATE SET seconds = d.seconds RETURNING seconds""",
        about,
    )
    row = await cursor.fetchone()
    cursor = await connection.execute(
        """SELECT 1 FROM education.video_grants
           WHERE user_id = %(user)s AND day = %(day)s AND lesson_id = %(lesson)s""",
        about,
    )
    if await cursor.fetchone():
        return True
    if row is None or row["seconds"] + seconds > FREE_SECONDS_A_DAY:
        return False
    await connection.execute(
        """INSERT INTO education.video_grants (user_id, day, lesson_id, seconds)
           VALUES (%(user)s, %(day)s, %(lesson)s, %(seconds)s)""",
        about,
    )
    await connection.execute(
        """UPDATE education.video_days SET seconds = seconds + %(seconds)s
           WHERE user_id = %(user)s AND day = %(day)s""",
        about,
    )
    return True


async def used(connection: Connection, user_id: str, day: date) -> int:
    """Seconds counted on that day."""
    cursor = await connection.execute(
        "SELECT seconds FROM education.video_days WHERE user_id = %s AND day = %s", (user_id, day)
    )
    row = await cursor.fetchone()
    return row["seconds"] if row else 0
