"""Refunds: asked for by customers and staff, decided by finance, read."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from api.billing.shapes import Decision, Refund, RefundState, RequestRefund
from api.commanding import Commanding
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser, Principal, own, require_role
from api.problems import Problem
from api.waiting import Wait, until
from domain.payments import REFUND_TERMINAL
from domain.refunds import Authority
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.commands import Alongside, Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import RefundInput, StaffDecision
from store import notes, payments, refunds

router = APIRouter(tags=["billing"])
Finance = Annotated[Principal, Depends(require_role("finance"))]


@router.post("/v1/payments/refund", status_code=202, response_model=RefundState)
async def request(
    body: RequestRefund, commander: Commanding, platform: PlatformDep, principal: CurrentUser
) -> JSONResponse:
    """A customer gets what the cancellation rules grant; support asks, and finance agrees."""
    async with platform.database.reading() as connection:
        payment = await payments.find(connection, body.payment_id)
    own(principal, payment["user_id"] if payment else None, "support", "finance")
    authority = _authority(principal, payment["user_id"] if payment else "")
    note_id = mint(Prefix.NOTE)
    return await commander.run(
        mint(Prefix.REFUND),
        lambda refund_id: _request_drive(platform, principal, authority, refund_id, body, note_id),
        alongside=_noting(platform, principal, note_id, body.reason),
        status=202,
        key_required=True,
        about=[body.payment_id],
    )


def _noting(platform: Platform, principal: Principal, note_id: str, text: str) -> Alongside:
    """Keeps the reason with the promise: not at all where that is refused, and once for all repeats."""

    async def keep(connection: Any, _: str) -> None:
        await notes.write(connection, platform.vault, principal.user_id, text, datetime.now(UTC), note_id)

    return keep


def _authority(principal: Principal, owner_id: str) -> Authority:
    """Staff never judge their own purchase: there they are customers."""
    if principal.user_id == owner_id:
        return Authority.CUSTOMER
    return Authority.FINANCE if "finance" in principal.roles else Authority.SUPPORT


def _request_drive(
    platform: Platform,
    principal: Principal,
    authority: Authority,
    refund_id: str,
    body: RequestRefund,
    note_id: str,
) -> Drive:
    given = RefundInput(
        refund_id=refund_id,
        payment_id=body.payment_id,
        amount=body.amount,
        requested_by=principal.user_id,
        authority=authority,
        note_id=note_id,
        speed=body.speed,
        assertion_key=platform.settings.assertion_public_key,
    )
    return Drive(
        workflow_type="Refund",
        workflow_id=workflow_id(Kind.REFUND, refund_id),
        queue=Queue.BILLING,
        start=given.model_dump(mode="json"),
        update="request",
        argument={},
        summary=f"Refund of {body.payment_id}",
        details=f"Asked for by {authority} {principal.user_id}; reason: note {note_id}. "
        f"What it is: `GET /v1/payments/refunds/{refund_id}`",
        attributes={"STATE": "opening", "REFERENCE": [refund_id, body.payment_id]},
    )


@router.get("/v1/payments/refunds/{id}", response_model=Refund)
async def status(id: str, wait: Wait, platform: PlatformDep, principal: CurrentUser) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        async with platform.database.reading() as connection:
            row = await refunds.shown(connection, id) or {"user_id": None}
            own(principal, row["user_id"], "support", "finance")
            # Staff are customers where the money is theirs.
            if row["user_id"] == principal.user_id:
                return _told(row, None)
            noted = [row["note_id"], *(step["note_id"] for step in row["timeline"])]
            return _told(row, await notes.texts(connection, platform.vault, noted))

    return await until(
        read, wait, lambda row: row["version"], lambda row: row["status"] in REFUND_TERMINAL, platform
    )


def _told(row: dict[str, Any], texts: dict[str | None, str] | None) -> dict[str, Any]:
    """The refund with its way; who of staff did what, and the notes' `texts`, are for staff alone."""
    noted = texts or {}
    steps = [
        {**step, "actor": None if texts is None else step["actor"], "note": noted.get(step["note_id"])}
        for step in row["timeline"]
    ]
    return {**shown(row), "note": noted.get(row["note_id"]), "timeline": steps}


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A refund's row as answered."""
    return {**row, "approvals": len(row["approvers"])}


@router.post("/v1/finance/refunds/{id}/approve", response_model=RefundState)
async def approve(
    id: str, body: Decision, commander: Commanding, platform: PlatformDep, principal: Finance
) -> JSONResponse:
    return await _decide(id, "approve", body, commander, platform, principal)


@router.post("/v1/finance/refunds/{id}/reject", response_model=RefundState)
async def reject(
    id: str, body: Decision, commander: Commanding, platform: PlatformDep, principal: Finance
) -> JSONResponse:
    return await _decide(id, "reject", body, commander, platform, principal)


async def _decide(
    refund_id: str,
    action: str,
    body: Decision,
    commander: Commanding,
    platform: Platform,
    principal: Principal,
) -> JSONResponse:
    """The API signs who decides what; the process checks that signature and nothing else."""
    async with platform.database.reading() as connection:
        row = await refunds.find(connection, refund_id)
    if row is None:
        raise Problem(404)
    if row["user_id"] == principal.user_id:
        raise Problem(403, "own_refund")
    note_id = mint(Prefix.NOTE) if body.reason is not None else None
    process = workflow_id(Kind.REFUND, refund_id)

    def drive(command_id: str) -> Drive:
        assertion = Assertion(
            subject=principal.user_id,
            role="finance",
            workflow_id=process,
            action=action,
            expires_at=datetime.now(UTC) + LIFETIME,
            command_id=command_id,
        )
        signed = sign(platform.settings.assertion_key.get_secret_value(), assertion)
        return Drive(
            workflow_type="Refund",
            workflow_id=process,
            queue=Queue.BILLING,
            update=action,
            argument=StaffDecision(assertion=signed, note_id=note_id).model_dump(mode="json"),
        )

    about = [row["user_id"], row["payment_id"]]
    alongside = _noting(platform, principal, note_id, body.reason) if body.reason and note_id else None
    return await commander.run(
        mint(Prefix.COMMAND), drive, alongside=alongside, status=200, key_required=True, about=about
    )
