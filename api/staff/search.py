"""How support finds a caller: the Temporal UI holds no personal data, so it cannot tell who someone is."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from api.platform import Platform, PlatformDep
from api.principal import Principal, require_role
from api.staff import runs
from domain.identity import normalise_email, normalise_phone
from store import audit, identity_profiles, identity_users, staff_search
from store.database import Connection

router = APIRouter()

Support = Annotated[Principal, Depends(require_role("support", "compliance"))]
RUNS = 50
PEOPLE = 20
By = Literal["email", "phone", "person", "number"]


class Found(BaseModel):
    """Someone it may be about; contacts are masked, enough to ask the caller for the rest."""

    user_id: str
    full_name: str | None
    email: str | None
    phone: str | None


class Object(BaseModel):
    kind: str
    id: str
    user_id: str
    status: str
    at: datetime
    also: list[str]


class Findings(BaseModel):
    """`by`: as what the query was read."""

    by: By
    people: list[Found]
    runs: list[runs.Run]
    objects: list[Object]


@router.get("/staff/search", response_model=Findings)
async def search(
    q: Annotated[str, Query(min_length=3, max_length=254)], staff: Support, platform: PlatformDep
) -> Findings:
    """A mail, a phone, a person's id, or any number a caller may quote. Recorded, without what was typed."""
    by, value = _read(q)
    async with platform.database.reading() as connection:
        people, objects = await _look(connection, platform, by, value)
        if not people and by == "phone":
            # Digits that are nobody's phone may be a bank's reference.
            people, objects = await _look(connection, platform, by := "number", q.strip())
        shown = [await _person(connection, platform, user_id) for user_id in people[:PEOPLE]]
    quoted = [q.strip()] if by == "number" else []
    found = await runs.of_references(platform, [*people[:PEOPLE], *quoted], RUNS)
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        await audit.write(
            connection,
            actor=staff.user_id,
            action="staff.searched",
            subjects=people or [staff.user_id],
            detail={"by": by, "people": len(people), "objects": len(objects), "runs": len(found)},
            now=now,
        )
    return Findings(
        by=by,
        people=shown,
        runs=[runs.shown(platform, run, staff.roles, now) for run in found],
        objects=[Object.model_validate(row) for row in objects],
    )


def _read(text: str) -> tuple[By, str]:
    """As what a query is meant: the one form in which each is indexed."""
    text = text.strip()
    if "@" in text:
        try:
            return "email", normalise_email(text)
        except ValueError:
            return "number", text
    if text.startswith("usr_"):
        return "person", text
    try:
        return "phone", normalise_phone(text)
    except ValueError:
        return "number", text


async def _look(
    connection: Connection, platform: Platform, by: By, value: str
) -> tuple[list[str], list[dict[str, Any]]]:
    """Whom and what the query names."""
    people: list[str] = []
    if by == "person" and await staff_search.is_user(connection, value):
        people = [value]
    elif by in ("email", "phone"):
        people = await staff_search.by_contact(connection, platform.vault, by, value)
    if by == "number":
        objects = await staff_search.by_number(connection, value)
        return list(dict.fromkeys(row["user_id"] for row in objects)), objects
    return people, [row for user_id in people for row in await staff_search.of_person(connection, user_id)]


async def _person(connection: Connection, platform: Platform, user_id: str) -> Found:
    profile = await identity_profiles.profile(connection, platform.vault, user_id)
    contacts = await identity_users.contact_of(connection, platform.vault, user_id)
    return Found(
        user_id=user_id,
        full_name=profile[0].get("full_name") if profile else None,
        email=_masked(contacts.email) if contacts else None,
        phone=f"…{contacts.phone[-4:]}" if contacts else None,
    )


def _masked(email: str) -> str:
    name, _, host = email.partition("@")
    return f"{name[:2]}…@{host}"
