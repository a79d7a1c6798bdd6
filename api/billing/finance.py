"""What finance reads: the book, payments, refunds, payouts, the month's GST. CSV by ``Accept``."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.billing.refunds import shown
from api.billing.tables import as_csv, wants_csv
from api.pages import Page, cut, page
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from domain.payments import RefundStatus
from store import invoices, ledger, payments, refunds

router = APIRouter(prefix="/v1/finance", tags=["finance"])
Finance = Annotated[Principal, Depends(require_role("finance"))]
Period = Annotated[str, Query(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="yyyy-mm")]

BALANCE = ("account", "debit", "credit")
STATEMENT = ("entry_id", "business_key", "date", "made_at", "account", "debit", "credit", "references")
PAYMENT = (
    "payment_id", "user_id", "purpose", "reference_id", "status", "amount", "amount_refunded", "currency",
    "gateway_order_id", "gateway_payment_id", "method", "fee", "tax", "invoice_id", "failure_code",
    "created_at", "captured_at", "version",
)  # fmt: skip
REFUND = (
    "refund_id", "payment_id", "user_id", "status", "amount", "currency", "speed", "authority",
    "requested_by",
    "approvals_due", "approvals", "reason_code", "gateway_refund_id", "utr", "failure_code", "created_at",
    "updated_at", "version",
)  # fmt: skip
GST = (
    "kind", "buyer", "place_of_supply", "documents", "first_number", "last_number", "taxable", "cgst", "sgst",
    "igst", "total",
)  # fmt: skip
PAYOUTS = [RefundStatus.MANUAL_PAYOUT.value, RefundStatus.PROCESSED.value, RefundStatus.PENDING.value]


@router.get("/trial-balance", response_model=None)
async def trial_balance(
    request: Request,
    platform: PlatformDep,
    _: Finance,
    until: Annotated[date | None, Query(description="Up to and including this business day")] = None,
) -> Response | dict[str, Any]:
    async with platform.database.reading() as connection:
        items = [vars(line) for line in await ledger.trial_balance(connection, until)]
    if wants_csv(request):
        return as_csv("trial-balance", BALANCE, items)
    return {
        "items": items,
        "total_debit": sum(item["debit"] for item in items),
        "total_credit": sum(item["credit"] for item in items),
    }


@router.get("/ledger", response_model=None)
async def statement(
    request: Request,
    query: Page,
    platform: PlatformDep,
    _: Finance,
    account: Annotated[str | None, Query(pattern=r"^[a-z_]{1,64}$")] = None,
    reference: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_/:-]{1,128}$")] = None,
) -> Response | dict[str, Any]:
    """Lines of one account, or of all; of one payment, invoice, refund or UTR by `reference`."""
    async with platform.database.reading() as connection:
        if account is not None and not await ledger.has_account(connection, account):
            raise Problem(422, errors=[FieldError("query/account", "account_unknown", "not in the chart")])
        rows = await ledger.statement(
            connection,
            account=account,
            reference=reference,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    items, cursor = cut(rows, query, "line_id")
    return as_csv("ledger", STATEMENT, items) if wants_csv(request) else page(items, cursor)


@router.get("/payments", response_model=None)
async def all_payments(
    request: Request, query: Page, platform: PlatformDep, _: Finance
) -> Response | dict[str, Any]:
    async with platform.database.reading() as connection:
        rows = await payments.listing(
            connection,
            user_id=None,
            status=query.status,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    rows, cursor = cut(rows, query, "payment_id")
    items = [{name: row[name] for name in PAYMENT} for row in rows]
    return as_csv("payments", PAYMENT, items) if wants_csv(request) else page(items, cursor)


@router.get("/refunds", response_model=None)
async def all_refunds(
    request: Request, query: Page, platform: PlatformDep, _: Finance
) -> Response | dict[str, Any]:
    return await _refunds(request, query, platform, "refunds", None)


@router.get("/payouts", response_model=None)
async def payouts(
    request: Request, query: Page, platform: PlatformDep, _: Finance
) -> Response | dict[str, Any]:
    """Money on its way back to customers, or back already: by the gateway, or by bank with its UTR."""
    return await _refunds(request, query, platform, "payouts", PAYOUTS)


async def _refunds(
    request: Request, query: Page, platform: PlatformDep, name: str, statuses: list[str] | None
) -> Response | dict[str, Any]:
    async with platform.database.reading() as connection:
        rows = await refunds.listing(
            connection,
            status=query.status,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
            statuses=statuses,
        )
    rows, cursor = cut(rows, query, "refund_id")
    items = [{column: shown(row)[column] for column in REFUND} for row in rows]
    return as_csv(name, REFUND, items) if wants_csv(request) else page(items, cursor)


@router.get("/gst", response_model=None)
async def gst(
    request: Request, platform: PlatformDep, _: Finance, period: Period
) -> Response | dict[str, Any]:
    """Outward supplies of a month: invoices and the notes against them, by buyer and place (GSTR-1)."""
    year, month = (int(part) for part in period.split("-"))
    following = date(year + month // 12, month % 12 + 1, 1)
    async with platform.database.reading() as connection:
        items = await invoices.tax_figures(connection, date(year, month, 1), following)
    if wants_csv(request):
        return as_csv(f"gst-{period}", GST, items)
    return {"period": period, "items": items, **_net(items)}


def _net(items: list[dict[str, Any]]) -> dict[str, int]:
    """Tax due of the month before input tax (GSTR-3B, 3.1): invoices less credit notes."""
    signs = {"invoice": 1, "credit_note": -1, "financial_credit_note": 0}
    return {
        part: sum(signs[item["kind"]] * item[part] for item in items)
        for part in ("taxable", "cgst", "sgst", "igst")
    }
