"""Who calls: from a bearer token or an API key to a `Principal`, once a request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends
from starlette.requests import Request

from api.platform import Platform, platform
from api.problems import Problem
from api.tokens import NotOurs
from store import identity_access
from store.entitlements import tier_of

Tier = Literal["free", "premium", "enterprise"]


@dataclass(frozen=True)
class Principal:
    """A signed-in caller. Roles, tier and contact state are read afresh at each request, so that what
    was ended or bought a moment ago counts at once. `acr` "2": a fresh second factor."""

    user_id: str
    roles: frozenset[str]
    tier: Tier
    session_id: str
    acr: Literal["1", "2"]
    email_verified: bool
    phone_verified: bool
    api_key_id: str | None = None

    @property
    def is_staff(self) -> bool:
        return bool(self.roles)


async def identify(request: Request) -> Principal | None:
    """The caller, None where no credential was sent; remembered for the request.

    Raises:
        Problem: 401, a credential was sent and does not hold.
    """
    state = request.state
    if not hasattr(state, "principal"):
        state.principal = await _identify(request, platform(request))
    return state.principal


async def _identify(request: Request, parts: Platform) -> Principal | None:
    if key := request.headers.get("x-api-key"):
        return await _by_api_key(parts, key)
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Problem(401, "token_invalid")
    try:
        claims = parts.tokens.read(token.strip())
    except NotOurs:
        raise Problem(401, "token_invalid") from None
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        access = await identity_access.by_session(connection, claims.session_id, claims.user_id, now)
        if access is None:
            raise Problem(401, "session_ended")
        tier = await tier_of(connection, claims.user_id, now)
    return _principal(access, tier, acr="2" if claims.acr == "2" else "1")


async def _by_api_key(parts: Platform, key: str) -> Principal:
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        access = await identity_access.by_api_key(connection, key, now)
        if access is None:
            raise Problem(401, "api_key_invalid")
        tier = await tier_of(connection, access.user_id, now)
    # A key acts for its owner, never with a staff role: those need a person who signed in.
    return _principal(access, tier, acr="1")


def _principal(access: identity_access.Access, tier: Tier, acr: Literal["1", "2"]) -> Principal:
    return Principal(
        user_id=access.user_id,
        roles=frozenset(access.roles),
        tier=tier,
        session_id=access.session_id or "",
        acr=acr,
        email_verified=access.email_verified,
        phone_verified=access.phone_verified,
        api_key_id=access.api_key_id,
    )


def guard(dependency: Callable) -> Callable:
    """Marks a dependency that may refuse with 401, 403 or 404: it is solved before the body is read."""
    dependency.__guard__ = True  # type: ignore[attr-defined]
    return dependency


@guard
async def current_user(request: Request) -> Principal:
    """The caller; 401 where nobody signed in."""
    principal = await identify(request)
    if principal is None:
        raise Problem(401)
    return principal


@guard
async def optional_user(request: Request) -> Principal | None:
    return await identify(request)


CurrentUser = Annotated[Principal, Depends(current_user)]
OptionalUser = Annotated[Principal | None, Depends(optional_user)]


def require_role(*roles: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that lets in whoever holds one of `roles`; 403 for everyone else."""

    @guard
    async def holder(request: Request) -> Principal:
        principal = await current_user(request)
        if not principal.roles & set(roles):
            raise Problem(403, "role_required")
        return principal

    return holder


def own(principal: Principal, owner_id: str | None, *staff: str) -> None:
    """Lets the owner pass, and holders of one of the `staff` roles; 404 for everyone else, so that
    another's object cannot be told from none."""
    if owner_id is None or (principal.user_id != owner_id and not principal.roles & set(staff)):
        raise Problem(404)


def step_up(principal: Principal) -> None:
    """403 ``step_up_required`` unless the token carries a second factor of the last five minutes."""
    if principal.acr != "2":
        raise step_up_required()


def step_up_required() -> Problem:
    return Problem(403, "step_up_required", more={"methods": ["totp", "phone"]})
