"""Invoices and credit notes: listed, read, and as PDF."""

from datetime import date, datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.billing.documents import render
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser, Principal, own
from store import invoices

router = APIRouter(prefix="/v1/billing/invoices", tags=["billing"])


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


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    line = {"description": row["description"], "sac": row["sac"], "quantity": 1}
    line |= {"taxable": row["taxable"], "total": row["total"]}
    return {**{name: row[name] for name in Invoice.model_fields if name != "lines"}, "lines": [line]}


@router.get("", response_model=None)
async def listing(query: Page, platform: PlatformDep, principal: CurrentUser) -> dict[str, Any]:
    async with platform.database.reading() as connection:
        rows = await invoices.listing(
            connection,
            user_id=principal.user_id,
            status=query.status,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    shown, cursor = cut(rows, query, "invoice_id")
    return page([_answer(row) for row in shown], cursor)


@router.get("/{id}.pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}})
async def pdf(id: str, platform: PlatformDep, principal: CurrentUser) -> Response:
    row = await _of(platform, principal, id)
    async with platform.database.transaction() as connection:
        buyer = await invoices.recipient(connection, platform.vault, row)
    content = await run_in_threadpool(render, row, buyer.name, platform.settings.public_url)
    name = row["number"].replace("/", "-")
    headers = {"Content-Disposition": f'inline; filename="{name}.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)


@router.get("/{id}", response_model=Invoice)
async def read(id: str, platform: PlatformDep, principal: CurrentUser) -> dict[str, Any]:
    return _answer(await _of(platform, principal, id))


async def _of(platform: Platform, principal: Principal, invoice_id: str) -> dict[str, Any]:
    async with platform.database.reading() as connection:
        row = await invoices.find(connection, invoice_id)
    own(principal, row["user_id"] if row else None, "support", "finance")
    return row or {}
