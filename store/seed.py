"""What every new platform holds, and the staff of an embedded home; repeating either changes nothing."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypedDict

import psycopg
from argon2 import PasswordHasher
from psycopg.rows import dict_row

from domain.identity import Role
from models.settings import Settings
from store import education_seed, identity_factors, identity_profiles, identity_roles, identity_users, plans
from store.database import Connection
from store.vault import Vault

SEEDER = "seed"


class Credential(TypedDict):
    """How one member of the staff signs in; ``totp_secret`` in base 32."""

    user_id: str
    email: str
    password: str
    totp_secret: str


async def run(settings: Settings, staff: Mapping[str, Credential] | None = None) -> None:
    """Adds what is not there yet to the database of `settings`, in one transaction."""
    connection = await psycopg.AsyncConnection.connect(settings.postgres, row_factory=dict_row)
    async with connection:
        await seed(connection)
        if staff:
            await seed_staff(connection, Vault(settings), staff)


async def seed(connection: Connection) -> None:
    """Adds the reference data that is not there yet."""
    await plans.seed(connection)
    await education_seed.seed(connection)


async def seed_staff(connection: Connection, vault: Vault, staff: Mapping[str, Credential]) -> None:
    """Adds the staff who are not there yet: contacts proven, TOTP active, the role of their name granted
    (``finance2`` is a second person in finance)."""
    now = datetime.now(UTC)
    for name, credential in staff.items():
        await _member(connection, vault, Role(name.rstrip("0123456789")), name, credential, now)


async def _member(
    connection: Connection, vault: Vault, role: Role, name: str, credential: Credential, now: datetime
) -> None:
    user_id = credential["user_id"]
    if await identity_users.password_of(connection, user_id) is not None:
        return
    password_hash = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(
        credential["password"]
    )
    new = identity_users.NewUser(user_id, credential["email"], _phone(user_id), password_hash)
    if not await identity_users.create(connection, vault, new, now):
        raise ValueError(f"the mail of {name} belongs to someone else")
    await identity_profiles.create(
        connection, vault, user_id, {"full_name": f"Treum {name.capitalize()}"}, now
    )
    for contact in ("email", "phone"):
        await identity_users.verify_contact(connection, user_id, contact, now)
    await identity_factors.enroll_totp(connection, vault, user_id, credential["totp_secret"])
    await identity_factors.activate_totp(connection, vault, user_id, 0, [], now)
    await identity_roles.grant(connection, user_id, role, SEEDER, None, now)


def _phone(user_id: str) -> str:
    # Staff of an embedded home have no telephone: each gets a number of their own.
    number = int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:8]) % 10**9
    return f"+91600{number:09d}"[:13]
