"""What instructors write: courses, their syllabi as drafts, published as versions; and the keys."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.commanding import Commander, Commanding
from api.education.assessments import correct
from api.education.catalogue import may_write
from api.education.shapes import NoBody
from api.pages import INDIA
from api.platform import PlatformDep, platform
from api.principal import Principal, current_user, guard, require_role
from api.problems import FieldError, Problem
from domain.syllabus import CourseDraft, obstacles
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.education import ApplyEdit, CourseEditInput
from store import education_courses, education_edits
from store.database import Connection

router = APIRouter(prefix="/v1/courses", tags=["education"])

Instructor = Annotated[Principal, Depends(require_role("instructor", "admin"))]
Action = Literal["create", "replace", "publish"]


@guard
async def written_by(request: Request, id: str) -> dict[str, Any]:
    """The course in the path, if the caller may write it: 404 for another's, 403 without the role."""
    principal = await current_user(request)
    async with platform(request).database.reading() as connection:
        course = await education_courses.find(connection, id)
    if not principal.roles & {"instructor", "admin"}:
        raise Problem(403 if course and course["status"] == "published" else 404, "role_required")
    if course is None or not may_write(principal, course):
        raise Problem(404)
    return course


Written = Annotated[dict[str, Any], Depends(written_by)]


@router.post("", status_code=201)
async def create(body: CourseDraft, principal: Instructor, commander: Commanding) -> JSONResponse:
    """A draft of the caller's own."""
    edit_id = mint(Prefix.COMMAND)
    return await _run(
        commander, mint(Prefix.COURSE), principal.user_id, "create", body, status=201, edit_id=edit_id
    )


@router.put("/{id}")
async def replace(
    course: Written, body: CourseDraft, principal: Instructor, commander: Commanding
) -> JSONResponse:
    """Puts the draft in place of the one before; what is published stays as it is until published anew."""
    return await _run(commander, course["course_id"], principal.user_id, "replace", body, status=200)


@router.post("/{id}/publish")
async def publish(
    course: Written,
    principal: Instructor,
    commander: Commanding,
    body: Annotated[NoBody | None, Body()] = None,
) -> JSONResponse:
    """Makes the draft the next version of the syllabus; whoever is enrolled keeps theirs.

    422 `not_publishable` with what stands against it: a price below the floor, a lesson without its media,
    prices younger than three months, a question whose key does not fit.
    """
    draft = CourseDraft.model_validate(
        {name: course[name] for name in CourseDraft.model_fields if name != "syllabus"}
        | {"syllabus": course["draft"]}
    )
    found = obstacles(draft, datetime.now(INDIA).date())
    if found:
        raise Problem(422, "not_publishable", errors=[_obstacle(each) for each in found])
    return await _run(commander, course["course_id"], principal.user_id, "publish", None, status=200)


@router.get("/{id}/answers")
async def answers(course: Written, platform: PlatformDep) -> dict[str, Any]:
    """Every assessment's right answers, each in the shape in which it is handed in."""
    async with platform.database.reading() as connection:
        rows = await education_courses.keys(connection, course["course_id"])
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows:
        found[row["assessment_id"]][row["question_id"]] = correct(row)
    return {"assessments": found}


async def _run(
    commander: Commander,
    course_id: str,
    author: str,
    action: Action,
    body: CourseDraft | None,
    *,
    status: int,
    edit_id: str = "",
) -> JSONResponse:
    minted = edit_id or mint(Prefix.COMMAND)

    async def keep(connection: Connection, found: str) -> None:
        if body is not None:
            await education_edits.receive(
                connection, found, course_id, author, body.model_dump(mode="json"), datetime.now(UTC)
            )

    return await commander.run(
        minted,
        lambda found: _drive(
            CourseEditInput(edit_id=found, course_id=course_id, author=author, action=action)
        ),
        alongside=keep,
        status=status,
    )


def _drive(edit: CourseEditInput) -> Drive:
    return Drive(
        workflow_type="CourseEdit",
        workflow_id=workflow_id(Kind.COURSE_EDIT, edit.edit_id),
        queue=Queue.EDUCATION,
        start=edit.model_dump(mode="json"),
        update="apply",
        argument=ApplyEdit().model_dump(mode="json"),
        summary=f"{edit.action.capitalize()} {edit.course_id}",
        details=f"By {edit.author}. What it is: `GET /v1/courses/{edit.course_id}`",
        attributes={"CUSTOMER": edit.author, "STATE": "applying", "REFERENCE": [edit.course_id]},
    )


def _obstacle(found: str) -> FieldError:
    code, _, place = found.partition(":")
    return FieldError(f"/syllabus/lessons/{place}" if place else "/", code, code.replace("_", " "))
