"""A customer's day at the broker: statement, comparison, and what staff see of its breaks."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.billing.tables import as_csv, wants_csv
from api.commanding import Commanding
from api.fields import Day
from api.pages import Page, cut, page
from api.platform import PlatformDep
from api.principal import CurrentUser, Principal, own, require_role
from api.problems import FieldError, Problem
from api.trading import shapes
from api.trading.kill_switch import Owned
from domain.market_calendar import trading_date
from models.contracts.commands import Drive
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker_days import BrokerDayInput, CompareNow
from store import broker_breaks, trading_accounts, trading_statements

router = APIRouter(prefix="/v1/trading", tags=["trading"])

STAFF = ("support", "compliance")
TRADES = (
    "trade_id", "order_id", "broker_order_id", "exchange", "symbol", "product", "side", "quantity", "price",
    "kind", "traded_at",
)  # fmt: skip
POSITIONS = (
    "exchange", "symbol", "product", "opening_quantity", "bought", "sold", "closing_quantity",
    "average_price", "last_price", "realised", "unrealised", "charges",
)  # fmt: skip
BREAKS = (
    "break_id", "account_id", "date", "kind", "reference", "ours", "theirs", "status", "resolution",
    "opened_at", "resolved_at", "version",
)  # fmt: skip


@router.get("/holdings")
async def holdings(principal: CurrentUser, platform: PlatformDep) -> dict[str, Any]:
    """Delivered shares as the broker showed them when the account was last compared (`read_at`)."""
    async with platform.database.reading() as connection:
        rows = await trading_statements.holdings(connection, principal.user_id)
    return page([_prices(row) for row in rows])


@router.get("/statement", response_model=None)
async def statement(
    account_id: Annotated[str, Query(min_length=1, max_length=64)],
    date: Annotated[Day, Query()],
    principal: CurrentUser,
    request: Request,
    platform: PlatformDep,
) -> Response | dict[str, Any]:
    """The account's trading day (Asia/Kolkata): positions with the day's profit, trades, charges by the
    broker's own calculation (null until it has made it), breaks. As CSV the positions."""
    async with platform.database.reading() as connection:
        own(principal, await trading_accounts.owner_of(connection, account_id), *STAFF)
        found = await trading_statements.statement(connection, account_id, date)
    positions = [_prices(row) for row in found["positions"]]
    if wants_csv(request):
        return as_csv(f"statement-{account_id}-{date}", POSITIONS, positions)
    return {
        "account_id": account_id,
        "date": date.isoformat(),
        "currency": "INR",
        "status": found["status"],
        "read_at": shapes.instant(found["read_at"]),
        "positions": [{name: row[name] for name in POSITIONS} for row in positions],
        "trades": [{name: _prices(row)[name] for name in TRADES} for row in found["trades"]],
        "charges": found["charges"],
        "totals": found["totals"],
        "breaks": [_break(row | {"account_id": account_id, "day": date}) for row in found["breaks"]],
        "version": found["version"],
    }


@router.post("/accounts/{account_id}/reconciliation", status_code=202)
async def compare(
    account_id: Owned,
    principal: CurrentUser,
    commander: Commanding,
    platform: PlatformDep,
    body: Annotated[shapes.DayBody | None, Body()] = None,
) -> JSONResponse:
    """Holds the day against the broker's book now, again if asked again; it also runs by itself after each
    close. The answer is what is known by then: `GET /v1/trading/statement` shows the rest."""
    today = trading_date(datetime.now(UTC))
    day = body.date if body and body.date else today
    if day > today:
        raise Problem(422, errors=[FieldError("/date", "date_ahead", "the day has not come yet")])
    drive = day_drive(account_id, principal.user_id, day, platform.settings.assertion_public_key)
    return await commander.run(f"{account_id}:{day}", lambda _: drive, status=202)


@router.get("/breaks")
async def breaks(
    _: Annotated[Principal, Depends(require_role(*STAFF))], query: Page, platform: PlatformDep
) -> dict[str, Any]:
    """Differences between accounts and brokers, newest first; decided by
    `POST /v1/staff/runs/broker-break:{break_id}/actions/resolve {resolution, note}`."""
    async with platform.database.reading() as connection:
        rows = await broker_breaks.listing(
            connection,
            status=query.status,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    shown, cursor = cut(rows, query, "place")
    return page([_break(row) for row in shown], cursor)


def day_drive(account_id: str, user_id: str, day: date, assertion_public_key: str) -> Drive:
    """Starts the comparison of the account's day, or joins the one that runs."""
    begun = BrokerDayInput(
        account_id=account_id, user_id=user_id, day=day, assertion_public_key=assertion_public_key
    )
    return Drive(
        workflow_type="BrokerDay",
        workflow_id=workflow_id(Kind.BROKER_DAY, account_id, day.isoformat()),
        queue=Queue.TRADING,
        start=begun.model_dump(mode="json"),
        update="compare",
        argument=CompareNow().model_dump(mode="json"),
        rerun=True,
        summary=f"Day {day} of account {account_id}",
        details=f"Account `{account_id}` on {day}, held against the broker's book",
        attributes={"CUSTOMER": user_id, "REFERENCE": [account_id]},
    )


def _prices(row: dict[str, Any]) -> dict[str, Any]:
    """Prices as decimal strings, times as RFC 3339."""
    prices: dict[str, Any] = {
        name: shapes.decimal(row[name]) for name in ("price", "average_price", "last_price") if name in row
    }
    times: dict[str, Any] = {
        name: shapes.instant(row[name]) for name in ("traded_at", "read_at") if name in row
    }
    return {**row, **prices, **times}


def _break(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: shapes.instant(row[name]) for name in ("opened_at", "resolved_at")}
    told = {**row, **times, "date": row["day"].isoformat()}
    return {name: told[name] for name in BREAKS}
