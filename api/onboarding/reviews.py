"""Compliance: the cases that wait for a person, the decisions, a round of re-screening."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.onboarding import shapes
from api.onboarding.drives import decision_drive
from api.pages import Page, cut, page
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import Problem
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.onboarding import RescreenRound
from store import notes, onboarding_cases
from store.database import Connection

router = APIRouter()
Compliance = Annotated[Principal, Depends(require_role("compliance"))]
CaseId = Annotated[str, Path(max_length=64)]


@router.get("/kyc/reviews")
async def reviews(officer: Compliance, query: Page, platform: PlatformDep) -> dict[str, Any]:
    """Undecided cases, or those of one `status`; never the officer's own."""
    async with platform.database.reading() as connection:
        rows = await onboarding_cases.reviews(
            connection,
            viewer=officer.user_id,
            status=query.status,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    shown, cursor = cut(rows, query, "place")
    return page([shapes.Case.model_validate(row) for row in shown], cursor)


@router.post("/kyc/reviews/{case_id}/decision", response_model=shapes.Decided)
async def decide(
    case_id: CaseId,
    body: shapes.Decision,
    officer: Compliance,
    platform: PlatformDep,
    commander: Commanding,
) -> JSONResponse:
    """Decides a case: 403 `own_case` or `same_officer`, 409 `case_closed`."""
    async with platform.database.reading() as connection:
        case = await onboarding_cases.case(connection, case_id)
    if case is None:
        raise Problem(404)

    note_id = mint(Prefix.NOTE)

    async def write(connection: Connection, _: str) -> None:
        now = datetime.now(UTC)
        await notes.write(connection, platform.vault, officer.user_id, body.reason, now, note_id)

    return await commander.run(
        mint(Prefix.COMMAND),
        lambda command_id: decision_drive(
            platform.settings, case["user_id"], officer.user_id, case_id, body.decision, note_id, command_id
        ),
        alongside=write,
        status=200,
        about=[case["user_id"], case_id],
    )


@router.post("/kyc/rescreenings", status_code=202, response_model=None)
async def rescreen(officer: Compliance, platform: PlatformDep, commander: Commanding) -> JSONResponse:
    """Searches every verified customer again whose search was in another version of the list."""
    return await commander.run(
        mint(Prefix.COMMAND),
        lambda minted: Drive(
            workflow_type="Rescreening",
            workflow_id=workflow_id(Kind.RESCREENING, minted),
            queue=Queue.ONBOARDING,
            start=RescreenRound().model_dump(mode="json"),
            summary="Re-screening",
            details=f"Asked for by `{officer.user_id}`",
        ),
        status=202,
    )
