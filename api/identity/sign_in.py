"""Sign-in, refresh, sign-out and the list of sessions."""

import math
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.identity import issuing, passwords, shapes
from api.identity.totp import counter_of
from api.pages import page
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser
from api.problems import Problem
from domain.identity import Refresh, normalise_email
from store import identity_factors, identity_sessions, identity_users
from store.database import Connection

router = APIRouter()


@router.post("/auth/login")
async def login(body: shapes.Login, request: Request, platform: PlatformDep) -> shapes.Pair:
    """Signs in by password and, where one is active, a second factor: a TOTP code or a recovery code."""
    now = datetime.now(UTC)
    email = _normalised(body.email)
    index = platform.vault.index("email", email)
    async with platform.database.reading() as connection:
        locked = await identity_factors.locked_until(connection, index, now)
        person = await identity_users.by_email(connection, platform.vault, email)
    if locked is not None:
        wait = math.ceil((locked - now).total_seconds())
        raise Problem(429, "sign_in_locked", headers={"Retry-After": str(wait)})
    if not await passwords.fits(body.password, person.password_hash if person else None) or person is None:
        await _fail(platform, index, now)
        raise Problem(401, "invalid_credentials")
    if not person.email_verified:
        raise Problem(403, "verification_pending")
    if person.totp_secret is not None and body.totp is None:
        raise Problem(401, "totp_required")
    fresh_hash = await passwords.hashed(body.password) if passwords.stale(person.password_hash) else None
    async with platform.database.transaction() as connection:
        right = person.totp_secret is None or await _second_factor(
            connection, platform, person.user_id, body.totp or "", now
        )
        if right:
            if fresh_hash is not None:
                await identity_users.set_password(connection, person.user_id, fresh_hash, now)
            await identity_factors.clear_failures(connection, index)
            return await issuing.open_session(connection, platform, request, person.user_id, now)
    await _fail(platform, index, now)
    raise Problem(401, "totp_invalid")


@router.post("/auth/refresh")
async def refresh(body: shapes.Refresh, platform: PlatformDep) -> shapes.Pair:
    """Spends a refresh token for a new pair; a spent one ends the session, save within ten seconds."""
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        turned = await identity_sessions.rotate(connection, body.refresh_token, now)
        if turned.refresh_token:
            return await issuing.pair(
                connection, platform, turned.user_id, turned.session_id, turned.refresh_token, now
            )
    raise Problem(401, "refresh_reused" if turned.outcome is Refresh.REUSED else "refresh_invalid")


@router.post("/auth/logout", status_code=204)
async def logout(principal: CurrentUser, platform: PlatformDep) -> Response:
    """Ends the caller's session; its access tokens stop at once."""
    async with platform.database.reading() as connection:
        await identity_sessions.end(connection, principal.session_id, "signed_out", datetime.now(UTC))
    return Response(status_code=204)


@router.get("/auth/sessions")
async def sessions(principal: CurrentUser, platform: PlatformDep) -> dict:
    """The caller's open sessions, newest first."""
    async with platform.database.transaction() as connection:
        rows = await identity_sessions.open_sessions(
            connection, platform.vault, principal.user_id, datetime.now(UTC)
        )
    return page([shapes.Session(**row, current=row["session_id"] == principal.session_id) for row in rows])


@router.delete("/auth/sessions/{session_id}", status_code=204)
async def end_session(session_id: str, principal: CurrentUser, platform: PlatformDep) -> Response:
    """Ends one of the caller's sessions; 404 for anyone else's."""
    async with platform.database.reading() as connection:
        if not await identity_sessions.end_own(connection, principal.user_id, session_id, datetime.now(UTC)):
            raise Problem(404)
    return Response(status_code=204)


async def _second_factor(
    connection: Connection, platform: Platform, user_id: str, given: str, now: datetime
) -> bool:
    if len(given) != 6:
        return await identity_factors.use_recovery(connection, platform.vault, user_id, given, now)
    secret = (await identity_factors.totp_state(connection, platform.vault, user_id)).active
    counter = counter_of(secret, given, now) if secret else None
    return counter is not None and await identity_factors.use_totp(connection, user_id, counter)


async def _fail(platform: Platform, index: bytes, now: datetime) -> None:
    async with platform.database.transaction() as connection:
        await identity_factors.count_failure(connection, index, now)


def _normalised(email: str) -> str:
    try:
        return normalise_email(email)
    except ValueError:
        return email
