"""What compliance reads and says of payments: alerts of monitoring, and scores that it takes into account."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from api.billing.shapes import Body, Id
from api.pages import Page, cut
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from domain.monitoring import Effect, Flag
from models.contracts.workflow_ids import Kind, workflow_id
from store import audit, identity_risk, monitoring, notes, staff_search

router = APIRouter(prefix="/v1/compliance", tags=["compliance"])
LAST = 2**63 - 1
ID = r"^[A-Za-z0-9_-]+$"
Compliance = Annotated[Principal, Depends(require_role("compliance"))]


class Alert(BaseModel):
    """One flag on one payment; figures are paise, payments or points. `status` None: never opened; `note`:
    what the officer wrote who decided."""

    number: int
    payment_id: str
    workflow_id: str
    user_id: str
    flag: Flag
    effect: Effect
    stage: Literal["create", "capture"]
    measured: Decimal
    allowed: Decimal
    status: str | None
    amount: int
    raised_at: datetime
    escalated_at: datetime | None
    decision: Literal["released", "blocked", "lapsed"] | None
    decided_by: str | None
    decided_at: datetime | None
    note: str | None


class Alerts(BaseModel):
    items: list[Alert]
    next_cursor: str | None = None


class Score(Body):
    """What an outside judge says; `source` names it. The newest of a kind counts while it is valid."""

    user_id: Id
    kind: Literal["location", "fraud"]
    score: Annotated[int, Field(strict=True, ge=0, le=100)]
    source: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-./]+$")]
    valid_days: Annotated[int, Field(strict=True, ge=1, le=366)] = 30


class Scored(BaseModel):
    user_id: str
    kind: str
    score: int
    expires_at: datetime


@router.get("/payment-alerts", response_model=Alerts)
async def alerts(
    query: Page,
    platform: PlatformDep,
    _: Compliance,
    user_id: Annotated[str | None, Query(max_length=64, pattern=ID)] = None,
    payment_id: Annotated[str | None, Query(max_length=64, pattern=ID)] = None,
) -> Alerts:
    """Newest first; `status=review` gives those whose payment waits for a decision, which is taken by
    `POST /v1/staff/runs/{workflow_id}/actions/release` or `/block`."""
    if query.after is not None and not (query.after.isascii() and query.after.isdecimal()):
        raise Problem(422, errors=[FieldError("query/cursor", "cursor_invalid", "not one of ours")])
    if query.status not in (None, "review"):
        raise Problem(422, errors=[FieldError("query/status", "status_unknown", "only `review`")])
    async with platform.database.reading() as connection:
        rows = await monitoring.alerts(
            connection,
            user_id=user_id,
            payment_id=payment_id,
            undecided=query.status == "review",
            start=query.start,
            end=query.end,
            before=min(int(query.after), LAST) if query.after else None,
            limit=query.limit + 1,
        )
        shown, cursor = cut(rows, query, "number")
        texts = await notes.texts(connection, platform.vault, [row["note_id"] for row in shown])
    named = [
        {
            **row,
            "workflow_id": workflow_id(Kind.SUBSCRIPTION, row["subscription_id"])
            if row["subscription_id"]
            else workflow_id(Kind.PAYMENT, row["payment_id"]),
            "note": texts.get(row["note_id"]),
        }
        for row in shown
    ]
    return Alerts(items=[Alert.model_validate(row) for row in named], next_cursor=cursor)


@router.put("/risk-scores", response_model=Scored)
async def score(body: Score, platform: PlatformDep, officer: Compliance) -> Scored:
    """Monitoring looks at place and fraud only by such scores: without one it looks at neither."""
    now = datetime.now(UTC)
    expires_at = now + timedelta(days=body.valid_days)
    async with platform.database.transaction() as connection:
        if not await staff_search.is_user(connection, body.user_id):
            raise Problem(422, errors=[FieldError("/user_id", "user_unknown", "nobody of ours")])
        await identity_risk.set_score(
            connection,
            **body.model_dump(exclude={"valid_days"}),
            set_by=officer.user_id,
            now=now,
            expires_at=expires_at,
        )
        await audit.write(
            connection,
            actor=officer.user_id,
            action="risk.scored",
            subjects=[body.user_id],
            detail={"kind": body.kind, "score": body.score, "source": body.source},
            now=now,
        )
    return Scored(user_id=body.user_id, kind=body.kind, score=body.score, expires_at=expires_at)
