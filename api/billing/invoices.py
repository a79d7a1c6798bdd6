"""Invoices and credit notes: listed, read, as PDF, and checked by anyone who holds one."""

import asyncio
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.billing.documents import render
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser, Principal, own
from api.problems import Problem
from domain.einvoices import EInvoiceStatus
from models.contracts.links import invoice_code, invoice_link, is_code_of
from store import invoices

router = APIRouter(prefix="/v1", tags=["billing"])

IRN_WITHIN = 3.0
"""Seconds that a PDF waits for its IRN before it is refused: the portal mostly answers in one."""
UNHEARD_SECONDS = 0.5
"""How often the row is read again meanwhile, should its notice be lost."""
IRN_RETRY = {EInvoiceStatus.PENDING: "5", EInvoiceStatus.ATTENTION: "3600"}
"""When to ask again, in seconds, by how the registration stands."""


class Line(BaseModel):
    description: str
    sac: str
    quantity: int
    taxable: int
    total: int


class Invoice(BaseModel):
    """A document as issued; amounts in paise, `rate` in per cent."""

    invoice_id: str
    number: str
    kind: str
    status: str
    issued_on: date
    tax_point: datetime
    payment_id: str
    refund_id: str | None
    original_invoice_id: str | None
    buyer_gstin: str | None
    currency: str
    lines: list[Line]
    rate: int
    taxable: int
    cgst: int
    sgst: int
    igst: int
    total: int
    place_of_supply: str
    sac: str
    einvoice_status: str | None
    """None where no registration is due; else `pending`, `attention`, `registered` or `void`."""
    irn: str | None
    ack_no: str | None
    ack_at: datetime | None
    signed_qr: str | None
    void_reason: str | None
    replaced_by: str | None
    verify_url: str


class Verification(BaseModel):
    """What stands in our books of a document that somebody holds; nobody's personal data."""

    valid: bool
    status: str
    """`issued`, `void`, or `irn_pending`: no invoice yet."""
    kind: str
    number: str
    issued_on: date
    total: int
    currency: str
    supplier_gstin: str
    irn: str | None


def _answer(platform: Platform, row: dict[str, Any]) -> dict[str, Any]:
    line = {"description": row["description"], "sac": row["sac"], "quantity": 1}
    line |= {"taxable": row["taxable"], "total": row["total"]}
    link = _link(platform, row["invoice_id"])
    named = {name: row[name] for name in Invoice.model_fields if name not in ("lines", "verify_url")}
    return {**named, "lines": [line], "verify_url": link}


def _link(platform: Platform, invoice_id: str) -> str:
    return invoice_link(platform.settings.public_url, invoice_id, _code(platform, invoice_id))


def _code(platform: Platform, invoice_id: str) -> str:
    return invoice_code(platform.vault.index("invoice_link", invoice_id))


@router.get("/billing/invoices", response_model=None)
async def listing(query: Page, platform: PlatformDep, principal: CurrentUser) -> dict[str, Any]:
    async with platform.database.reading() as connection:
        rows = await invoices.listing(
            connection,
            user_id=principal.user_id,
            **query.asked,
        )
    shown, cursor = cut(rows, query, "invoice_id")
    return page([_answer(platform, row) for row in shown], cursor)


@router.get(
    "/billing/invoices/{id}.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
async def pdf(id: str, platform: PlatformDep, principal: CurrentUser) -> Response:
    """Signed. What has to carry an IRN is no invoice before it does: 409 `irn_pending` until then."""
    row = await _registered(platform, principal, id)
    async with platform.database.transaction() as connection:
        buyer = await invoices.recipient(connection, platform.vault, row)
    content = await run_in_threadpool(render, row, buyer, _link(platform, id), platform.signer)
    name = row["number"].replace("/", "-")
    headers = {"Content-Disposition": f'inline; filename="{name}.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)


@router.get("/billing/invoices/{id}", response_model=Invoice)
async def read(id: str, platform: PlatformDep, principal: CurrentUser) -> dict[str, Any]:
    return _answer(platform, await _of(platform, principal, id))


@router.get("/invoices/{id}/verify", response_model=Verification)
async def verify(
    id: str, platform: PlatformDep, code: Annotated[str, Query(min_length=1, max_length=64)]
) -> Verification:
    """Whether we issued it and it stands; open to whoever holds the document. `code` is on it: without the
    right one there is nothing here."""
    if not is_code_of(_code(platform, id), code):
        raise Problem(404)
    async with platform.database.reading() as connection:
        row = await invoices.find(connection, id)
    if row is None:
        raise Problem(404)
    pending = row["einvoice_status"] in IRN_RETRY
    status = "irn_pending" if pending and row["status"] == "issued" else row["status"]
    return Verification(
        valid=status == "issued",
        status=status,
        kind=row["kind"],
        number=row["number"],
        issued_on=row["issued_on"],
        total=row["total"],
        currency=row["currency"],
        supplier_gstin=row["supplier"]["gstin"],
        irn=row["irn"],
    )


async def _registered(platform: Platform, principal: Principal, invoice_id: str) -> dict[str, Any]:
    """The document once it may be handed out; waits a moment for an IRN that is on its way."""
    deadline = asyncio.get_running_loop().time() + IRN_WITHIN
    with platform.changes.watching([invoice_id]) as woken:
        while True:
            woken.clear()
            row = await _of(platform, principal, invoice_id)
            status = row["einvoice_status"]
            if status not in IRN_RETRY:
                return row
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or status == EInvoiceStatus.ATTENTION:
                raise Problem(409, "irn_pending", headers={"Retry-After": IRN_RETRY[EInvoiceStatus(status)]})
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), min(left, UNHEARD_SECONDS))


async def _of(platform: Platform, principal: Principal, invoice_id: str) -> dict[str, Any]:
    async with platform.database.reading() as connection:
        row = await invoices.find(connection, invoice_id)
    own(principal, row["user_id"] if row else None, "support", "finance")
    return row or {}
