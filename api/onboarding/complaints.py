"""Grievances: taken with a deadline, and word of where else to go."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.onboarding import shapes
from api.platform import PlatformDep
from api.principal import CurrentUser
from domain.complaints import due
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.complaints import ComplaintInput, File
from store import complaints
from store.database import Connection

router = APIRouter()


@router.post("/complaints", status_code=201, response_model=shapes.Complaint)
async def complain(
    body: shapes.NewComplaint, principal: CurrentUser, platform: PlatformDep, commander: Commanding
) -> JSONResponse:
    """Takes a complaint; the words are sealed, the process gets their row's id."""
    now = datetime.now(UTC)

    async def write(connection: Connection, complaint_id: str) -> None:
        await complaints.write(
            connection,
            platform.vault,
            complaint_id=complaint_id,
            user_id=principal.user_id,
            subject=body.subject,
            text=body.text,
            about=body.about,
            due_at=due(now),
            now=now,
        )

    def drive(complaint_id: str) -> Drive:
        start = ComplaintInput(
            complaint_id=complaint_id,
            user_id=principal.user_id,
            due_at=due(now),
            assertion_public_key=platform.settings.assertion_public_key,
        )
        return Drive(
            workflow_type="Complaint",
            workflow_id=workflow_id(Kind.COMPLAINT, complaint_id),
            queue=Queue.ONBOARDING,
            start=start.model_dump(mode="json"),
            update="file",
            argument=File().model_dump(),
            summary="Complaint",
            details=f"Of customer `{principal.user_id}`",
            attributes={"CUSTOMER": principal.user_id},
        )

    return await commander.run(mint(Prefix.COMPLAINT), drive, alongside=write)
