"""The audit trail of a person, run or object."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from api.pages import Page, cut
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from store import audit, notes

router = APIRouter()

Reader = Annotated[Principal, Depends(require_role("support", "compliance"))]


class Entry(BaseModel):
    """Who did what, when, about whom, through which run; `hash` links it to the entry before."""

    number: int
    made_at: datetime
    actor: str
    action: str
    subjects: list[str]
    run: str | None
    detail: dict[str, Any]
    note: str | None = None
    """What was written at it; shown to compliance, and to those of a role of the writer's."""
    hash: str


class Trail(BaseModel):
    items: list[Entry]
    next_cursor: str | None = None


@router.get("/audit", response_model=Trail)
async def trail(
    subject: Annotated[str, Query(min_length=1, max_length=256)],
    reader: Reader,
    query: Page,
    platform: PlatformDep,
) -> Trail:
    """Newest first. Reading it is itself recorded."""
    if query.after is not None and not query.after.isdecimal():
        raise Problem(422, errors=[FieldError("query/cursor", "cursor_invalid", "not one of ours")])
    async with platform.database.transaction() as connection:
        rows = await audit.about(
            connection,
            subject,
            start=query.start,
            end=query.end,
            before=int(query.after) if query.after else None,
            limit=query.limit + 1,
        )
        if rows and query.after is None:
            await audit.write(
                connection,
                actor=reader.user_id,
                action="audit.read",
                subjects=[subject],
                now=datetime.now(UTC),
            )
        shown, cursor = cut(rows, query, "number")
        readable = {row["number"]: _readable(row["detail"], reader) for row in shown}
        texts = await notes.texts(connection, platform.vault, readable.values())
    items = [Entry.model_validate(row | {"note": texts.get(readable[row["number"]])}) for row in shown]
    return Trail(items=items, next_cursor=cursor)


def _readable(detail: dict[str, Any], reader: Principal) -> str | None:
    """The note's id, where the reader may know it: what compliance writes is for compliance alone."""
    writers, mine = set(detail.get("roles", ())), set(reader.roles)
    shared = bool(writers & mine) and "compliance" not in writers
    return detail.get("note_id") if shared or "compliance" in mine else None
