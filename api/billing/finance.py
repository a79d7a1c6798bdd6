"""What finance reads of money in and out: payments, refunds, payouts. CSV by ``Accept``."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.billing.refunds import shown
from api.billing.tables import as_csv, wants_csv
from api.pages import Page, cut, page
from api.platform import PlatformDep
from api.principal import Principal, require_role
from domain.payments import RefundStatus
from store import payments, refunds

router = APIRouter(prefix="/v1/finance", tags=["finance"])
Finance = Annotated[Principal, Depends(require_role("finance"))]
Reference = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

PAYMENT = (
    "payment_id", "user_id", "purpose", "reference_id", "status", "amount", "amount_refunded", "currency",
    "gateway_order_id", "gateway_payment_id", "method", "fee", "tax", "invoice_id", "failure_code",
    "created_at", "captured_at", "version",
)  # fmt: skip
REFUND = (
    "refund_id", "payment_id", "user_id", "status", "amount", "currency", "speed", "authority",
    "requested_by",
    "approvals_due", "approvals", "reason_code", "gateway_refund_id", "arn", "utr", "failure_code",
    "created_at", "updated_at", "version",
)  # fmt: skip
PAYOUTS = [RefundStatus.MANUAL_PAYOUT.value, RefundStatus.PROCESSED.value, RefundStatus.PENDING.value]


@router.get("/payments", response_model=None)
async def all_payments(
    request: Request, query: Page, platform: PlatformDep, _: Finance
) -> Response | dict[str, Any]:
    async with platform.database.reading() as connection:
        rows = await payments.listing(
            connection,
            user_id=None,
            **query.asked,
        )
    rows, cursor = cut(rows, query, "payment_id")
    items = [{name: row[name] for name in PAYMENT} for row in rows]
    return as_csv("payments", PAYMENT, items) if wants_csv(request) else page(items, cursor)


@router.get("/refunds", response_model=None)
async def all_refunds(
    request: Request, query: Page, platform: PlatformDep, _: Finance, payment_id: Reference = None
) -> Response | dict[str, Any]:
    """Every refund, newest first; those of one payment by `payment_id`."""
    return await _refunds(request, query, platform, "refunds", payment_id=payment_id)


@router.get("/payouts", response_model=None)
async def payouts(
    request: Request,
    query: Page,
    platform: PlatformDep,
    _: Finance,
    by: Annotated[
        Literal["gateway", "bank"] | None, Query(description="Who pays: the gateway, or finance")
    ] = None,
    utr: Reference = None,
) -> Response | dict[str, Any]:
    """Money on its way back to customers, or back already: by the gateway, or by bank with its UTR."""
    by_bank = None if by is None else by == "bank"
    return await _refunds(request, query, platform, "payouts", statuses=PAYOUTS, by_bank=by_bank, utr=utr)


async def _refunds(
    request: Request, query: Page, platform: PlatformDep, name: str, **narrowed: Any
) -> Response | dict[str, Any]:
    async with platform.database.reading() as connection:
        rows = await refunds.listing(
            connection,
            **query.asked,
            **narrowed,
        )
    rows, cursor = cut(rows, query, "refund_id")
    items = [{column: shown(row)[column] for column in REFUND} for row in rows]
    return as_csv(name, REFUND, items) if wants_csv(request) else page(items, cursor)
