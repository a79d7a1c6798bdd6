"""Taking a course, and how far one has come."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel
from pydantic_core import from_json, to_jsonable_python
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.billing.checkout import open_checkout
from api.commanding import Commanding
from api.education.catalogue import visible
from api.education.shapes import LessonProgress, NoBody, Progress, ProgressBody, ProgressPage
from api.pages import Page, cut
from api.platform import Platform, PlatformDep, platform
from api.principal import CurrentUser, Principal, current_user, guard, own, require_role
from api.problems import Problem
from api.waiting import Wait, until
from domain.payments import Purpose
from domain.progression import (
    ENDED,
    EnrollmentStatus,
    LessonOutline,
    LessonState,
    LessonType,
    lesson_states,
)
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.education import Enroll, EnrollmentInput, EnrollmentView, GrantAttempt, RecordProgress
from store import education_enrollments, education_progress

router = APIRouter(prefix="/v1", tags=["education"])

GRANTERS = ("support", "instructor")
STAFF = ("support", "finance", "instructor")


@guard
async def offered(request: Request, id: str) -> dict[str, Any]:
    """The published course in the path, by id or slug; else 404."""
    await current_user(request)
    async with platform(request).database.reading() as connection:
        return await visible(connection, id, None)


@guard
async def owned(request: Request, id: str) -> str:
    """The enrollment in the path, if it is the caller's; else 404."""
    principal = await current_user(request)
    await owned_enrollment(platform(request), principal.user_id, id)
    return id


@guard
async def existing(request: Request, id: str) -> str:
    """The enrollment in the path, for staff who may grant: 404 for customers and 403 for other staff, whether
    or not it exists."""
    if not (await current_user(request)).is_staff:
        raise Problem(404)
    await require_role(*GRANTERS)(request)
    async with platform(request).database.reading() as connection:
        if await education_enrollments.find(connection, id) is None:
            raise Problem(404)
    return id


@guard
async def readable(request: Request, id: str) -> str:
    """The person in the path, if it is the caller or the caller is staff; else 404."""
    own(await current_user(request), id, *STAFF)
    return id


@router.post("/courses/{id}/enroll", status_code=201)
async def enroll(
    course: Annotated[dict[str, Any], Depends(offered)],
    principal: CurrentUser,
    commander: Commanding,
    platform: PlatformDep,
    body: Annotated[NoBody | None, Body()] = None,
) -> JSONResponse:
    """A place in the course and, where money is due, its checkout beside; who has a place gets it again."""
    course_id = course["course_id"]
    async with platform.database.reading() as connection:
        latest = await education_enrollments.latest_of(connection, principal.user_id, course_id)
    taken, ended = (latest["count"], latest["status"] in ENDED) if latest else (0, True)
    if (
        latest is not None
        and latest["access_until"]
        and latest["access_until"] <= datetime.now(UTC)
        and not ended
    ):
        # Completed long ago: its process is over, the place stands.
        return JSONResponse(to_jsonable_python(_view(latest)), 201)
    answer = await commander.run(
        mint(Prefix.ENROLLMENT) if ended or latest is None else latest["enrollment_id"],
        lambda enrollment_id: _start(platform, enrollment_id, principal.user_id, course_id),
        # A place that ended may be taken anew; one that did not is the same one, whatever the key.
        natural_key=f"place:{taken if ended else taken - 1}",
    )
    view = from_json(bytes(answer.body))
    async with platform.database.reading() as connection:
        row = await education_enrollments.find(connection, view["enrollment_id"])
    if row is not None:
        view |= {"status": row["status"], "version": row["version"]}
        if row["status"] == EnrollmentStatus.AWAITING_PAYMENT:
            view |= await open_checkout(commander, Purpose.COURSE, view["enrollment_id"])
    replayed = {name: value for name, value in answer.headers.items() if name.startswith("idempotency")}
    return JSONResponse(view, 201, replayed)


@router.get("/users/{id}/progress", response_model=ProgressPage)
async def progress(
    user_id: Annotated[str, Depends(readable)], query: Page, wait: Wait, platform: PlatformDep
) -> JSONResponse:
    async def read() -> ProgressPage:
        async with platform.database.reading() as connection:
            rows = await education_progress.of_person(
                connection,
                user_id,
                status=query.status,
                after=query.after,
                start=query.start,
                end=query.end,
                limit=query.limit + 1,
            )
            version = await education_progress.version_of(connection, user_id)
        shown, cursor = cut(rows, query, "enrollment_id")
        return ProgressPage(items=[_progress(row) for row in shown], next_cursor=cursor, version=version)

    found = await until(read, wait, lambda page: page.version, lambda _: False, platform)
    return JSONResponse(_without_empty_assessments(found))


@router.post("/enrollments/{id}/lessons/{lesson_id}/progress")
async def record(
    enrollment_id: Annotated[str, Depends(owned)],
    lesson_id: str,
    body: ProgressBody,
    commander: Commanding,
) -> JSONResponse:
    """What was watched of a lesson, and that it is done; a quiz is done by its assessment only."""
    return await commander.run(
        mint(Prefix.COMMAND),
        lambda command_id: update_drive(
            enrollment_id,
            "record_progress",
            RecordProgress(
                command_id=command_id,
                lesson_id=lesson_id,
                seconds_watched=body.seconds_watched,
                completed=body.completed,
            ),
        ),
        status=200,
    )


@router.post("/enrollments/{id}/assessments/{assessment_id}/grant")
async def grant(
    enrollment_id: Annotated[str, Depends(existing)],
    assessment_id: str,
    principal: Annotated[Principal, Depends(require_role(*GRANTERS))],
    commander: Commanding,
    platform: PlatformDep,
    body: Annotated[NoBody | None, Body()] = None,
) -> JSONResponse:
    """One more attempt than the rule allows, for a learner who has none left."""
    process = workflow_id(Kind.ENROLLMENT, enrollment_id)

    def drive(command_id: str) -> Drive:
        assertion = Assertion(
            subject=principal.user_id,
            role=next(role for role in GRANTERS if role in principal.roles),
            workflow_id=process,
            action="grant_attempt",
            expires_at=datetime.now(UTC) + LIFETIME,
            command_id=command_id,
        )
        signed = sign(platform.settings.assertion_key.get_secret_value(), assertion)
        asked = GrantAttempt(command_id=command_id, assessment_id=assessment_id, assertion=signed)
        return update_drive(enrollment_id, "grant_attempt", asked)

    return await commander.run(mint(Prefix.COMMAND), drive, status=200)


async def owned_enrollment(platform: Platform, user_id: str, enrollment_id: str) -> dict[str, Any]:
    """The person's enrollment; 404 for another's or none."""
    async with platform.database.reading() as connection:
        row = await education_enrollments.find(connection, enrollment_id)
    if row is None or row["user_id"] != user_id:
        raise Problem(404)
    return row


def update_drive(enrollment_id: str, name: str, argument: BaseModel) -> Drive:
    return Drive(
        workflow_type="CourseEnrollment",
        workflow_id=workflow_id(Kind.ENROLLMENT, enrollment_id),
        queue=Queue.EDUCATION,
        update=name,
        argument=argument.model_dump(mode="json"),
    )


def _start(platform: Platform, enrollment_id: str, user_id: str, course_id: str) -> Drive:
    given = EnrollmentInput(
        enrollment_id=enrollment_id,
        user_id=user_id,
        course_id=course_id,
        assertion_key=platform.settings.assertion_public_key,
    )
    return Drive(
        workflow_type="CourseEnrollment",
        workflow_id=workflow_id(Kind.ENROLLMENT, enrollment_id),
        queue=Queue.EDUCATION,
        start=given.model_dump(mode="json"),
        update="enroll",
        argument=Enroll().model_dump(mode="json"),
        summary=f"Enrollment {enrollment_id} in {course_id}",
        details=f"From payment to certificate. What it is: `GET /v1/users/{user_id}/progress`",
        attributes={"CUSTOMER": user_id, "STATE": "opening", "REFERENCE": [enrollment_id, course_id]},
    )


def _view(row: dict[str, Any]) -> EnrollmentView:
    return EnrollmentView.model_validate({**row, "syllabus_version": row["syllabus"]})


def _progress(row: dict[str, Any]) -> Progress:
    outline = [LessonOutline(lesson_id=x["lesson_id"], type=x["type"]) for x in row["lessons"]]
    done = {x["lesson_id"] for x in row["lessons"] if x["completed_at"] is not None}
    states = lesson_states(outline, done)
    begun = row["status"] != EnrollmentStatus.AWAITING_PAYMENT
    return Progress(
        **{name: row[name] for name in Progress.model_fields if name != "lessons"},
        lessons=[
            LessonProgress(
                lesson_id=x["lesson_id"],
                type=LessonType(x["type"]),
                state=states[x["lesson_id"]] if begun else LessonState.LOCKED,
                assessment_id=x["assessment_id"],
                seconds_watched=x["seconds_watched"] or 0,
                completed_at=x["completed_at"],
            )
            for x in row["lessons"]
        ],
    )


def _without_empty_assessments(found: ProgressPage) -> dict[str, Any]:
    body: dict[str, Any] = to_jsonable_python(found)
    for item in body["items"]:
        for lesson in item["lessons"]:
            if lesson["assessment_id"] is None:
                del lesson["assessment_id"]
    return body
