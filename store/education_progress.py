"""How far people have come, as they read it; and the answers that they hand in."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json

from domain.progression import Answer
from store.database import Connection
from store.vault import Vault

OF_PERSON = """
SELECT enrollment_id, course_id, syllabus AS syllabus_version, percent, status, certificate_id, access_until,
       enrolled_at, completed_at, version
FROM education.enrollments
WHERE user_id = %(user_id)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(start)s::timestamptz IS NULL OR enrolled_at >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR enrolled_at < %(end)s)
  AND (%(after)s::text IS NULL OR enrollment_id < %(after)s)
ORDER BY enrollment_id DESC LIMIT %(limit)s
"""

LESSONS = """
SELECT e.enrollment_id, l.lesson_id, l.type, a.assessment_id, p.seconds_watched, p.completed_at
FROM education.enrollments e
JOIN education.lessons l ON l.course_id = e.course_id AND l.syllabus = e.syllabus
LEFT JOIN education.assessments a USING (lesson_id)
LEFT JOIN education.lesson_progress p ON p.enrollment_id = e.enrollment_id AND p.lesson_id = l.lesson_id
WHERE e.enrollment_id = ANY(%s) ORDER BY l.place
"""


async def of_person(
    connection: Connection,
    user_id: str,
    *,
    status: str | None = None,
    after: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """The person's enrollments, newest first, each with its `lessons` in order."""
    values = {
        "user_id": user_id, "status": status, "after": after, "start": start, "end": end, "limit": limit,
    }  # fmt: skip
    rows = await (await connection.execute(OF_PERSON, values)).fetchall()
    lessons = await lessons_of(connection, [row["enrollment_id"] for row in rows])
    return [{**row, "lessons": lessons[row["enrollment_id"]]} for row in rows]


async def version_of(connection: Connection, user_id: str) -> int:
    """Grows with every change of any of the person's enrollments."""
    cursor = await connection.execute(
        "SELECT coalesce(sum(version), 0) AS version FROM education.enrollments WHERE user_id = %s",
        (user_id,),
    )
    row = await cursor.fetchone()
    return int(row["version"]) if row else 0


async def lessons_of(
    connection: Connection, enrollment_ids: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """The lessons of each enrollment's syllabus in order, with what was done of them."""
    cursor = await connection.execute(LESSONS, (list(enrollment_ids),))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in await cursor.fetchall():
        found[row["enrollment_id"]].append(row)
    return found


async def attempt(connection: Connection, attempt_id: str) -> dict[str, Any] | None:
    """An attempt with the person who sits it."""
    cursor = await connection.execute(
        """SELECT a.*, e.user_id FROM education.attempts a JOIN education.enrollments e USING (enrollment_id)
           WHERE attempt_id = %s""",
        (attempt_id,),
    )
    return await cursor.fetchone()


async def hand_in(
    connection: Connection,
    vault: Vault,
    *,
    submission_id: str,
    attempt_id: str,
    user_id: str,
    answers: dict[str, Answer],
    now: datetime,
) -> None:
    """Keeps the answers, sealed; they count when the enrollment's process takes them."""
    ring = await vault.person(connection, user_id)
    await connection.execute(
        """INSERT INTO education.submissions (submission_id, attempt_id, user_id, answers, received_at)
           VALUES (%s, %s, %s, %s, %s)""",
        (submission_id, attempt_id, user_id, ring.seal(to_json(answers), submission_id), now),
    )


async def handed_in(
    connection: Connection, vault: Vault, submission_id: str, attempt_id: str, user_id: str
) -> dict[str, Answer] | None:
    """The answers that this person handed in for this attempt; None where there are none."""
    cursor = await connection.execute(
        """SELECT answers FROM education.submissions
           WHERE submission_id = %s AND attempt_id = %s AND user_id = %s""",
        (submission_id, attempt_id, user_id),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    ring = await vault.person(connection, user_id)
    return from_json(ring.open(bytes(row["answers"]), submission_id))
