"""Passwords forgotten and changed, contacts changed: each ends or proves what depended on the old one."""

from datetime import UTC, datetime

from fastapi import APIRouter
from psycopg.errors import UniqueViolation

from api.identity import letters, passwords, shapes
from api.identity.timing import same_time
from api.platform import PlatformDep
from api.principal import CurrentUser, step_up
from api.problems import FieldError, Problem
from domain.identity import Channel
from store import identity_codes, identity_factors, identity_sessions, identity_users

router = APIRouter()

RESET = "password"


@router.post("/auth/password/forgot", status_code=202)
async def forgot(body: shapes.Forgot, platform: PlatformDep) -> dict[str, str]:
    """Sends a code to the mail address if it is anyone's; the answer is the same if not."""
    now = datetime.now(UTC)
    async with same_time(), platform.database.transaction() as connection:
        person = await identity_users.by_email(connection, platform.vault, body.email)
        if person is not None:
            code = await identity_codes.make(connection, platform.vault, person.user_id, RESET, now)
            await letters.send_code(
                connection, platform.vault, person.user_id, Channel.EMAIL, body.email, code, now
            )
    return {"status": "sent"}


@router.post("/auth/password/reset")
async def reset(body: shapes.Reset, platform: PlatformDep) -> dict[str, str]:
    """Sets a new password by the code that was mailed; every session ends, the mail counts as proven."""
    now = datetime.now(UTC)
    await passwords.require_strong(body.password, [body.email])
    fresh = await passwords.hashed(body.password)
    async with same_time(), platform.database.transaction() as connection:
        person = await identity_users.by_email(connection, platform.vault, body.email)
        fit = None
        if person is not None:
            fit = await identity_codes.check(
                connection, platform.vault, person.user_id, RESET, body.code, now
            )
        right = person is not None and fit is not None and not fit.again
        if person is not None and right:
            await identity_users.set_password(connection, person.user_id, fresh, now)
            await identity_users.verify_contact(connection, person.user_id, "email", now)
            await identity_sessions.end_all(connection, person.user_id, "password_reset", now)
            await identity_factors.clear_failures(connection, platform.vault.index("email", body.email))
            await letters.tell(
                connection,
                platform.vault,
                person.user_id,
                "Your password was changed",
                letters.RESET_TOLD,
                now,
            )
    if not right:
        raise Problem(422, "code_invalid")
    return {"status": "changed"}


@router.post("/auth/password/change")
async def change(
    body: shapes.ChangePassword, principal: CurrentUser, platform: PlatformDep
) -> dict[str, str]:
    """Sets a new password by the present one; every other session ends."""
    if not principal.session_id:
        raise Problem(403, "session_required")
    now = datetime.now(UTC)
    async with platform.database.reading() as connection:
        present = await identity_users.password_of(connection, principal.user_id)
        contacts = await identity_users.contact_of(connection, platform.vault, principal.user_id)
    if contacts is None or not await passwords.fits(body.current_password, present):
        raise Problem(
            422,
            "password_wrong",
            errors=[FieldError("/current_password", "password_wrong", "not the present password")],
        )
    await passwords.require_strong(body.new_password, [contacts.email, contacts.phone], "/new_password")
    fresh = await passwords.hashed(body.new_password)
    async with platform.database.transaction() as connection:
        await identity_users.set_password(connection, principal.user_id, fresh, now)
        await identity_sessions.end_all(
            connection, principal.user_id, "password_changed", now, but=principal.session_id
        )
        await letters.tell(
            connection,
            platform.vault,
            principal.user_id,
            "Your password was changed",
            letters.RESET_TOLD,
            now,
        )
    return {"status": "changed"}


@router.post("/auth/contact/change", status_code=202)
async def change_contact(
    body: shapes.ChangeContact, principal: CurrentUser, platform: PlatformDep
) -> dict[str, str]:
    """Sends a code to the new contact; the old one stays until it is proven. A contact that is another
    account's gets the same answer and no code."""
    step_up(principal)
    if (body.email is None) == (body.phone is None):
        raise Problem(422, errors=[FieldError("", "one_of", "exactly one of email and phone")])
    channel = Channel.EMAIL if body.email is not None else Channel.PHONE
    to = body.email or body.phone or ""
    now = datetime.now(UTC)
    async with same_time(), platform.database.transaction() as connection:
        code = await identity_codes.make(
            connection, platform.vault, principal.user_id, _purpose(channel), now, payload=to
        )
        if not await identity_users.taken(connection, platform.vault, channel.value, to):
            await letters.send_code(connection, platform.vault, principal.user_id, channel, to, code, now)
    return {"channel": channel.value, "status": "verification_pending"}


@router.post("/auth/contact/verify")
async def prove_contact(
    body: shapes.ProveContact, principal: CurrentUser, platform: PlatformDep
) -> shapes.Verified:
    """Puts the new contact in the old one's place; the old one is told."""
    now = datetime.now(UTC)
    vault, user_id = platform.vault, principal.user_id
    async with platform.database.transaction() as connection:
        fit = await identity_codes.check(connection, vault, user_id, _purpose(body.channel), body.code, now)
    if fit is None or fit.again or fit.payload is None:
        raise Problem(422, "code_invalid")
    try:
        async with platform.database.transaction() as connection:
            old = await identity_users.contact_of(connection, vault, user_id)
            await identity_users.change_contact(
                connection, vault, user_id, body.channel.value, fit.payload, now
            )
            if old is not None:
                to = old.email if body.channel is Channel.EMAIL else old.phone
                await letters.tell_at(
                    connection, vault, user_id, body.channel, to, letters.CONTACT_CHANGED, now
                )
    except UniqueViolation:
        raise Problem(422, "code_invalid") from None
    return shapes.Verified(
        email_verified=body.channel is Channel.EMAIL or principal.email_verified,
        phone_verified=body.channel is Channel.PHONE or principal.phone_verified,
    )


def _purpose(channel: Channel) -> str:
    return f"contact_{channel.value}"
