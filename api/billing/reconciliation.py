"""Settlement days and their breaks, for finance. CSV by ``Accept``."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.billing.tables import as_csv, wants_csv
from api.commanding import Commanding
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from api.waiting import Wait, until
from domain.billing_calendar import ist_date
from domain.reconciliation import Resolution
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.reconciliation import BreakInput, Found, Reconcile, ReconciliationInput, Resolve
from store import breaks, notes, reconciliation
from store.database import Connection

router = APIRouter(prefix="/v1/finance", tags=["finance"])
Finance = Annotated[Principal, Depends(require_role("finance"))]

LINES = (
    "settlement_id", "utr", "kind", "entity_id", "payment_id", "amount", "debit", "credit", "fee", "tax",
    "verdict",
)  # fmt: skip
BREAKS = (
    "break_id", "date", "kind", "reference", "payment_id", "amount", "difference", "expected", "found",
    "status", "resolution", "first_by", "second_by", "opened_at", "resolved_at", "version",
)  # fmt: skip

DAY = ("date", "status", "lines", "matched", "difference", "bank", "started_at", "finished_at", "version")
DONE = ("balanced", "resolved")


class NewReconciliation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    date: date


class Decision(BaseModel):
    model_config = ConfigDict(extra="forbid")

    resolution: Resolution
    note: Annotated[str, Field(min_length=1, max_length=2000)]


@router.post("/reconciliations", status_code=202)
async def reconcile(
    body: NewReconciliation, _: Finance, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """Compares a settlement date (India) with the book, again if asked again; then `GET` it."""
    if body.date > ist_date(datetime.now(UTC)):
        raise Problem(422, errors=[FieldError("/date", "date_ahead", "the day has not come yet")])
    day = body.date.isoformat()
    answer = await commander.run(day, lambda _: _drive(platform, body.date), status=202)
    async with platform.database.reading() as connection:
        shown = await _day(connection, body.date)
    replayed = {name: value for name, value in answer.headers.items() if name.startswith("idempotency")}
    return JSONResponse(shown or {"date": day, "status": "running"}, 202, replayed)


@router.get("/reconciliations/{date}", response_model=None)
async def one(
    _: Finance, date: Annotated[date, Path()], wait: Wait, request: Request, platform: PlatformDep
) -> Response | dict[str, Any]:
    """The day: figures, breaks, and what they leave unexplained; as CSV its lines."""
    if wants_csv(request):
        async with platform.database.reading() as connection:
            if await reconciliation.view(connection, date) is None:
                raise Problem(404)
            return as_csv(f"reconciliation-{date}", LINES, await reconciliation.report(connection, date))

    async def read() -> dict[str, Any]:
        async with platform.database.reading() as connection:
            found = await _day(connection, date)
        if found is None:
            raise Problem(404)
        return found

    return await until(
        read,
        wait,
        lambda day: day["version"],
        lambda day: day["status"] in ("balanced", "resolved"),
        platform,
    )


@router.get("/breaks", response_model=None)
async def listing(
    _: Finance, query: Page, request: Request, platform: PlatformDep
) -> Response | dict[str, Any]:
    """Breaks of every day, newest first."""
    async with platform.database.reading() as connection:
        rows = await breaks.listing(
            connection,
            status=query.status,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    shown, cursor = cut(rows, query, "place")
    items = [_break(row) for row in shown]
    return as_csv("breaks", BREAKS, items) if wants_csv(request) else page(items, cursor)


@router.post("/breaks/{break_id}/resolve", status_code=200)
async def resolve(
    break_id: str, body: Decision, principal: Finance, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """One person's decision. Above ₹50,000 it answers `awaiting_second` until another person agrees."""
    async with platform.database.reading() as connection:
        row = await breaks.find(connection, break_id)
    if row is None:
        raise Problem(404)
    run_id = workflow_id(Kind.BREAK, row["date"].isoformat(), row["kind"], row["reference"])
    note_id, now = mint(Prefix.NOTE), datetime.now(UTC)
    assertion = Assertion(
        subject=principal.user_id,
        role="finance",
        workflow_id=run_id,
        action="resolve",
        expires_at=now + LIFETIME,
    )
    signed = sign(platform.settings.assertion_key.get_secret_value(), assertion)
    asked = Resolve(assertion=signed, resolution=body.resolution, note_id=note_id)

    async def keep_note(connection: Connection, _: str) -> None:
        await notes.write(connection, platform.vault, principal.user_id, body.note, now, note_id=note_id)

    key = platform.settings.assertion_public_key
    opened = BreakInput(found=Found.model_validate(row), assertion_public_key=key)

    def drive(_: str) -> Drive:
        # The row may be seen a moment before its process runs: then this starts it, with the same input.
        return Drive(
            workflow_type="ReconciliationBreak",
            workflow_id=run_id,
            queue=Queue.BILLING,
            start=opened.model_dump(mode="json"),
            update="resolve",
            argument=asked.model_dump(mode="json"),
        )

    return await commander.run(
        break_id, drive, alongside=keep_note, status=200, key_required=True, about=[row["reference"]]
    )


def _drive(platform: Platform, day: date) -> Drive:
    given = ReconciliationInput(date=day, assertion_public_key=platform.settings.assertion_public_key)
    return Drive(
        workflow_type="Reconciliation",
        workflow_id=workflow_id(Kind.RECONCILIATION, day.isoformat()),
        queue=Queue.BILLING,
        start=given.model_dump(mode="json"),
        update="reconcile",
        argument=Reconcile().model_dump(mode="json"),
        rerun=True,
        summary=f"Reconciliation of {day}",
        details=f"Compares the gateway's report of {day} with the book. "
        f"What it found: `GET /v1/finance/reconciliations/{day}`",
    )


async def _day(connection: Connection, day: date) -> dict[str, Any] | None:
    row = await reconciliation.view(connection, day)
    if row is None:
        return None
    found = [_break(item) for item in await reconciliation.breaks_of(connection, day)]
    names = (
        "date",
        "status",
        "lines",
        "matched",
        "difference",
        "bank",
        "started_at",
        "finished_at",
        "version",
    )
    return to_jsonable_python({**{name: row[name] for name in names}, "breaks": found})


def _break(row: dict[str, Any]) -> dict[str, Any]:
    """`amount` is the size of the difference; `difference` is positive where the gateway owes us."""
    shown = {**row, "amount": abs(row["difference"])}
    return to_jsonable_python({name: shown[name] for name in BREAKS})
