"""Roles: an administrator grants and ends them, never their own."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from api.identity import shapes
from api.pages import Page, cut, page
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import Problem
from domain.identity import Role
from store import identity_roles

router = APIRouter()

Admin = Annotated[Principal, Depends(require_role("admin"))]


@router.get("/staff/roles")
async def roles(_: Admin, query: Page, platform: PlatformDep) -> dict[str, Any]:
    """The roles that are held."""
    async with platform.database.reading() as connection:
        rows = await identity_roles.held(connection, datetime.now(UTC), query.after, query.limit + 1)
    named = [{**row, "place": f"{row['user_id']} {row['role']}"} for row in rows]
    shown, cursor = cut(named, query, "place")
    return page([shapes.HeldRole.model_validate(row) for row in shown], cursor)


@router.post("/staff/roles", status_code=201)
async def grant(body: shapes.Grant, admin: Admin, platform: PlatformDep) -> shapes.HeldRole:
    """Grants a role; it counts from the person's next request."""
    _not_oneself(admin, body.user_id)
    async with platform.database.transaction() as connection:
        row = await identity_roles.grant(
            connection, body.user_id, body.role, admin.user_id, body.expires_at, datetime.now(UTC)
        )
    if row is None:
        raise Problem(404)
    return shapes.HeldRole.model_validate(row)


@router.delete("/staff/roles", status_code=204)
async def end(
    user_id: Annotated[str, Query(max_length=64)],
    role: Annotated[Role, Query()],
    admin: Admin,
    platform: PlatformDep,
) -> Response:
    """Ends a role; it stops counting at the person's next request."""
    _not_oneself(admin, user_id)
    async with platform.database.transaction() as connection:
        if not await identity_roles.end(connection, user_id, role, admin.user_id, datetime.now(UTC)):
            raise Problem(404)
    return Response(status_code=204)


def _not_oneself(admin: Principal, user_id: str) -> None:
    if admin.user_id == user_id:
        raise Problem(403, "own_roles")
