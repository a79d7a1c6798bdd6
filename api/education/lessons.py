"""One lesson: its content, and for a video a link that ends."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter

from api.education.catalogue import may_write
from api.education.shapes import Lesson, Stream
from api.education.streaming import stream_of
from api.pages import INDIA
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser, Principal
from api.problems import Problem
from domain.progression import LEARNING, EnrollmentStatus, LessonState, lesson_states
from store import education_courses, education_enrollments, education_progress, education_video
from store.database import Connection

router = APIRouter(prefix="/v1/lessons", tags=["education"])


@router.get("/{id}", response_model=Lesson)
async def one(id: str, platform: PlatformDep, principal: CurrentUser) -> Lesson:
    """Open to whoever has reached it; a preview to everyone who has signed in.

    403 `enrollment_required` or `lesson_locked`; 403 `enrollment_on_hold` while a dispute is open; 429
    `video_allowance_spent` on the free plan after two hours a day of video that was not paid for.
    """
    now = datetime.now(UTC)
    async with platform.database.reading() as connection:
        lesson = await education_courses.lesson(connection, id)
        if lesson is None:
            raise Problem(404)
        paid = may_write(principal, lesson)
        if not paid:
            paid = await _admit(connection, principal, lesson, now)
    link = None
    if lesson["media"]:
        link = await _stream(platform, principal, lesson, now, free=not paid)
    fields = {name: lesson[name] for name in Lesson.model_fields if name in lesson}
    return Lesson(**fields, syllabus_version=lesson["syllabus"], stream=link)


async def _admit(connection: Connection, principal: Principal, lesson: dict[str, Any], now: datetime) -> bool:
    """Whether the caller has paid for what they see. Raises Problem where they may not see it."""
    row = await education_enrollments.latest_of(connection, principal.user_id, lesson["course_id"])
    status = EnrollmentStatus(row["status"]) if row else None
    holds = (
        row is not None
        and status in LEARNING
        and row["syllabus"] == lesson["syllabus"]
        and (row["access_until"] is None or now < row["access_until"])
    )
    if row is not None and holds:
        if lesson["preview"] or await _reached(connection, row, lesson["lesson_id"]):
            return bool(row["amount"] > 0)
        raise Problem(403, "lesson_locked")
    if lesson["preview"]:
        return False
    raise Problem(403, "enrollment_on_hold" if status is EnrollmentStatus.ON_HOLD else "enrollment_required")


async def _reached(connection: Connection, enrollment: dict[str, Any], lesson_id: str) -> bool:
    outline = await education_courses.outline(connection, enrollment["course_id"], enrollment["syllabus"])
    rows = await education_progress.lessons_of(connection, [enrollment["enrollment_id"]])
    done = {row["lesson_id"] for row in rows[enrollment["enrollment_id"]] if row["completed_at"] is not None}
    return lesson_states(outline, done)[lesson_id] is not LessonState.LOCKED


async def _stream(
    platform: Platform, principal: Principal, lesson: dict[str, Any], now: datetime, *, free: bool
) -> Stream:
    seconds = lesson["duration_seconds"] or 0
    if free and principal.tier == "free" and not principal.is_staff:
        async with platform.database.transaction() as connection:
            allowed = await education_video.take(
                connection, principal.user_id, lesson["lesson_id"], seconds, now.astimezone(INDIA).date()
            )
        if not allowed:
            raise Problem(429, "video_allowance_spent", headers={"Retry-After": str(_to_midnight(now))})
    return stream_of(platform.settings, lesson["lesson_id"], principal.user_id, seconds, now)


def _to_midnight(now: datetime) -> int:
    local = now.astimezone(INDIA)
    return 86400 - (local.hour * 3600 + local.minute * 60 + local.second)
