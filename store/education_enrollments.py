"""Enrollments: the projection of each process, with its lessons and attempts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from domain.moves import moved
from domain.progression import FOLLOWS, Attempt, EnrollmentStatus
from models.contracts.topics import Topic
from models.messages.education import EnrollmentInput, EnrollmentState, OpenedEnrollment
from store import education_courses
from store.changes import touch
from store.database import Connection
from store.outbox import emit

OPEN_ROW = """
INSERT INTO education.enrollments
    (enrollment_id, user_id, course_id, syllabus, status, amount, currency, percent, granted, enrolled_at,
     changed_at, version)
SELECT %(enrollment_id)s, %(user_id)s, course_id, current_syllabus, 'awaiting_payment', price, currency, 0,
       '{}', %(now)s, %(now)s, 1
FROM education.courses WHERE course_id = %(course_id)s AND status = 'published'
ON CONFLICT DO NOTHING
"""

SAVE_ROW = """
UPDATE education.enrollments SET status = %(status)s, payment_id = %(payment_id)s, percent = %(percent)s,
    certificate_id = %(certificate_id)s, granted = %(granted)s, active_at = %(active_at)s,
    access_until = %(access_until)s, completed_at = %(completed_at)s, changed_at = %(now)s,
    version = version + 1
WHERE enrollment_id = %(enrollment_id)s RETURNING version
"""

SAVE_LESSON = """
INSERT INTO education.lesson_progress AS p
    (enrollment_id, lesson_id, seconds_watched, completed_at, changed_at)
VALUES (%(enrollment_id)s, %(lesson_id)s, %(seconds)s, %(completed_at)s, %(now)s)
ON CONFLICT (enrollment_id, lesson_id) DO UPDATE SET
    seconds_watched = greatest(p.seconds_watched, excluded.seconds_watched),
    completed_at = coalesce(p.completed_at, excluded.completed_at), changed_at = excluded.changed_at
RETURNING seconds_watched,
    (SELECT q.seconds_watched FROM education.lesson_progress q
     WHERE q.enrollment_id = %(enrollment_id)s AND q.lesson_id = %(lesson_id)s) AS before
"""

SAVE_ATTEMPT = """
INSERT INTO education.attempts
    (attempt_id, enrollment_id, assessment_id, number, status, began_at, ends_at, submission_id, submitted_at,
     score, passed)
VALUES (%(attempt_id)s, %(enrollment_id)s, %(assessment_id)s, %(number)s, %(status)s, %(began_at)s,
        %(ends_at)s, %(submission_id)s, %(submitted_at)s, %(score)s, %(passed)s)
ON CONFLICT (attempt_id) DO UPDATE SET status = excluded.status, submission_id = excluded.submission_id,
    submitted_at = excluded.submitted_at, score = excluded.score, passed = excluded.passed
"""


@dataclass(frozen=True)
class Saved:
    version: int
    before: EnrollmentStatus
    """The status that the row had."""


async def open_row(connection: Connection, given: EnrollmentInput, now: datetime) -> OpenedEnrollment | str:
    """Inserts the enrollment at the course's present syllabus and price, once an enrollment id.

    A code where it may not be: `course_not_found`, `already_enrolled`.
    """
    values = {**given.model_dump(include={"enrollment_id", "user_id", "course_id"}), "now": now}
    cursor = await connection.execute(OPEN_ROW, values)
    made = bool(cursor.rowcount)
    cursor = await connection.execute(
        """SELECT e.syllabus, e.amount, e.currency, e.version, c.title, s.access_months
           FROM education.enrollments e JOIN education.courses c USING (course_id)
           JOIN education.syllabi s ON s.course_id = e.course_id AND s.number = e.syllabus
           WHERE e.enrollment_id = %s""",
        (given.enrollment_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        course = await education_courses.find(connection, given.course_id)
        return "already_enrolled" if course and course["status"] == "published" else "course_not_found"
    if made:
        await _tell(connection, given.enrollment_id, given.user_id, EnrollmentStatus.AWAITING_PAYMENT, now)
    lessons = await education_courses.outline(connection, given.course_id, row["syllabus"])
    return OpenedEnrollment(**row, lessons=lessons)


async def save(connection: Connection, state: EnrollmentState, now: datetime) -> Saved:
    """Stores the projection of `state`. Repeating it changes nothing but the version.

    Raises:
        LookupError: there is no such row.
        IllegalMove: an enrollment does not go there from where it stands.
    """
    cursor = await connection.execute(
        "SELECT status FROM education.enrollments WHERE enrollment_id = %s FOR UPDATE",
        (state.enrollment_id,),
    )
    before = await cursor.fetchone()
    if before is not None:
        moved(FOLLOWS, EnrollmentStatus(before["status"]), state.status)
    cursor = await connection.execute(
        SAVE_ROW,
        {
            **state.model_dump(
                include={
                    "enrollment_id", "status", "payment_id", "certificate_id", "active_at", "access_until",
                    "completed_at",
                }
            ),
            "percent": state.percent(),
            "granted": Jsonb(state.granted),
            "now": now,
        },
    )  # fmt: skip
    row = await cursor.fetchone()
    if row is None or before is None:
        raise LookupError("no such enrollment")
    if before["status"] != state.status:
        await _tell(connection, state.enrollment_id, state.user_id, state.status, now)
    else:
        await _touch(connection, state.enrollment_id, state.user_id)
    return Saved(row["version"], EnrollmentStatus(before["status"]))


async def save_lesson(connection: Connection, state: EnrollmentState, lesson_id: str, now: datetime) -> None:
    """Stores what was done of a lesson; watched seconds are told to the video analytics once."""
    made = state.progress[lesson_id]
    cursor = await connection.execute(
        SAVE_LESSON,
        {
            "enrollment_id": state.enrollment_id,
            "lesson_id": lesson_id,
            "seconds": made.seconds_watched,
            "completed_at": made.completed_at,
            "now": now,
        },
    )
    row = await cursor.fetchone()
    if row and row["seconds_watched"] > (row["before"] or 0):
        body = {
            "enrollment_id": state.enrollment_id,
            "course_id": state.course_id,
            "lesson_id": lesson_id,
            "seconds": row["seconds_watched"] - (row["before"] or 0),
        }
        await emit(connection, Topic.VIDEO, state.enrollment_id, "lesson.watched", body, now)


async def save_attempt(connection: Connection, enrollment_id: str, attempt: Attempt) -> None:
    await connection.execute(SAVE_ATTEMPT, {**attempt.model_dump(), "enrollment_id": enrollment_id})


async def is_paid_or_open(connection: Connection, enrollment_id: str) -> bool:
    """Whether a payment of the enrollment is under way or made: its place is kept."""
    cursor = await connection.execute(
        """SELECT 1 FROM finance.payments WHERE purpose = 'course' AND reference_id = %s
           AND status NOT IN ('failed', 'expired', 'blocked', 'refunded') LIMIT 1""",
        (enrollment_id,),
    )
    return await cursor.fetchone() is not None


async def find(connection: Connection, enrollment_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(
        "SELECT * FROM education.enrollments WHERE enrollment_id = %s", (enrollment_id,)
    )
    return await cursor.fetchone()


async def latest_of(connection: Connection, user_id: str, course_id: str) -> dict[str, Any] | None:
    """The person's last enrollment in the course, and how many there were (`count`)."""
    cursor = await connection.execute(
        """SELECT *, count(*) OVER () AS count FROM education.enrollments
           WHERE user_id = %s AND course_id = %s ORDER BY enrollment_id DESC LIMIT 1""",
        (user_id, course_id),
    )
    return await cursor.fetchone()


async def _tell(
    connection: Connection, enrollment_id: str, user_id: str, status: EnrollmentStatus, now: datetime
) -> None:
    body = {"enrollment_id": enrollment_id, "user_id": user_id, "status": status.value}
    await emit(connection, Topic.USERS, enrollment_id, f"enrollment.{status.value}", body, now)
    await _touch(connection, enrollment_id, user_id)


async def _touch(connection: Connection, enrollment_id: str, user_id: str) -> None:
    await touch(connection, enrollment_id)
    await touch(connection, user_id)
