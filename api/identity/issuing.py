"""From a proven person to a session with its first pair of tokens."""

from datetime import datetime

from starlette.requests import Request

from api.identity.shapes import Pair
from api.platform import Platform
from models.contracts.identifiers import Prefix, mint
from store import identity_access, identity_sessions
from store.database import Connection
from store.entitlements import tier_of

LONGEST_DEVICE = 200


async def open_session(
    connection: Connection, platform: Platform, request: Request, user_id: str, now: datetime
) -> Pair:
    """A new session of the person on the device that asks."""
    session_id = mint(Prefix.SESSION)
    device = request.headers.get("user-agent", "")[:LONGEST_DEVICE]
    refresh_token = await identity_sessions.begin(
        connection, platform.vault, session_id=session_id, user_id=user_id, device=device, now=now
    )
    return await pair(connection, platform, user_id, session_id, refresh_token, now)


async def pair(
    connection: Connection,
    platform: Platform,
    user_id: str,
    session_id: str,
    refresh_token: str,
    now: datetime,
) -> Pair:
    """An access token with the person's roles and tier of this moment, beside the refresh token."""
    roles = await identity_access.roles_of(connection, user_id, now)
    tier = await tier_of(connection, user_id, now)
    access_token, lifetime = platform.tokens.issue(user_id, session_id, roles, tier)
    return Pair(access_token=access_token, refresh_token=refresh_token, expires_in=lifetime, user_id=user_id)
