"""Handing in: the rows are sealed beside the promise; the process gets the id of the submission alone."""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.commanding import Commander, Commanding
from api.onboarding import shapes
from api.onboarding.drives import onboarding_drive
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser, current_user, guard, own
from api.problems import Problem
from domain.consents import CURRENT, version_of
from domain.kyc import Status
from models.contracts.identifiers import Prefix, mint
from models.messages.onboarding import Appeal, Submit
from store import notes, onboarding, onboarding_submissions
from store.database import Connection
from store.onboarding_submissions import Document, Facts

router = APIRouter()
UNFINISHED = (Status.IN_PROGRESS, Status.MANUAL_REVIEW, Status.VERIFIED)


@guard
async def myself(request: Request, user_id: str) -> str:
    """The person in the path, if it is the caller: nobody hands in for another."""
    own(await current_user(request), user_id)
    return user_id


Myself = Annotated[str, Depends(myself)]


@router.post("/auth/verify-kyc", status_code=202, response_model=shapes.Submitted)
async def verify_kyc(
    body: shapes.Submission,
    request: Request,
    principal: CurrentUser,
    platform: PlatformDep,
    commander: Commanding,
) -> JSONResponse:
    """Begins the identity check; the same submission again gets the first answer."""
    async with platform.database.reading() as connection:
        standing = await onboarding.kyc_of(connection, principal.user_id)
    before = standing.submission_id if standing and standing.status not in UNFINISHED else None
    # Calls below /auth carry no key: what makes two requests one is what was handed in, after what.
    handed_in = hashlib.sha256(await request.body()).hexdigest()
    key = f"{principal.user_id}:{before or ''}:{handed_in}"
    return await _submit(body, principal.user_id, platform, commander, key)


@router.post("/users/{user_id}/kyc/resubmit", status_code=202, response_model=shapes.Submitted)
async def resubmit(
    user_id: Myself,
    body: shapes.Submission,
    platform: PlatformDep,
    commander: Commanding,
) -> JSONResponse:
    """Hands in anew after something was asked for, turned down or has ended, or for a higher tier."""
    return await _submit(body, user_id, platform, commander, None)


@router.post("/users/{user_id}/kyc/appeal", status_code=202, response_model=shapes.Submitted)
async def appeal(
    user_id: Myself,
    body: shapes.Appeal,
    platform: PlatformDep,
    commander: Commanding,
) -> JSONResponse:
    """Asks for another person's look at a rejection."""

    async def write(connection: Connection, note_id: str) -> None:
        now = datetime.now(UTC)
        await notes.write(connection, platform.vault, user_id, body.reason, now, note_id)

    return await commander.run(
        mint(Prefix.NOTE),
        lambda note_id: onboarding_drive(platform.settings, user_id, "appeal", Appeal(note_id=note_id)),
        alongside=write,
        status=202,
    )


async def _submit(
    body: shapes.Submission, user_id: str, platform: Platform, commander: Commander, natural_key: str | None
) -> JSONResponse:
    version = version_of("kyc", "kyc", CURRENT)
    if version is None:
        raise Problem(503)
    aadhaar = body.aadhaar_ekyc
    facts = Facts(**body.model_dump(include=set(Facts.model_fields)), share_code=aadhaar.share_code)
    documents = [
        Document(each.type, each.issued_on, base64.b64decode(each.content_base64)) for each in body.documents
    ]

    async def write(connection: Connection, submission_id: str) -> None:
        await onboarding_submissions.write(
            connection,
            platform.vault,
            submission_id=submission_id,
            user_id=user_id,
            tier=body.tier,
            facts=facts,
            aadhaar_file=base64.b64decode(aadhaar.zip_base64),
            documents=documents,
            consent_version=version,
            now=datetime.now(UTC),
        )

    return await commander.run(
        mint(Prefix.ONBOARDING),
        lambda submission_id: onboarding_drive(
            platform.settings,
            user_id,
            "submit",
            Submit(submission_id=submission_id, tier=body.tier),
            create=True,
        ),
        natural_key=natural_key,
        key_ignored=natural_key is not None,
        alongside=write,
        status=202,
    )
