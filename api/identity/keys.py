"""API keys of a person, and the public keys by which others check our tokens."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.identity import shapes
from api.pages import page
from api.platform import PlatformDep
from api.principal import CurrentUser
from api.problems import Problem
from store import identity_keys

router = APIRouter()


@router.get("/auth/jwks.json")
async def jwks(platform: PlatformDep) -> dict[str, Any]:
    """The JSON Web Key Set (RFC 7517)."""
    return platform.tokens.published()


@router.get("/auth/api-keys")
async def api_keys(principal: CurrentUser, platform: PlatformDep) -> dict[str, Any]:
    """The caller's living keys, without the keys themselves."""
    async with platform.database.transaction() as connection:
        rows = await identity_keys.of_person(connection, platform.vault, principal.user_id)
    return page([shapes.Key(**row) for row in rows])


@router.post("/auth/api-keys", status_code=201)
async def make_key(body: shapes.NewKey, principal: CurrentUser, platform: PlatformDep) -> shapes.MadeKey:
    """Makes a key; it is shown this once. A key cannot make keys."""
    if not principal.session_id:
        raise Problem(403, "session_required")
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        api_key_id, key = await identity_keys.make(
            connection, platform.vault, principal.user_id, body.name, body.expires_at, now
        )
    return shapes.MadeKey(
        api_key_id=api_key_id, name=body.name, made_at=now, expires_at=body.expires_at, key=key
    )


@router.delete("/auth/api-keys/{api_key_id}", status_code=204)
async def end_key(api_key_id: str, principal: CurrentUser, platform: PlatformDep) -> Response:
    """Ends one of the caller's keys; 404 for anyone else's."""
    async with platform.database.reading() as connection:
        if not await identity_keys.end(connection, principal.user_id, api_key_id, datetime.now(UTC)):
            raise Problem(404)
    return Response(status_code=204)
