"""What instructors write: edits as they came, drafts, and syllabi published from them."""

from datetime import datetime
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from domain.syllabus import CourseDraft
from models.contracts.identifiers import Prefix, mint
from store.database import Connection

VIEW = "course_id, slug, title, status, price, currency, current_syllabus AS syllabus_version, version"


async def receive(
    connection: Connection, edit_id: str, course_id: str, author: str, body: dict[str, Any], now: datetime
) -> None:
    """Keeps what was sent; its process applies it."""
    await connection.execute(
        """INSERT INTO education.course_edits (edit_id, course_id, author, body, received_at)
           VALUES (%s, %s, %s, %s, %s) ON CONFLICT (edit_id) DO NOTHING""",
        (edit_id, course_id, author, Jsonb(body), now),
    )


async def received(connection: Connection, edit_id: str) -> CourseDraft | None:
    cursor = await connection.execute(
        "SELECT body FROM education.course_edits WHERE edit_id = %s", (edit_id,)
    )
    row = await cursor.fetchone()
    return CourseDraft.model_validate(row["body"]) if row else None


async def view(connection: Connection, course_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT {VIEW} FROM education.courses WHERE course_id = %s",  # noqa: S608
        (course_id,),
    )
    return await cursor.fetchone()


async def draft(connection: Connection, course_id: str) -> CourseDraft | None:
    """The course as it stands written, held until the transaction ends."""
    cursor = await connection.execute(
        """SELECT slug, title, description, category, level, tags, price, draft AS syllabus
           FROM education.courses WHERE course_id = %s FOR UPDATE""",
        (course_id,),
    )
    row = await cursor.fetchone()
    return CourseDraft.model_validate(row) if row else None


async def create(
    connection: Connection, course_id: str, owner_id: str | None, course: CourseDraft, now: datetime
) -> bool:
    """Inserts the draft; False where the slug belongs to another course. A repeat changes nothing."""
    try:
        async with connection.transaction():
            await connection.execute(
                """INSERT INTO education.courses
                       (course_id, slug, title, description, category, level, tags, price, currency, status,
                        owner_id, draft, created_at, changed_at, version)
                   VALUES (%(course_id)s, %(slug)s, %(title)s, %(description)s, %(category)s, %(level)s,
                           %(tags)s, %(price)s, 'INR', 'draft', %(owner_id)s, %(draft)s, %(now)s, %(now)s, 1)
                   ON CONFLICT (course_id) DO NOTHING""",
                {**_values(course), "course_id": course_id, "owner_id": owner_id, "now": now},
            )
    except UniqueViolation:
        return False
    return True


async def replace(connection: Connection, course_id: str, course: CourseDraft, now: datetime) -> bool:
    """Puts the draft in place of the one before; False where the slug is taken. What is published stays."""
    try:
        async with connection.transaction():
            await connection.execute(
                """UPDATE education.courses SET slug = %(slug)s, title = %(title)s,
                       description = %(description)s, category = %(category)s, level = %(level)s,
                       tags = %(tags)s, price = %(price)s, draft = %(draft)s, changed_at = %(now)s,
                       version = version + 1
                   WHERE course_id = %(course_id)s""",
                {**_values(course), "course_id": course_id, "now": now},
            )
    except UniqueViolation:
        return False
    return True


async def publish(
    connection: Connection, course_id: str, course: CourseDraft, edit_id: str, author: str, now: datetime
) -> None:
    """Writes the draft as the next sealed version; once an edit."""
    cursor = await connection.execute("SELECT 1 FROM education.syllabi WHERE edit_id = %s", (edit_id,))
    if await cursor.fetchone():
        return
    cursor = await connection.execute(
        """INSERT INTO education.syllabi
               (course_id, number, access_months, published_by, published_at, edit_id, sealed)
           SELECT %(course_id)s, coalesce(max(number), 0) + 1, %(months)s, %(author)s, %(now)s, %(edit)s,
                  false
           FROM education.syllabi WHERE course_id = %(course_id)s RETURNING number""",
        {
            "course_id": course_id,
            "months": course.syllabus.access_months,
            "author": author,
            "now": now,
            "edit": edit_id,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError("no syllabus was written")
    await _parts(connection, course_id, row["number"], course)
    await connection.execute(
        "UPDATE education.syllabi SET sealed = true WHERE course_id = %s AND number = %s",
        (course_id, row["number"]),
    )
    await connection.execute(
        """UPDATE education.courses SET status = 'published', current_syllabus = %s, changed_at = %s,
               version = version + 1 WHERE course_id = %s""",
        (row["number"], now, course_id),
    )


async def _parts(connection: Connection, course_id: str, syllabus: int, course: CourseDraft) -> None:
    place = 0
    for number, module in enumerate(course.syllabus.modules, start=1):
        part = {"course_id": course_id, "syllabus": syllabus, "module_id": mint(Prefix.MODULE)}
        await _insert(connection, "course_modules", {**part, "place": number, "title": module.title})
        for lesson in module.lessons:
            place += 1
            lesson_id = mint(Prefix.LESSON)
            written = lesson.model_dump(exclude={"assessment"}) | {"type": lesson.type.value}
            await _insert(connection, "lessons", {**part, **written, "lesson_id": lesson_id, "place": place})
            if lesson.assessment is None:
                continue
            del (about := dict(part))["module_id"]
            about["assessment_id"] = mint(Prefix.ASSESSMENT)
            terms = lesson.assessment.model_dump(exclude={"questions"})
            await _insert(connection, "assessments", {**about, **terms, "lesson_id": lesson_id})
            for position, question in enumerate(lesson.assessment.questions, start=1):
                asked = question.model_dump(mode="json")
                asked |= {"choices": Jsonb(asked["choices"]), "key": Jsonb(asked["key"])}
                about["question_id"] = mint(Prefix.QUESTION)
                await _insert(connection, "questions", {**about, **asked, "place": position})


async def _insert(connection: Connection, table: str, values: dict[str, Any]) -> None:
    columns = ", ".join(values)
    places = ", ".join(f"%({name})s" for name in values)
    await connection.execute(
        f"INSERT INTO education.{table} ({columns}) VALUES ({places})",  # noqa: S608
        values,
    )


def _values(course: CourseDraft) -> dict[str, Any]:
    plain = course.model_dump(exclude={"syllabus"})
    return {**plain, "draft": Jsonb(course.syllabus.model_dump(mode="json"))}
