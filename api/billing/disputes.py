"""Disputes, for finance: what is open, by when it has to be answered, and giving in. CSV by ``Accept``."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.billing.shapes import Decision
from api.billing.tables import as_csv, wants_csv
from api.commanding import Commanding
from api.pages import Page, cut, page
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import Problem
from api.waiting import Wait, until
from domain.disputes import DISPUTE_LIVE, DisputeStatus
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.disputes import AcceptDispute, DisputeState
from store import disputes, notes
from store.database import Connection

router = APIRouter(prefix="/v1/finance", tags=["finance"])
Finance = Annotated[Principal, Depends(require_role("finance"))]

DISPUTE = (
    "dispute_id", "payment_id", "user_id", "status", "phase", "reason_code", "amount", "lost", "currency",
    "respond_by", "approvals_due", "approvals", "opened_at", "ended_at", "version",
)  # fmt: skip


class Dispute(BaseModel):
    """`lost`: paise that it has cost; `approvals_due`: people of finance who have to agree to give in;
    `notes`: what those wrote who did, in turn."""

    dispute_id: str
    payment_id: str
    user_id: str
    status: DisputeStatus
    phase: str
    reason_code: str
    amount: int
    lost: int
    currency: str
    respond_by: datetime | None
    approvals_due: int
    approvals: int
    opened_at: datetime
    ended_at: datetime | None
    notes: list[str]
    version: int


@router.get("/disputes", response_model=None)
async def listing(
    request: Request, query: Page, platform: PlatformDep, _: Finance
) -> Response | dict[str, Any]:
    """Disputes of customers' banks, newest first."""
    async with platform.database.reading() as connection:
        rows = await disputes.listing(
            connection,
            **query.asked,
        )
    rows, cursor = cut(rows, query, "place")
    items = [_shown(row) for row in rows]
    return as_csv("disputes", DISPUTE, items) if wants_csv(request) else page(items, cursor)


@router.get("/disputes/{dispute_id}", response_model=Dispute)
async def one(dispute_id: str, wait: Wait, platform: PlatformDep, _: Finance) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        async with platform.database.reading() as connection:
            row = await disputes.find(connection, dispute_id)
            if row is None:
                raise Problem(404)
            texts = await notes.texts(connection, platform.vault, row["note_ids"])
        return {**_shown(row), "notes": [texts[each] for each in row["note_ids"] if each in texts]}

    return await until(
        read, wait, lambda row: row["version"], lambda row: row["status"] not in DISPUTE_LIVE, platform
    )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {**row, "approvals": len(row["approvers"])}
    return {name: shown[name] for name in DISPUTE}


@router.post("/disputes/{dispute_id}/accept", response_model=DisputeState)
async def accept(
    dispute_id: str, body: Decision, commander: Commanding, platform: PlatformDep, principal: Finance
) -> JSONResponse:
    """Gives the dispute up: irreversible, above ₹50,000 once two people have said so."""
    async with platform.database.reading() as connection:
        row = await disputes.find(connection, dispute_id)
    if row is None:
        raise Problem(404)
    if row["user_id"] == principal.user_id:
        raise Problem(403, "own_dispute")
    process, note_id = workflow_id(Kind.DISPUTE, dispute_id), mint(Prefix.NOTE)

    async def keep(connection: Connection, _: str) -> None:
        if body.reason is not None:
            now = datetime.now(UTC)
            await notes.write(connection, platform.vault, principal.user_id, body.reason, now, note_id)

    def drive(command_id: str) -> Drive:
        assertion = Assertion(
            subject=principal.user_id,
            role="finance",
            workflow_id=process,
            action="accept",
            expires_at=datetime.now(UTC) + LIFETIME,
            command_id=command_id,
        )
        signed = sign(platform.settings.assertion_key.get_secret_value(), assertion)
        asked = AcceptDispute(assertion=signed, note_id=note_id if body.reason is not None else None)
        return Drive(
            workflow_type="Dispute",
            workflow_id=process,
            queue=Queue.BILLING,
            update="accept",
            argument=asked.model_dump(mode="json"),
        )

    about = [row["user_id"], row["payment_id"]]
    return await commander.run(
        mint(Prefix.COMMAND), drive, alongside=keep, status=200, key_required=True, about=about
    )
