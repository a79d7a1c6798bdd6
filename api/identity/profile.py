"""Profile, preferences and family: read and changed by their owner, or by staff who may."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from api.identity import shapes
from api.identity.gstin import checked_gstin
from api.platform import PlatformDep
from api.principal import current_user, guard, own
from api.problems import FieldError, Problem
from domain.gst import state_of
from store import identity_profiles, identity_users

router = APIRouter()

STAFF = ("support", "compliance", "admin")


@guard
async def owner(request: Request, user_id: str) -> str:
    """The person in the path, if the caller is that person or staff; else 404."""
    own(await current_user(request), user_id, *STAFF)
    return user_id


Owner = Annotated[str, Depends(owner)]


@router.get("/users/{user_id}/profile")
async def profile(user_id: Owner, platform: PlatformDep) -> shapes.Profile:
    async with platform.database.transaction() as connection:
        contacts = await identity_users.contact_of(connection, platform.vault, user_id)
        found = await identity_profiles.profile(connection, platform.vault, user_id)
    if contacts is None or found is None:
        raise Problem(404)
    return shapes.Profile(**found[0], **vars(contacts), user_id=user_id, version=found[1])


@router.put("/users/{user_id}/profile")
async def change_profile(body: shapes.ProfileChange, user_id: Owner, platform: PlatformDep) -> shapes.Profile:
    """Replaces the members that are given; ``billing`` is due before a checkout."""
    given = body.model_dump(mode="json", exclude_unset=True)
    if body.billing is not None:
        given["billing"] = _billing(body.billing)
    async with platform.database.transaction() as connection:
        contacts = await identity_users.contact_of(connection, platform.vault, user_id)
        found = await identity_profiles.change(connection, platform.vault, user_id, given, datetime.now(UTC))
    if contacts is None or found is None:
        raise Problem(404)
    return shapes.Profile(**found[0], **vars(contacts), user_id=user_id, version=found[1])


@router.get("/users/{user_id}/preferences")
async def preferences(user_id: Owner, platform: PlatformDep) -> shapes.Preferences:
    async with platform.database.reading() as connection:
        found = await identity_profiles.preferences(connection, user_id)
    if found is None:
        raise Problem(404)
    return shapes.Preferences.model_validate(found)


@router.put("/users/{user_id}/preferences")
async def change_preferences(
    body: shapes.PreferencesChange, user_id: Owner, platform: PlatformDep
) -> shapes.Preferences:
    given = body.model_dump(mode="json", exclude_none=True)
    async with platform.database.reading() as connection:
        found = await identity_profiles.set_preferences(connection, user_id, given, datetime.now(UTC))
    if found is None:
        raise Problem(404)
    return shapes.Preferences.model_validate(found)


@router.get("/users/{user_id}/family")
async def family(user_id: Owner, platform: PlatformDep) -> shapes.Family:
    async with platform.database.transaction() as connection:
        members = await identity_profiles.family(connection, platform.vault, user_id)
    if members is None:
        raise Problem(404)
    return shapes.Family.model_validate({"members": members})


@router.put("/users/{user_id}/family")
async def change_family(body: shapes.Family, user_id: Owner, platform: PlatformDep) -> shapes.Family:
    members = body.model_dump(mode="json")["members"]
    async with platform.database.transaction() as connection:
        known = await identity_profiles.set_family(
            connection, platform.vault, user_id, members, datetime.now(UTC)
        )
    if not known:
        raise Problem(404)
    return body


def _billing(given: shapes.Billing) -> dict[str, Any]:
    state = state_of(given.state)
    if state is None:
        raise Problem(
            422,
            errors=[FieldError("/billing/state", "state_unknown", "no state or union territory of India")],
        )
    gstin = checked_gstin(given.gstin) if given.gstin else None
    if given.gstin and gstin is None:
        raise Problem(
            422, errors=[FieldError("/billing/gstin", "gstin_invalid", "wrong shape, holder or check digit")]
        )
    if gstin is not None and state_of(gstin[:2]) != state:
        raise Problem(
            422, errors=[FieldError("/billing/gstin", "gstin_state_mismatch", "registered in another state")]
        )
    billing: dict[str, Any] = {"name": given.name, "state": state, "gstin": gstin}
    if given.address is None:
        return billing
    if state_of(given.address.state) != state:
        raise Problem(
            422,
            errors=[FieldError("/billing/address/state", "address_state_mismatch", "not where it is billed")],
        )
    return {**billing, "address": given.address.model_dump(mode="json")}
