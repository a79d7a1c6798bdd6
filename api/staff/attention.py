"""Runs that wait for a person, the oldest first."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from api.staff import runs
from models.contracts.search_attributes import Attribute

router = APIRouter()

Staff = Annotated[Principal, Depends(require_role("support", "compliance", "finance", "admin"))]
WAITING = f"{Attribute.NEEDS_ATTENTION.value.name} = true AND ExecutionStatus = 'Running'"


class Attention(BaseModel):
    items: list[runs.Run]
    next_cursor: str | None = None


@router.get("/staff/attention", response_model=Attention)
async def attention(
    staff: Staff,
    platform: PlatformDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=2048)] = None,
) -> Attention:
    """Who waits and since when, what happens by itself and when, and what the caller may do about it."""
    found, token = await runs.listed(platform, WAITING, limit, _token(cursor))
    now = datetime.now(UTC)
    shown = [runs.shown(platform, run, staff.roles, now) for run in found]
    more = base64.urlsafe_b64encode(token).decode() if token else None
    return Attention(items=sorted(shown, key=lambda run: run.started_at), next_cursor=more)


def _token(cursor: str | None) -> bytes | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Problem(422, errors=[FieldError("query/cursor", "cursor_invalid", "not one of ours")]) from None
