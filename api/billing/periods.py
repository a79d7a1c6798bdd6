"""Accounting months and the day's earned revenue: read, recognised, closed. CSV by ``Accept``."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.billing.tables import as_csv, wants_csv
from api.commanding import Commanding
from api.pages import page
from api.platform import Platform, PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from domain.billing_calendar import ist_date
from domain.closing import MESSAGES
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.closing import AskClose, CloseInput
from models.messages.recognition import AskRecognition, RecognitionInput
from store import closing, periods, recognition_runs
from store.database import Connection

router = APIRouter(prefix="/v1/finance", tags=["finance"])
Finance = Annotated[Principal, Depends(require_role("finance"))]
Period = Annotated[str, Path(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="yyyy-mm")]

PERIOD = (
    "period", "status", "closed_at", "closed_by", "entries", "turnover", "documents", "book_hash",
    "documents_hash",
)  # fmt: skip
DETAIL = ("run", "payment_id", "kind", "reference_id", "starts_on", "ends_on", "amount")


class NewRecognition(BaseModel):
    model_config = ConfigDict(extra="forbid")

    date: date


@router.get("/periods", response_model=None)
async def listing(request: Request, platform: PlatformDep, _: Finance) -> Response | dict[str, Any]:
    """Months with entries and closed ones, newest first; a closed one with what it held."""
    async with platform.database.reading() as connection:
        items = await periods.listing(connection)
    return as_csv("periods", PERIOD, items) if wants_csv(request) else page(items)


@router.get("/periods/{period}", response_model=None)
async def one(period: Period, platform: PlatformDep, _: Finance) -> dict[str, Any]:
    """A month, and while it is open what it still lacks."""
    async with platform.database.reading() as connection:
        found = await periods.listing(connection, period)
        row = (
            found[0] if found else dict.fromkeys(PERIOD) | {"period": period, "status": "open", "entries": 0}
        )
        lacks = [] if row["status"] == "closed" else await _lacks(connection, period)
    return {**row, "missing": lacks}


@router.post("/periods/{period}/close", status_code=200)
async def close(
    period: Period, principal: Finance, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """Closes a month for good, or says what it lacks (409 `period_not_ready`)."""
    async with platform.database.reading() as connection:
        is_closed = await periods.find(connection, period) is not None
        lacks = [] if is_closed else await _lacks(connection, period)
    if lacks:
        errors = [
            FieldError("", lack["code"], f"{lack['message']}: {', '.join(lack['about'])}") for lack in lacks
        ]
        raise Problem(409, "period_not_ready", errors=errors, more={"missing": lacks})
    return await commander.run(
        mint(Prefix.COMMAND),
        lambda command_id: _close(platform, principal, period, command_id),
        status=_status,
        about=[period],
    )


@router.post("/revenue", status_code=202)
async def recognise(body: NewRecognition, _: Finance, commander: Commanding) -> JSONResponse:
    """Posts what was earned through a day (India) and is not in the book; asked again, it posts nothing."""
    if body.date >= ist_date(datetime.now(UTC)):
        raise Problem(422, errors=[FieldError("/date", "date_ahead", "the day is not over")])
    return await commander.run(body.date.isoformat(), lambda _: _recognise(body.date), status=202)


@router.get("/revenue/{date}", response_model=None)
async def recognised(
    date: Annotated[date, Path()], request: Request, platform: PlatformDep, _: Finance
) -> Response | dict[str, Any]:
    """The runs of a day; as CSV what they recognised of each payment."""
    async with platform.database.reading() as connection:
        runs = await recognition_runs.listing(connection, date)
        if not wants_csv(request):
            return page(runs)
        rows = [
            {"run": run["number"], **line}
            for run in runs
            for line in await recognition_runs.detail(connection, run["number"])
        ]
    return as_csv(f"revenue-{date}", DETAIL, rows)


async def _lacks(connection: Connection, period: str) -> list[dict[str, Any]]:
    found = await closing.missing(connection, period, ist_date(datetime.now(UTC)))
    return [{"code": lack.code, "message": MESSAGES[lack.code], "about": lack.about} for lack in found]


def _status(body: dict[str, Any]) -> int:
    return 200 if body["status"] == "closed" else 202


def _close(platform: Platform, principal: Principal, period: str, command_id: str) -> Drive:
    run_id = workflow_id(Kind.CLOSE, period)
    assertion = Assertion(
        subject=principal.user_id,
        role="finance",
        workflow_id=run_id,
        action="close",
        expires_at=datetime.now(UTC) + LIFETIME,
        command_id=command_id,
    )
    signed = sign(platform.settings.assertion_key.get_secret_value(), assertion)
    given = CloseInput(period=period, assertion_public_key=platform.settings.assertion_public_key)
    return Drive(
        workflow_type="PeriodClose",
        workflow_id=run_id,
        queue=Queue.BILLING,
        start=given.model_dump(mode="json"),
        update="close",
        argument=AskClose(assertion=signed).model_dump(mode="json"),
        rerun=True,
        summary=f"Close of {period}",
        details=f"Closes the books of {period}. What it lacks: `GET /v1/finance/periods/{period}`",
    )


def _recognise(day: date) -> Drive:
    return Drive(
        workflow_type="RevenueRecognition",
        workflow_id=workflow_id(Kind.REVENUE, day.isoformat()),
        queue=Queue.BILLING,
        start=RecognitionInput(date=day).model_dump(mode="json"),
        update="recognise",
        argument=AskRecognition().model_dump(mode="json"),
        rerun=True,
        summary=f"Revenue earned through {day}",
        details=f"What was posted: `GET /v1/finance/revenue/{day}`",
    )
