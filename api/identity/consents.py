"""Consents: given, listed, withdrawn. A purpose's document is fixed; ``current`` means its latest version."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from api.identity import shapes
from api.identity.profile import Owner
from api.onboarding.drives import withdrawal_drive
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser
from api.problems import FieldError, Problem
from domain.consents import CURRENT, version_of
from domain.errors import Unavailable
from models.contracts.commands import Request as CommandRequest
from store import identity_consents
from store.outbox import emit
from temporal.commands import InProgress, Pending

router = APIRouter()


@router.get("/users/{user_id}/consents")
async def consents(user_id: Owner, query: Page, platform: PlatformDep) -> dict[str, Any]:
    """Every consent that was given, withdrawn ones too."""
    async with platform.database.reading() as connection:
        rows = await identity_consents.of_person(connection, user_id, query.after, query.limit + 1)
    shown, cursor = cut(rows, query, "consent_id")
    return page([shapes.Consent.model_validate(row) for row in shown], cursor)


@router.post("/users/{user_id}/consents", status_code=201)
async def give(
    body: shapes.NewConsent, user_id: Owner, principal: CurrentUser, platform: PlatformDep
) -> shapes.Consent:
    """Records a consent of the caller's own; nobody consents for another."""
    _own(principal.user_id, user_id)
    version = version_of(body.purpose, body.document, body.version)
    if version is None:
        raise Problem(
            422, errors=[FieldError("/document", "document_unknown", f"not a document of {body.purpose}")]
        )
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        row = await identity_consents.give(connection, user_id, body.purpose, body.document, version, now)
        told = {"purpose": body.purpose, "document": body.document, "version": version}
        await emit(connection, "user-events", user_id, "user.consent_given", told, now)
    return shapes.Consent.model_validate(row)


@router.delete("/users/{user_id}/consents")
async def withdraw(
    user_id: Owner,
    principal: CurrentUser,
    platform: PlatformDep,
    body: Annotated[shapes.WithdrawnConsent | None, Body()] = None,
    purpose: Annotated[shapes.Purpose | None, Query()] = None,
) -> dict[str, Any]:
    """Withdraws a consent of the caller's own, named in the body or, by its purpose, in the query."""
    _own(principal.user_id, user_id)
    wanted = body.purpose if body else purpose
    if wanted is None:
        raise Problem(422, errors=[FieldError("/purpose", "missing", "which consent to withdraw")])
    document = body.document if body else None
    version = body.version if body else None
    if version == CURRENT:
        version = version_of(wanted, document or "", CURRENT)
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        rows = await identity_consents.withdraw(connection, user_id, wanted, document, version, now)
        if rows:
            told = {"purpose": wanted}
            await emit(connection, "user-events", user_id, "user.consent_withdrawn", told, now)
    if rows and wanted == "kyc":
        await _stop_checking(platform, user_id, rows[0]["consent_id"])
    return page([shapes.Consent.model_validate(row) for row in rows])


def _own(caller: str, user_id: str) -> None:
    if caller != user_id:
        raise Problem(403)


async def _stop_checking(platform: Platform, user_id: str, consent_id: str) -> None:
    """Tells the identity check to stop; it also looks at the consent before each step of its own."""
    asked = CommandRequest(user_id, "DELETE consents", f"natural:{consent_id}", lasting=True)
    with suppress(Pending, InProgress, Unavailable):
        await platform.envelope.run(asked, consent_id, lambda _: withdrawal_drive(platform.settings, user_id))
