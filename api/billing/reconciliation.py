"""Settlement days and their breaks, for finance. CSV and PDF by ``Accept``."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.billing.settlement_report import PRINTED, as_pdf, lines_as_csv
from api.billing.tables import as_csv, wants_csv
from api.commanding import Commanding
from api.fields import Day
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from api.waiting import Wait, until
from domain.billing_calendar import ist_date
from domain.reconciliation import BreakStatus, Claim, Resolution, decide_by, needs_second
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.reconciliation import BreakInput, Found, Reconcile, ReconciliationInput, Resolve
from store import breaks, notes, payouts, reconciliation
from store.database import Connection

router = APIRouter(prefix="/v1/finance", tags=["finance"])
Finance = Annotated[Principal, Depends(require_role("finance"))]

BREAKS = (
    "break_id", "date", "kind", "reference", "payment_id", "amount", "difference", "difference_tax",
    "expected", "found", "status", "resolution", "ended", "who_acts", "age_days", "opened_at", "due_at",
    "overdue", "first_by", "second_by", "resolved_at", "settlement_id", "utr", "claim", "claim_resolution",
    "claim_first_by", "claim_second_by", "claim_line", "claim_settled_at", "version",
)  # fmt: skip
KNOWN = (
    "gateway_order_id", "user_id", "captured_at", "agreed_fee", "agreed_tax", "settled_at", "line_kind",
    "line_amount", "line_net", "line_fee", "line_tax",
)  # fmt: skip
DAY = ("date", "status", "lines", "matched", "difference", "bank", "started_at", "finished_at", "version")
SHOWN = 1000
"""Breaks within the day itself; `GET /v1/finance/breaks?date=` pages through them all."""


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
        shown = await _day(connection, platform, body.date)
    replayed = {name: value for name, value in answer.headers.items() if name.startswith("idempotency")}
    return JSONResponse(shown or {"date": day, "status": "running"}, 202, replayed)


@router.get(
    "/reconciliations/{date}.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
async def pdf(_: Finance, date: Annotated[date, Path()], platform: PlatformDep) -> Response:
    """The day at a glance: what was paid under which UTR, what agrees, what does not and who acts."""
    async with platform.database.reading() as connection:
        day = await reconciliation.view(connection, date)
        if day is None:
            raise Problem(404)
        found = await breaks.of_day(connection, date, PRINTED + 1)
        more = max(0, await breaks.count(connection, date) - PRINTED)
        shown = await _breaks(connection, platform, found[:PRINTED])
        settlements = await payouts.listing(connection, date)
        totals = await reconciliation.totals(connection, date)
    supplier = platform.settings.supplier_name
    content = await run_in_threadpool(as_pdf, supplier, day, settlements, totals, shown, more)
    headers = {"Content-Disposition": f'inline; filename="reconciliation-{date.isoformat()}.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)


@router.get("/reconciliations/{date}", response_model=None)
async def one(
    finance: Finance, date: Annotated[date, Path()], wait: Wait, request: Request, platform: PlatformDep
) -> Response | dict[str, Any]:
    """The day: figures, settlements by UTR, breaks, and what they leave unexplained; as CSV its lines."""
    if "application/pdf" in request.headers.get("accept", ""):
        return await pdf(finance, date, platform)
    if wants_csv(request):
        async with platform.database.reading() as connection:
            if await reconciliation.view(connection, date) is None:
                raise Problem(404)
        return lines_as_csv(platform.database, date)

    async def read() -> dict[str, Any]:
        async with platform.database.reading() as connection:
            found = await _day(connection, platform, date)
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
    _: Finance,
    query: Page,
    request: Request,
    platform: PlatformDep,
    day: Annotated[Day | None, Query(alias="date")] = None,
    claim: Annotated[Claim | None, Query()] = None,
) -> Response | dict[str, Any]:
    """Breaks of every day, newest first: what is known of each, its age, its deadline and who acts.

    `date`: of one settlement day; `claim`: where claims on the gateway stand.
    """
    async with platform.database.reading() as connection:
        rows = await breaks.listing(connection, **query.asked, day=day, claim=claim)
        shown, cursor = cut(rows, query, "place")
        items = await _breaks(connection, platform, shown)
    return as_csv("breaks", BREAKS, items) if wants_csv(request) else page(items, cursor)


@router.post("/breaks/{break_id}/resolve", status_code=200)
async def resolve(
    break_id: str, body: Decision, principal: Finance, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """One person's decision, never about their own payment. Above ₹50,000 it answers `awaiting_second` until
    another person agrees."""
    async with platform.database.reading() as connection:
        row = await breaks.find(connection, break_id)
    if row is None:
        raise Problem(404)
    if row["user_id"] == principal.user_id:
        raise Problem(403, "own_case")
    run_id = workflow_id(Kind.BREAK, row["date"].isoformat(), row["kind"], row["reference"])
    note_id, now = mint(Prefix.NOTE), datetime.now(UTC)

    async def keep_note(connection: Connection, _: str) -> None:
        await notes.write(connection, platform.vault, principal.user_id, body.note, now, note_id=note_id)

    about = [break_id, row["reference"]]
    key = platform.settings.assertion_public_key
    found = Found.model_validate({**row, "due_at": decide_by(row["opened_at"])})
    opened = BreakInput(found=found, assertion_public_key=key)

    def drive(command_id: str) -> Drive:
        assertion = Assertion(
            subject=principal.user_id,
            role="finance",
            workflow_id=run_id,
            action="resolve",
            expires_at=now + LIFETIME,
            command_id=command_id,
        )
        signed = sign(platform.settings.assertion_key.get_secret_value(), assertion)
        asked = Resolve(assertion=signed, resolution=body.resolution, note_id=note_id)
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
        mint(Prefix.COMMAND), drive, alongside=keep_note, status=200, key_required=True, about=about
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


async def _day(connection: Connection, platform: Platform, day: date) -> dict[str, Any] | None:
    row = await reconciliation.view(connection, day)
    if row is None:
        return None
    found = await _breaks(connection, platform, await breaks.of_day(connection, day, SHOWN))
    settlements = await payouts.listing(connection, day)
    shown = {name: row[name] for name in DAY}
    return to_jsonable_python({**shown, "settlements": settlements, "breaks": found})


async def _breaks(
    connection: Connection, platform: Platform, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Breaks as answered, each with what was written at its decisions and at those about its claim: the last
    one's words, and everyone's in turn."""
    noted = [note_id for row in rows for note_id in (*row["note_ids"], *row["claim_note_ids"])]
    texts = await notes.texts(connection, platform.vault, noted)
    return [
        {
            **_break(row),
            **_written("note", [texts[each] for each in row["note_ids"] if each in texts]),
            **_written("claim_note", [texts[each] for each in row["claim_note_ids"] if each in texts]),
        }
        for row in rows
    ]


def _written(name: str, texts: list[str]) -> dict[str, Any]:
    return {name: texts[-1] if texts else None, f"{name}s": texts}


def _break(row: dict[str, Any]) -> dict[str, Any]:
    """`amount` is the size of the difference; `difference` is positive where the gateway owes us."""
    now, due_at = datetime.now(UTC), decide_by(row["opened_at"])
    waits = row["status"] != BreakStatus.RESOLVED
    age = ((now if waits else row["resolved_at"]) - row["opened_at"]).days
    worked = {
        "amount": abs(row["difference"]),
        "age_days": age,
        "due_at": due_at,
        "overdue": waits and now > due_at,
        "who_acts": _who(row),
        "known": {name: row[name] for name in KNOWN if row[name] is not None},
        "resolve": f"POST /v1/finance/breaks/{row['break_id']}/resolve" if _who(row) else None,
        "two_people": needs_second(row["difference"], row["difference_tax"]),
    }
    names = (*BREAKS, "known", "resolve", "two_people")
    return to_jsonable_python({name: worked[name] if name in worked else row[name] for name in names})


def _who(row: dict[str, Any]) -> str | None:
    """Who acts next, in a word or two; None where nobody need."""
    if row["status"] == BreakStatus.RESOLVED:
        if row["claim"] != Claim.OPEN:
            return None
        return "a second person in finance" if row["claim_first_by"] else "the gateway"
    return "a second person in finance" if row["status"] == BreakStatus.AWAITING_SECOND else "finance"
