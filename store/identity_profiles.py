"""Profiles, preferences and family: sealed under the person's own key, versioned."""

from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from pydantic_core import from_json, to_json

from store.changes import touch
from store.database import Connection
from store.vault import Vault


async def create(
    connection: Connection, vault: Vault, user_id: str, profile: dict[str, Any], now: datetime
) -> None:
    ring = await vault.person(connection, user_id)
    await connection.execute(
        "INSERT INTO user_management.user_profiles (user_id, data, updated_at) VALUES (%s, %s, %s)",
        (user_id, ring.seal(to_json(profile), f"profile:{user_id}"), now),
    )


async def profile(connection: Connection, vault: Vault, user_id: str) -> tuple[dict[str, Any], int] | None:
    """The profile, opened, and its version; None for an unknown person."""
    cursor = await connection.execute(
        "SELECT data, version FROM user_management.user_profiles WHERE user_id = %s", (user_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    ring = await vault.person(connection, user_id)
    return from_json(ring.open(bytes(row["data"]), f"profile:{user_id}")), row["version"]


async def change(
    connection: Connection, vault: Vault, user_id: str, given: dict[str, Any], now: datetime
) -> tuple[dict[str, Any], int] | None:
    """Replaces the members that were given: the profile after it and its version."""
    await connection.execute(
        "SELECT 1 FROM user_management.user_profiles WHERE user_id = %s FOR UPDATE", (user_id,)
    )
    found = await profile(connection, vault, user_id)
    if found is None:
        return None
    changed = {**found[0], **given}
    ring = await vault.person(connection, user_id)
    await connection.execute(
        """UPDATE user_management.user_profiles SET data = %s, updated_at = %s, version = version + 1
           WHERE user_id = %s""",
        (ring.seal(to_json(changed), f"profile:{user_id}"), now, user_id),
    )
    await touch(connection, user_id)
    return changed, found[1] + 1


async def billing_of(connection: Connection, vault: Vault, user_id: str) -> dict[str, Any] | None:
    """Who is billed: ``{name, state, gstin}`` (state code, GSTIN or None); None if not on record."""
    found = await profile(connection, vault, user_id)
    return found[0].get("billing") if found else None


async def preferences(connection: Connection, user_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(
        "SELECT preferences FROM user_management.user_profiles WHERE user_id = %s", (user_id,)
    )
    row = await cursor.fetchone()
    return row["preferences"] if row else None


async def set_preferences(
    connection: Connection, user_id: str, given: dict[str, Any], now: datetime
) -> dict[str, Any] | None:
    """Replaces the members that were given: the preferences after it."""
    cursor = await connection.execute(
        """UPDATE user_management.user_profiles SET preferences = preferences || %s, updated_at = %s,
               version = version + 1 WHERE user_id = %s RETURNING preferences""",
        (Jsonb(given), now, user_id),
    )
    row = await cursor.fetchone()
    return row["preferences"] if row else None


async def family(connection: Connection, vault: Vault, user_id: str) -> list[dict[str, Any]] | None:
    """The members of the person's family; None for an unknown person."""
    cursor = await connection.execute(
        "SELECT family FROM user_management.user_profiles WHERE user_id = %s", (user_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    if row["family"] is None:
        return []
    ring = await vault.person(connection, user_id)
    return from_json(ring.open(bytes(row["family"]), f"family:{user_id}"))


async def set_family(
    connection: Connection, vault: Vault, user_id: str, members: list[dict[str, Any]], now: datetime
) -> bool:
    ring = await vault.person(connection, user_id)
    cursor = await connection.execute(
        """UPDATE user_management.user_profiles SET family = %s, updated_at = %s, version = version + 1
           WHERE user_id = %s RETURNING user_id""",
        (ring.seal(to_json(members), f"family:{user_id}"), now, user_id),
    )
    known = await cursor.fetchone() is not None
    await connection.execute("DELETE FROM user_management.family_links WHERE user_id = %s", (user_id,))
    await connection.execute(
        """INSERT INTO user_management.family_links (user_id, member_id)
           SELECT %(user)s, member FROM unnest(%(members)s::text[]) AS member
           WHERE %(known)s AND member <> %(user)s ON CONFLICT DO NOTHING""",
        {
            "user": user_id,
            "members": [member["user_id"] for member in members if member.get("user_id")],
            "known": known,
        },
    )
    return known
