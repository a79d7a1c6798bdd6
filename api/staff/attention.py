"""Runs that wait for a person, the oldest first."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from api.platform import Platform, PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from api.staff import runs
from models.contracts.sealing import CannotOpen
from models.contracts.search_attributes import Attribute

router = APIRouter()

Staff = Annotated[Principal, Depends(require_role("support", "compliance", "finance", "admin"))]
WAITING = f"{Attribute.NEEDS_ATTENTION.value.name} = true AND ExecutionStatus = 'Running'"

CURSOR = "cursor:attention"


class Attention(BaseModel):
    items: list[runs.Run]
    next_cursor: str | None = None


@router.get("/staff/attention", response_model=Attention)
async def attention(
    staff: Staff,
    platform: PlatformDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=4096)] = None,
) -> Attention:
    """Who waits and since when, what happens by itself and when, and what the caller may do about it."""
    found, token = await runs.listed(platform, WAITING, limit, _token(platform, cursor))
    now = datetime.now(UTC)
    shown = [runs.shown(platform, run, staff.roles, now) for run in found]
    more = base64.urlsafe_b64encode(platform.vault.firm.seal(token, CURSOR)).decode() if token else None
    return Attention(items=sorted(shown, key=lambda run: run.started_at), next_cursor=more)


def _token(platform: Platform, cursor: str | None) -> bytes | None:
    # Sealed: Temporal takes a token that is none of its own for a fault, and is asked again for ten seconds.
    if cursor is None:
        return None
    try:
        sealed = base64.b64decode(cursor, altchars=b"-_", validate=True)
        return platform.vault.firm.open(sealed, CURSOR)
    except (binascii.Error, ValueError, CannotOpen):
        raise Problem(422, errors=[FieldError("query/cursor", "cursor_invalid", "not one of ours")]) from None
