"""The book as finance reads it: the chart, the trial balance, statements. CSV by ``Accept``."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.billing.tables import as_csv, wants_csv
from api.pages import Page, cut, page
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from domain.billing_calendar import ist_date
from domain.chart import MEANINGS
from domain.ledger import NATURES, Account
from store import ledger

router = APIRouter(prefix="/v1/finance", tags=["finance"])
Finance = Annotated[Principal, Depends(require_role("finance"))]

ACCOUNT = ("account", "nature", "meaning")
BALANCE = ("account", "nature", "debit", "credit", "balance")
STATEMENT = ("entry_id", "business_key", "date", "made_at", "account", "debit", "credit", "references")


@router.get("/accounts", response_model=None)
async def accounts(request: Request, _: Finance) -> Response | dict[str, Any]:
    """The chart: what stands on each account."""
    items = [
        {"account": account, "nature": NATURES[account], "meaning": MEANINGS[account]} for account in Account
    ]
    return as_csv("accounts", ACCOUNT, items) if wants_csv(request) else page(items)


@router.get("/trial-balance", response_model=None)
async def trial_balance(
    request: Request,
    platform: PlatformDep,
    _: Finance,
    as_of: Annotated[date | None, Query(description="Up to and including this business day")] = None,
) -> Response | dict[str, Any]:
    """Turnover of every account and its balance, debit less credit; both sides add up to the same."""
    async with platform.database.reading() as connection:
        lines = await ledger.trial_balance(connection, as_of)
    items = [
        {**vars(line), "nature": NATURES[Account(line.account)], "balance": line.debit - line.credit}
        for line in lines
    ]
    if wants_csv(request):
        return as_csv("trial-balance", BALANCE, items)
    return {
        "as_of": as_of,
        "items": items,
        "total_debit": sum(line.debit for line in lines),
        "total_credit": sum(line.credit for line in lines),
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
    """Lines by business day, newest first; of one payment, invoice, refund or UTR by `reference`.

    Of one account also its opening and closing balance over the days asked for, and the balance after each
    line: debit less credit.
    """
    start = ist_date(query.start) if query.start else None
    end = _after(query.end) if query.end else None
    more: dict[str, Any] = {}
    async with platform.database.reading() as connection:
        if account is not None and not await ledger.has_account(connection, account):
            raise Problem(422, errors=[FieldError("query/account", "account_unknown", "not in the chart")])
        rows = await ledger.statement(
            connection,
            account=account,
            reference=reference,
            after=query.after,
            start=start,
            end=end,
            limit=query.limit + 1,
        )
        items, cursor = cut(rows, query, "line_id")
        if account is not None and reference is None:
            last = items[-1]["line_id"] if items else None
            held = await ledger.balances(connection, account, start=start, end=end, before=last)
            _run(items, held.before)
            more = {"opening_balance": held.opening, "closing_balance": held.closing}
    if wants_csv(request):
        return as_csv("ledger", (*STATEMENT, "balance") if more else STATEMENT, items)
    return {**page(items, cursor), **more}


def _run(items: list[dict[str, Any]], before: int) -> None:
    """Adds the balance after each line, the oldest standing last."""
    for item in reversed(items):
        before += item["debit"] - item["credit"]
        item["balance"] = before


def _after(end: datetime) -> date:
    """The first business day that is not asked for; a time within a day asks for that whole day."""
    return ist_date(end - timedelta(microseconds=1)) + timedelta(days=1)
