"""Sitting an assessment: its questions without their keys, and the answers handed in."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.education.enrolling import owned_enrollment, update_drive
from api.education.shapes import AttemptBody, SubmitBody
from api.platform import PlatformDep, platform
from api.principal import CurrentUser, current_user, guard
from api.problems import Problem
from models.contracts.identifiers import Prefix, mint
from models.messages.education import BeginAttempt, SubmitAttempt
from store import education_courses, education_progress
from store.database import Connection

router = APIRouter(prefix="/v1/assessments", tags=["education"])


@guard
async def published(request: Request, id: str) -> str:
    """The assessment in the path; 404 where there is none."""
    await current_user(request)
    async with platform(request).database.reading() as connection:
        course_id = await education_courses.course_of_assessment(connection, id)
    if course_id is None:
        raise Problem(404)
    return id


Assessment = Annotated[str, Depends(published)]


@router.post("/{id}/attempts", status_code=201)
async def begin(
    assessment_id: Assessment,
    body: AttemptBody,
    principal: CurrentUser,
    commander: Commanding,
    platform: PlatformDep,
) -> JSONResponse:
    """A sitting with its questions; one that is still open is answered again, and its clock runs on."""
    await owned_enrollment(platform, principal.user_id, body.enrollment_id)
    answer = await commander.run(
        mint(Prefix.ATTEMPT),
        lambda attempt_id: update_drive(
            body.enrollment_id,
            "begin_attempt",
            BeginAttempt(attempt_id=attempt_id, assessment_id=assessment_id),
        ),
    )
    begun = from_json(bytes(answer.body))
    async with platform.database.reading() as connection:
        # A published syllabus never changes: a repeat shows the same questions.
        begun["questions"] = await education_courses.questions(connection, assessment_id)
    replayed = {name: value for name, value in answer.headers.items() if name.startswith("idempotency")}
    return JSONResponse(begun, 201, replayed)


@router.post("/{id}/submit")
async def submit(
    assessment_id: Assessment,
    body: SubmitBody,
    principal: CurrentUser,
    commander: Commanding,
    platform: PlatformDep,
) -> JSONResponse:
    """Hands answers in; a question without one counts as wrong. 409 `attempt_over` after its end."""
    async with platform.database.reading() as connection:
        attempt = await education_progress.attempt(connection, body.attempt_id)
    if attempt is None or (attempt["user_id"], attempt["assessment_id"]) != (
        principal.user_id,
        assessment_id,
    ):
        raise Problem(404)

    async def keep(connection: Connection, submission_id: str) -> None:
        await education_progress.hand_in(
            connection,
            platform.vault,
            submission_id=submission_id,
            attempt_id=body.attempt_id,
            user_id=principal.user_id,
            answers=body.answers,
            now=datetime.now(UTC),
        )

    return await commander.run(
        mint(Prefix.COMMAND),
        lambda submission_id: update_drive(
            attempt["enrollment_id"],
            "submit_attempt",
            SubmitAttempt(attempt_id=body.attempt_id, submission_id=submission_id),
        ),
        alongside=keep,
        status=200,
    )


def correct(row: dict[str, Any]) -> Any:
    """A right answer, in the shape in which it is handed in."""
    return row["key"][0] if row["kind"] == "text" else row["key"]
