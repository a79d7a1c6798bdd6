"""Postings by hand, for finance: written by one person, above ₹50,000 agreed to by another."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.billing.tables import as_csv, wants_csv
from api.commanding import Commanding
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from domain.billing_calendar import ist_date
from domain.ledger import Account, Line
from domain.vouchers import MOST_LINES, obstacle
from models.contracts.assertions import LIFETIME, Assertion, SignedAssertion, sign
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.vouchers import Sign, VoucherInput, VoucherState
from store import notes, vouchers
from store.database import Connection

router = APIRouter(prefix="/v1/finance/vouchers", tags=["finance"])
Finance = Annotated[Principal, Depends(require_role("finance"))]
Paise = Annotated[int, Field(ge=0, le=10**13)]

SHOWN = (
    "voucher_id", "status", "date", "amount", "lines", "note", "first_by", "second_by", "entry_id",
    "opened_at", "ended_at", "version",
)  # fmt: skip


class NewLine(BaseModel):
    model_config = ConfigDict(extra="forbid")

    account: Account
    debit: Paise = 0
    credit: Paise = 0


class NewVoucher(BaseModel):
    """`note`: why it is posted, and on what paper."""

    model_config = ConfigDict(extra="forbid")

    date: date
    lines: Annotated[list[NewLine], Field(min_length=2, max_length=MOST_LINES)]
    note: Annotated[str, Field(min_length=1, max_length=2000)]


@router.post("", status_code=201, response_model=VoucherState)
async def write(
    body: NewVoucher, principal: Finance, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """Posts lines between accounts that people move. 202 where a second person has to agree."""
    lines = _lines(body)
    if body.date > ist_date(datetime.now(UTC)):
        raise Problem(422, errors=[FieldError("/date", "date_ahead", "the day has not come yet")])
    code = obstacle(lines)
    if code is not None:
        raise Problem(422, errors=[FieldError("/lines", code, "see docs/finance.md")])
    voucher_id, note_id, now = mint(Prefix.VOUCHER), mint(Prefix.NOTE), datetime.now(UTC)

    async def keep(connection: Connection, _: str) -> None:
        await notes.write(connection, platform.vault, principal.user_id, body.note, now, note_id=note_id)

    def drive(command_id: str) -> Drive:
        signed = Sign(assertion=_signed(platform, principal, voucher_id, "post", command_id))
        given = VoucherInput(
            voucher_id=voucher_id,
            date=body.date,
            lines=lines,
            note_id=note_id,
            assertion_public_key=platform.settings.assertion_public_key,
        )
        return Drive(
            workflow_type="Voucher",
            workflow_id=workflow_id(Kind.VOUCHER, voucher_id),
            queue=Queue.BILLING,
            start=given.model_dump(mode="json"),
            update="post",
            argument=signed.model_dump(mode="json"),
            summary=f"Voucher {voucher_id}",
            details=f"A posting by hand, dated {body.date}: `GET /v1/finance/vouchers`",
        )

    return await commander.run(
        mint(Prefix.COMMAND),
        drive,
        alongside=keep,
        status=lambda answer: 201 if answer["status"] == "posted" else 202,
        key_required=True,
        about=[voucher_id],
    )


@router.get("", response_model=None)
async def listing(
    _: Finance, query: Page, request: Request, platform: PlatformDep
) -> Response | dict[str, Any]:
    """Vouchers with their reasons, newest first."""
    async with platform.database.reading() as connection:
        rows = await vouchers.listing(connection, **query.asked)
        shown, cursor = cut(rows, query, "voucher_id")
        items = [
            {name: row[name] for name in SHOWN if name != "note"}
            | {"note": await notes.read(connection, platform.vault, row["note_id"])}
            for row in shown
        ]
    return as_csv("vouchers", SHOWN, items) if wants_csv(request) else page(items, cursor)


@router.post("/{voucher_id}/approve", response_model=VoucherState)
async def approve(
    voucher_id: str, principal: Finance, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """The second person's yes: it is posted."""
    return await _decided(voucher_id, "approve", principal, commander, platform)


@router.post("/{voucher_id}/reject", response_model=VoucherState)
async def reject(
    voucher_id: str, principal: Finance, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """It is not posted; who wrote it may take it back by this too."""
    return await _decided(voucher_id, "reject", principal, commander, platform)


async def _decided(
    voucher_id: str, action: str, principal: Principal, commander: Commanding, platform: Platform
) -> JSONResponse:
    async with platform.database.reading() as connection:
        if await vouchers.find(connection, voucher_id) is None:
            raise Problem(404)

    def drive(command_id: str) -> Drive:
        signed = Sign(assertion=_signed(platform, principal, voucher_id, action, command_id))
        return Drive(
            workflow_type="Voucher",
            workflow_id=workflow_id(Kind.VOUCHER, voucher_id),
            queue=Queue.BILLING,
            update=action,
            argument=signed.model_dump(mode="json"),
        )

    return await commander.run(mint(Prefix.COMMAND), drive, status=200, key_required=True, about=[voucher_id])


def _lines(body: NewVoucher) -> list[Line]:
    try:
        return [Line.model_validate(line.model_dump()) for line in body.lines]
    except ValueError:
        error = FieldError("/lines", "one_side", "a line has a positive debit or a positive credit")
        raise Problem(422, errors=[error]) from None


def _signed(
    platform: Platform, principal: Principal, voucher_id: str, action: str, command_id: str
) -> SignedAssertion:
    assertion = Assertion(
        subject=principal.user_id,
        role="finance",
        workflow_id=workflow_id(Kind.VOUCHER, voucher_id),
        action=action,
        expires_at=datetime.now(UTC) + LIFETIME,
        command_id=command_id,
    )
    return sign(platform.settings.assertion_key.get_secret_value(), assertion)
