"""Registration and the proof of both contacts.

The account and its codes are written with the promise of the onboarding process, which is started after
the answer: the answer, and the time it takes, are the same whether or not a contact was taken.
"""

from datetime import UTC, datetime

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.commanding import caller_address, idempotency_key, key_reused
from api.identity import letters, passwords
from api.identity.shapes import Register, Registered, Resend, Verified, Verify
from api.identity.timing import same_time
from api.platform import Platform, PlatformDep
from api.problems import Problem
from domain.errors import Unavailable
from domain.identity import Channel
from models.contracts.commands import Drive, Promise
from models.contracts.commands import Request as CommandRequest
from models.contracts.identifiers import Prefix, mint, uuid7
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.onboarding import OnboardingInput
from models.messages.onboarding import Register as Onboard
from store import identity_codes, identity_profiles, identity_users
from store.database import Connection
from store.outbox import emit
from temporal.commands import Pending

router = APIRouter()
log = structlog.get_logger()


@router.post("/auth/register", status_code=201, response_model=Registered)
async def register(body: Register, request: Request, platform: PlatformDep) -> JSONResponse:
    """Makes an account and sends a code to each contact; a taken contact gets the same answer (a decoy
    id, whose codes never fit) and its owner a message."""
    key = idempotency_key(request)
    await passwords.require_strong(body.password, [body.email, body.phone, body.full_name])
    async with same_time(0.2):
        registration = Registration(platform, body, await passwords.hashed(body.password))
        asked = CommandRequest(
            actor=caller_address(request),
            route="POST /v1/auth/register",
            key=key or uuid7().hex,
            body=await request.body(),
        )
        user_id, replayed = await registration.run(asked)
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    return JSONResponse(Registered(user_id=user_id).model_dump(), 201, headers)


@router.post("/auth/verify")
async def verify(body: Verify, platform: PlatformDep) -> Verified:
    """Proves a contact by the code sent to it."""
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        fit = await identity_codes.check(
            connection, platform.vault, body.user_id, body.channel, body.code, now
        )
        verified = (
            await identity_users.verify_contact(connection, body.user_id, body.channel.value, now)
            if fit
            else None
        )
        if fit and not fit.again and verified:
            told = {"channel": body.channel.value}
            await emit(connection, "user-events", body.user_id, "user.contact_verified", told, now)
    if verified is None:
        raise Problem(422, "code_invalid")
    return Verified(email_verified=verified[0], phone_verified=verified[1])


@router.post("/auth/verify/resend", status_code=202)
async def resend(body: Resend, platform: PlatformDep) -> dict[str, str]:
    """Sends a new code in place of the old one; the same answer for an unknown or proven contact."""
    now = datetime.now(UTC)
    async with same_time(), platform.database.transaction() as connection:
        found = await identity_users.contact_of(connection, platform.vault, body.user_id)
        if found is not None:
            email = body.channel is Channel.EMAIL
            if not (found.email_verified if email else found.phone_verified):
                to = found.email if email else found.phone
                await _challenge(connection, platform, body.user_id, body.channel, to, now)
    return {"status": "sent"}


class Registration:
    """One registration: what is written with its promise, and what follows the answer."""

    def __init__(self, platform: Platform, body: Register, password_hash: str) -> None:
        self._platform = platform
        self._body = body
        self._password_hash = password_hash
        self._taken = False

    async def run(self, asked: CommandRequest) -> tuple[str, bool]:
        """The user's id, or the decoy's, and whether it is the answer of an earlier request."""
        minted = mint(Prefix.USER)
        self._asked = asked
        promise = await self._platform.commands.promise(asked, minted, self._drive(minted), self._write)
        if not promise.same_body:
            raise key_reused()
        if promise.mine and promise.answer is None and not self._taken:
            self._platform.spawn(self._begin(promise))
        return promise.business_id, promise.business_id != minted

    def _drive(self, user_id: str) -> Drive:
        start = OnboardingInput(
            user_id=user_id, assertion_public_key=self._platform.settings.assertion_public_key
        )
        return Drive(
            workflow_type="CustomerOnboarding",
            workflow_id=workflow_id(Kind.ONBOARDING, user_id),
            queue=Queue.ONBOARDING,
            start=start.model_dump(mode="json"),
            update="register",
            argument=Onboard().model_dump(),
            summary="Onboarding",
            attributes={"CUSTOMER": user_id},
        )

    async def _write(self, connection: Connection, user_id: str) -> None:
        vault, now = self._platform.vault, datetime.now(UTC)
        new = identity_users.NewUser(user_id, self._body.email, self._body.phone, self._password_hash)
        if not await identity_users.create(connection, vault, new, now):
            self._taken = True
            await self._decoy(connection, user_id, now)
            return
        profile = {"full_name": self._body.full_name}
        await identity_profiles.create(connection, vault, user_id, profile, now)
        await _challenge(connection, self._platform, user_id, Channel.EMAIL, new.email, now)
        await _challenge(connection, self._platform, user_id, Channel.PHONE, new.phone, now)
        await emit(connection, "user-events", user_id, "user.registered", {}, now)

    async def _decoy(self, connection: Connection, decoy_id: str, now: datetime) -> None:
        vault = self._platform.vault
        for owner, by in await identity_users.owners_of(
            connection, vault, self._body.email, self._body.phone
        ):
            channel = Channel(by)
            to = self._body.email if channel is Channel.EMAIL else self._body.phone
            await letters.tell_at(connection, vault, owner, channel, to, letters.SOMEONE_REGISTERED, now)
        for channel in Channel:
            await identity_codes.make(connection, vault, decoy_id, channel, now)
        # Nothing is to be started for a decoy: its promise is settled as it is made.
        await self._platform.commands.settle(connection, self._asked)

    async def _begin(self, promise: Promise) -> None:
        try:
            await self._platform.envelope.fulfil(promise)
        except (Pending, Unavailable):
            log.info("registration_left_to_the_sweeper", command=promise.command_id)


async def _challenge(
    connection: Connection, platform: Platform, user_id: str, channel: Channel, to: str, now: datetime
) -> None:
    code = await identity_codes.make(connection, platform.vault, user_id, channel, now)
    await letters.send_code(connection, platform.vault, user_id, channel, to, code, now)
