"""What the database itself holds: sealed syllabi, one place a person, one certificate, the allowance."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from models.contracts.identifiers import Prefix, mint
from models.messages.education import EnrollmentInput, EnrollmentState, OpenedEnrollment
from store import (
    education_courses,
    education_edits,
    education_enrollments,
    education_seed,
    education_video,
)
from store.database import Database

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
async def books(database: str) -> AsyncIterator[Database]:
    async with Database(database) as opened:
        async with opened.transaction() as connection:
            await education_seed.seed(connection)
        yield opened


@pytest.fixture
async def course(books: Database) -> dict[str, Any]:
    async with books.reading() as connection:
        found = await education_courses.find(connection, education_seed.SLUG)
    assert found is not None
    return found


async def test_the_seed_publishes_its_course_once(books: Database, course: dict[str, Any]) -> None:
    async with books.transaction() as connection:
        await education_seed.seed(connection)
        listed = await education_courses.listing(connection, limit=10)
        lessons = await education_courses.outline(connection, course["course_id"], 1)
    assert [(row["slug"], row["status"]) for row in listed] == [("trading-foundations", "published")]
    assert course["price"] >= 24_000_00
    assert {lesson.type.value for lesson in lessons} == {"video", "text", "quiz"}
    quiz = next(lesson.assessment for lesson in lessons if lesson.assessment)
    async with books.reading() as connection:
        kinds = {each.kind.value for each in await education_courses.keyed_questions(
            connection, quiz.assessment_id
        )}  # fmt: skip
    assert kinds == {"single", "multiple", "numeric"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE education.lessons SET title = 'x'",
        "UPDATE education.course_modules SET title = 'x'",
        "UPDATE education.assessments SET pass_percent = 1",
        "UPDATE education.questions SET key = '\"a\"'",
        "DELETE FROM education.questions",
        "DELETE FROM education.lessons",
        "UPDATE education.syllabi SET access_months = 99",
        "UPDATE education.syllabi SET sealed = false",
        "DELETE FROM education.syllabi",
        """INSERT INTO education.course_modules (module_id, course_id, syllabus, place, title)
           SELECT 'mod_x', course_id, 1, 99, 'x' FROM education.courses""",
        """INSERT INTO education.questions (question_id, course_id, syllabus, assessment_id, place, kind,
               text, choices, key, points, tolerance)
           SELECT 'qst_x', course_id, 1, assessment_id, 99, 'numeric', 'x', '[]', '"1"', 1, 0
           FROM education.assessments""",
    ],
)
async def test_a_published_syllabus_never_changes(books: Database, change: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        async with books.transaction() as connection:
            await connection.execute(change)


async def test_a_syllabus_left_unsealed_is_not_committed(books: Database, course: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        async with books.transaction() as connection:
            await connection.execute(
                """INSERT INTO education.syllabi (course_id, number, access_months, published_by,
                       published_at, edit_id, sealed) VALUES (%s, 9, 12, 'x', %s, 'edit_x', false)""",
                (course["course_id"], NOW),
            )


async def test_publishing_by_one_edit_makes_one_version(books: Database) -> None:
    course_id, edit_id = mint(Prefix.COURSE), mint(Prefix.COMMAND)
    draft = education_seed.COURSE.model_copy(update={"slug": "another"})
    async with books.transaction() as connection:
        assert await education_edits.create(connection, course_id, None, draft, NOW)
    for _ in range(2):
        async with books.transaction() as connection:
            held = await education_edits.draft(connection, course_id)
            assert held == draft
            await education_edits.publish(connection, course_id, draft, edit_id, "usr_x", NOW)
    async with books.transaction() as connection:
        await education_edits.publish(connection, course_id, draft, mint(Prefix.COMMAND), "usr_x", NOW)
        view = await education_edits.view(connection, course_id)
        await connection.execute(
            "UPDATE education.courses SET status = 'archived' WHERE course_id = %s", (course_id,)
        )
    assert view is not None
    assert view["syllabus_version"] == 2


async def open_one(books: Database, user_id: str, course_id: str) -> OpenedEnrollment | str:
    given = EnrollmentInput(enrollment_id=mint(Prefix.ENROLLMENT), user_id=user_id, course_id=course_id)
    async with books.transaction() as connection:
        return await education_enrollments.open_row(connection, given, NOW)


async def test_a_person_who_enrolls_many_times_at_once_has_one_place(
    books: Database, course: dict[str, Any]
) -> None:
    user_id = mint(Prefix.USER)
    found = await asyncio.gather(*(open_one(books, user_id, course["course_id"]) for _ in range(6)))
    refused = [each for each in found if isinstance(each, str)]
    assert refused == ["already_enrolled"] * 5


async def test_an_ended_enrollment_stays_ended_and_a_repeat_opens_nothing_new(
    books: Database, course: dict[str, Any]
) -> None:
    given = EnrollmentInput(
        enrollment_id=mint(Prefix.ENROLLMENT), user_id=mint(Prefix.USER), course_id=course["course_id"]
    )
    async with books.transaction() as connection:
        first = await education_enrollments.open_row(connection, given, NOW)
    async with books.transaction() as connection:
        assert await education_enrollments.open_row(connection, given, NOW) == first
    assert isinstance(first, OpenedEnrollment)
    state = EnrollmentState.model_validate(
        {**given.model_dump(exclude={"state"}), "lessons": first.lessons, "status": "expired"}
    )
    async with books.transaction() as connection:
        await education_enrollments.save(connection, state, NOW)
    with pytest.raises(psycopg.errors.RestrictViolation):
        async with books.transaction() as connection:
            await connection.execute(
                "UPDATE education.enrollments SET status = 'awaiting_payment' WHERE enrollment_id = %s",
                (given.enrollment_id,),
            )
    again = await open_one(books, given.user_id, course["course_id"])
    assert isinstance(again, OpenedEnrollment)


async def test_the_days_video_is_bounded_however_many_open_at_once(
    books: Database, course: dict[str, Any]
) -> None:
    user_id, today = mint(Prefix.USER), date(2026, 11, 23)
    async with books.reading() as connection:
        outline = await education_courses.outline(connection, course["course_id"], 1)

    async def take(lesson_id: str, day: date) -> bool:
        async with books.transaction() as connection:
            return await education_video.take(connection, user_id, lesson_id, 2500, day)

    lessons = [lesson.lesson_id for lesson in outline][:5]
    allowed = await asyncio.gather(*(take(lesson_id, today) for lesson_id in lessons))
    assert sum(allowed) == 2
    watched = lessons[allowed.index(True)]
    assert await take(watched, today)
    async with books.reading() as connection:
        assert await education_video.used(connection, user_id, today) == 5000
    assert await take(lessons[allowed.index(False)], date(2026, 11, 24))
