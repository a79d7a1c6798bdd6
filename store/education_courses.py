"""Courses as everyone sees them: the catalogue, a published syllabus, a lesson, the questions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain.progression import AssessmentTerms, LessonOutline, LessonType, Question
from store.database import Connection

COURSE = """course_id, slug, title, description, category, level, tags, price, currency, status, owner_id,
    current_syllabus, created_at, version"""

LISTING = f"""
SELECT {COURSE} FROM education.courses
WHERE (status = 'published' OR owner_id = %(owner)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(category)s::text IS NULL OR category = %(category)s)
  AND (%(level)s::text IS NULL OR level = %(level)s)
  AND (%(slug)s::text IS NULL OR slug = %(slug)s)
  AND (%(words)s::text IS NULL
       OR to_tsvector('english', title || ' ' || description) @@ websearch_to_tsquery('english', %(words)s)
       OR position(lower(%(words)s) IN lower(title)) > 0 OR lower(%(words)s) = ANY(tags))
  AND (%(start)s::timestamptz IS NULL OR created_at >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR created_at < %(end)s)
  AND (%(after)s::text IS NULL OR course_id < %(after)s)
ORDER BY course_id DESC LIMIT %(limit)s
"""  # noqa: S608 - a constant list of columns


async def listing(
    connection: Connection,
    *,
    limit: int,
    owner: str | None = None,
    words: str | None = None,
    category: str | None = None,
    level: str | None = None,
    slug: str | None = None,
    status: str | None = None,
    after: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[dict[str, Any]]:
    """Published courses, and the drafts of `owner`, newest first."""
    values = {
        "owner": owner, "words": words, "category": category, "level": level, "slug": slug,
        "status": status, "after": after, "start": start, "end": end, "limit": limit,
    }  # fmt: skip
    return await (await connection.execute(LISTING, values)).fetchall()


async def find(connection: Connection, course_id: str) -> dict[str, Any] | None:
    """A course by its id or its slug, its draft included."""
    cursor = await connection.execute(
        f"SELECT {COURSE}, draft FROM education.courses WHERE course_id = %(id)s OR slug = %(id)s",  # noqa: S608
        {"id": course_id},
    )
    return await cursor.fetchone()


async def modules(connection: Connection, course_id: str, syllabus: int) -> list[dict[str, Any]]:
    """The lessons of a published syllabus in order, each with its module and its assessment's terms."""
    cursor = await connection.execute(
        """SELECT m.module_id, m.title AS module_title, l.lesson_id, l.title, l.type, l.preview,
                  l.duration_seconds, l.market_data_until, a.assessment_id
           FROM education.lessons l JOIN education.course_modules m USING (module_id)
           LEFT JOIN education.assessments a USING (lesson_id)
           WHERE l.course_id = %s AND l.syllabus = %s ORDER BY l.place""",
        (course_id, syllabus),
    )
    return await cursor.fetchall()


async def outline(connection: Connection, course_id: str, syllabus: int) -> list[LessonOutline]:
    """The syllabus as far as progress needs it."""
    cursor = await connection.execute(
        """SELECT l.lesson_id, l.type, l.duration_seconds, a.assessment_id, a.pass_percent,
                  a.attempts_allowed, a.time_limit_seconds, a.cooling_seconds
           FROM education.lessons l LEFT JOIN education.assessments a USING (lesson_id)
           WHERE l.course_id = %s AND l.syllabus = %s ORDER BY l.place""",
        (course_id, syllabus),
    )
    return [
        LessonOutline(
            lesson_id=row["lesson_id"],
            type=LessonType(row["type"]),
            duration_seconds=row["duration_seconds"],
            assessment=AssessmentTerms.model_validate(row) if row["assessment_id"] else None,
        )
        for row in await cursor.fetchall()
    ]


async def lesson(connection: Connection, lesson_id: str) -> dict[str, Any] | None:
    """A lesson with its course's owner and price."""
    cursor = await connection.execute(
        """SELECT l.*, a.assessment_id, c.owner_id, c.price, c.title AS course_title
           FROM education.lessons l JOIN education.courses c USING (course_id)
           LEFT JOIN education.assessments a USING (lesson_id) WHERE l.lesson_id = %s""",
        (lesson_id,),
    )
    return await cursor.fetchone()


async def questions(connection: Connection, assessment_id: str) -> list[dict[str, Any]]:
    """The questions of an assessment in order, as they may be shown: without their keys."""
    cursor = await connection.execute(
        """SELECT question_id, kind, text, choices, points FROM education.questions
           WHERE assessment_id = %s ORDER BY place""",
        (assessment_id,),
    )
    return await cursor.fetchall()


async def keyed_questions(connection: Connection, assessment_id: str) -> list[Question]:
    """The questions of an assessment with their keys, to grade by."""
    cursor = await connection.execute(
        """SELECT question_id, kind, choices, key, points, tolerance FROM education.questions
           WHERE assessment_id = %s ORDER BY place""",
        (assessment_id,),
    )
    return [
        Question.model_validate({**row, "choices": [choice["choice_id"] for choice in row["choices"]]})
        for row in await cursor.fetchall()
    ]


async def keys(connection: Connection, course_id: str) -> Sequence[dict[str, Any]]:
    """Every key of the course's published syllabi: (assessment_id, question_id, kind, key)."""
    cursor = await connection.execute(
        """SELECT assessment_id, question_id, kind, key FROM education.questions
           WHERE course_id = %s ORDER BY assessment_id, place""",
        (course_id,),
    )
    return await cursor.fetchall()


async def course_of_assessment(connection: Connection, assessment_id: str) -> str | None:
    """The course of an assessment; None where there is no such assessment."""
    cursor = await connection.execute(
        "SELECT course_id FROM education.assessments WHERE assessment_id = %s", (assessment_id,)
    )
    row = await cursor.fetchone()
    return row["course_id"] if row else None
