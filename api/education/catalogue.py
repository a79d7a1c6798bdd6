"""What everyone may see of courses: the catalogue, a course, its syllabus."""

from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.education.shapes import Course, CourseItem, CoursePage, LessonItem, Module, Syllabus
from api.pages import Page, cut
from api.platform import PlatformDep
from api.principal import OptionalUser, Principal
from api.problems import Problem
from domain.progression import LEARNING, EnrollmentStatus, LessonState, lesson_states
from store import education_courses, education_enrollments, education_progress
from store.database import Connection

router = APIRouter(prefix="/v1/courses", tags=["education"])

Word = Annotated[str | None, Query(max_length=80)]


def may_write(principal: Principal | None, course: dict[str, Any]) -> bool:
    """Its owner, an administrator, and for a course of the house every instructor."""
    if principal is None:
        return False
    if "admin" in principal.roles:
        return True
    return "instructor" in principal.roles and course["owner_id"] in (None, principal.user_id)


@router.get("", response_model=CoursePage)
async def listing(
    query: Page,
    platform: PlatformDep,
    principal: OptionalUser,
    words: Annotated[str | None, Query(alias="query", max_length=200)] = None,
    category: Word = None,
    level: Word = None,
    slug: Word = None,
) -> CoursePage:
    """Published courses, newest first; an instructor's own drafts among them."""
    writes = principal is not None and "instructor" in principal.roles
    async with platform.database.reading() as connection:
        rows = await education_courses.listing(
            connection,
            owner=principal.user_id if principal and writes else None,
            words=words or None,
            category=category,
            level=level,
            slug=slug,
            status=query.status,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    shown, cursor = cut(rows, query, "course_id")
    return CoursePage(items=[CourseItem.of(row) for row in shown], next_cursor=cursor)


@router.get("/{id}", response_model=Course)
async def one(id: str, platform: PlatformDep, principal: OptionalUser) -> Course:
    """A course by its id or slug."""
    async with platform.database.reading() as connection:
        row = await visible(connection, id, principal)
        lessons = await _lessons(connection, row)
    draft = row["draft"] if may_write(principal, row) else None
    item = CourseItem.of(row).model_dump()
    return Course(**item, lessons=len(lessons), version=row["version"], draft=draft)


@router.get("/{id}/modules", response_model=Syllabus)
async def modules(id: str, platform: PlatformDep, principal: OptionalUser) -> Syllabus:
    """The published syllabus: for whoever is enrolled the version that they took, with their states."""
    async with platform.database.reading() as connection:
        course = await visible(connection, id, principal)
        taken = None
        if principal is not None:
            taken = await education_enrollments.latest_of(connection, principal.user_id, course["course_id"])
        if taken is not None and EnrollmentStatus(taken["status"]) not in LEARNING:
            taken = None
        version = taken["syllabus"] if taken else course["current_syllabus"]
        if version is None:
            raise Problem(404, "not_published")
        rows = await education_courses.modules(connection, course["course_id"], version)
        done = await _done(connection, taken["enrollment_id"]) if taken else None
        outline = await education_courses.outline(connection, course["course_id"], version)
    states = lesson_states(outline, done) if done is not None else {}
    return Syllabus(
        course_id=course["course_id"],
        syllabus_version=version,
        items=[
            Module(
                module_id=module_id,
                title=title,
                lessons=[LessonItem(**row, state=states.get(row["lesson_id"], _state(row))) for row in group],
            )
            for (module_id, title), group in groupby(
                rows, key=lambda row: (row["module_id"], row["module_title"])
            )
        ],
    )


async def visible(connection: Connection, course_id: str, principal: Principal | None) -> dict[str, Any]:
    """The course, if the caller may know of it; else 404."""
    row = await education_courses.find(connection, course_id)
    if row is None or (row["status"] != "published" and not may_write(principal, row)):
        raise Problem(404)
    return row


def _state(row: dict[str, Any]) -> LessonState:
    return LessonState.OPEN if row["preview"] else LessonState.LOCKED


async def _lessons(connection: Connection, course: dict[str, Any]) -> list[dict[str, Any]]:
    if course["current_syllabus"] is None:
        return []
    return await education_courses.modules(connection, course["course_id"], course["current_syllabus"])


async def _done(connection: Connection, enrollment_id: str) -> set[str]:
    found = await education_progress.lessons_of(connection, [enrollment_id])
    return {row["lesson_id"] for row in found[enrollment_id] if row["completed_at"] is not None}
