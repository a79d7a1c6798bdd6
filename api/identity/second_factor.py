"""TOTP enrolment, and the fresh second factor that weighty calls ask for."""

from datetime import UTC, datetime

import pyotp
from fastapi import APIRouter

from api.identity import letters, shapes
from api.identity.totp import counter_of, recovery_codes
from api.platform import PlatformDep
from api.principal import CurrentUser, Principal, step_up
from api.problems import Problem
from domain.identity import CODE_LIFETIME, Channel
from store import identity_access, identity_codes, identity_factors, identity_users
from store.database import Connection
from store.entitlements import tier_of
from store.vault import Vault

router = APIRouter()

ISSUER = "Treum"
STEP_UP = "step_up"


@router.post("/auth/totp/enroll")
async def enroll(principal: CurrentUser, platform: PlatformDep) -> shapes.Enrolled:
    """A new secret, without effect until `activate`; replacing an active one needs a step-up."""
    _signed_in(principal)
    secret = pyotp.random_base32()
    async with platform.database.transaction() as connection:
        state = await identity_factors.totp_state(connection, platform.vault, principal.user_id)
        if state.active is not None:
            step_up(principal)
        await identity_factors.enroll_totp(connection, platform.vault, principal.user_id, secret)
        contacts = await identity_users.contact_of(connection, platform.vault, principal.user_id)
    name = contacts.email if contacts else principal.user_id
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)
    return shapes.Enrolled(secret=secret, otpauth_uri=uri)


@router.post("/auth/totp/activate")
async def activate(body: shapes.TotpCode, principal: CurrentUser, platform: PlatformDep) -> shapes.Recovery:
    """Makes TOTP due at each sign-in; the code shown counts as used."""
    _signed_in(principal)
    now = datetime.now(UTC)
    codes = recovery_codes()
    async with platform.database.transaction() as connection:
        state = await identity_factors.totp_state(connection, platform.vault, principal.user_id)
        if state.pending is None:
            raise Problem(409, "totp_not_enrolled")
        counter = counter_of(state.pending, body.code, now)
        if counter is None:
            raise Problem(422, "code_invalid")
        if not await identity_factors.activate_totp(
            connection, platform.vault, principal.user_id, counter, codes, now
        ):
            raise Problem(409, "totp_not_enrolled")
    return shapes.Recovery(recovery_codes=codes)


@router.post("/auth/step-up/challenge")
async def challenge(
    body: shapes.Challenge, principal: CurrentUser, platform: PlatformDep
) -> shapes.Challenged:
    """Begins a step-up; for ``phone`` a code is sent."""
    _signed_in(principal)
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        if body.method == "totp":
            state = await identity_factors.totp_state(connection, platform.vault, principal.user_id)
            if state.active is None:
                raise Problem(409, "totp_not_enrolled")
        else:
            found = await identity_users.contact_of(connection, platform.vault, principal.user_id)
            if found is None or not found.phone_verified:
                raise Problem(409, "phone_not_verified")
            code = await identity_codes.make(connection, platform.vault, principal.user_id, STEP_UP, now)
            await letters.send_code(
                connection, platform.vault, principal.user_id, Channel.PHONE, found.phone, code, now
            )
    return shapes.Challenged(method=body.method, expires_in=int(CODE_LIFETIME.total_seconds()))


@router.post("/auth/step-up")
async def complete(body: shapes.StepUp, principal: CurrentUser, platform: PlatformDep) -> shapes.SteppedUp:
    """An access token with ``acr`` "2" for five minutes."""
    _signed_in(principal)
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        right = await _fits(connection, platform.vault, principal.user_id, body, now)
        roles = await identity_access.roles_of(connection, principal.user_id, now)
        tier = await tier_of(connection, principal.user_id, now)
    if not right:
        raise Problem(422, "code_invalid")
    token, lifetime = platform.tokens.issue(
        principal.user_id, principal.session_id, roles, tier, stepped_up=True
    )
    return shapes.SteppedUp(access_token=token, expires_in=lifetime)


async def _fits(
    connection: Connection, vault: Vault, user_id: str, body: shapes.StepUp, now: datetime
) -> bool:
    if body.method == "phone":
        fit = await identity_codes.check(connection, vault, user_id, STEP_UP, body.code, now)
        return fit is not None and not fit.again
    secret = (await identity_factors.totp_state(connection, vault, user_id)).active
    counter = counter_of(secret, body.code, now) if secret else None
    return counter is not None and await identity_factors.use_totp(connection, user_id, counter)


def _signed_in(principal: Principal) -> None:
    # An API key is no person at a device: it neither enrols nor proves a second factor.
    if not principal.session_id:
        raise Problem(403, "session_required")
