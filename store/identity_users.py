"""People who sign in: made, found by blind index, their contacts and passwords."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from domain.identity import UNVERIFIED_LIFETIME
from store.database import Connection
from store.vault import Vault

Contact = Literal["email", "phone"]


@dataclass(frozen=True)
class NewUser:
    """What registration brings; contacts normalised, the password hashed."""

    user_id: str
    email: str
    phone: str
    password_hash: str


@dataclass(frozen=True)
class SignInRow:
    """What sign-in reads of a person; sealed values stay sealed."""

    user_id: str
    password_hash: str
    email_verified: bool
    phone_verified: bool
    totp_secret: bytes | None


@dataclass(frozen=True)
class Contacts:
    email: str
    phone: str
    email_verified: bool
    phone_verified: bool


async def create(connection: Connection, vault: Vault, new: NewUser, now: datetime) -> bool:
    """Makes the account; False where the mail or the phone belongs to another one.

    Accounts that were never verified give their contacts free after a day.
    """
    indexes = {"email": vault.index("email", new.email), "phone": vault.index("phone", new.phone)}
    await connection.execute(
        """UPDATE user_management.users SET email_index = NULL, phone_index = NULL, deleted_at = %(now)s,
               updated_at = %(now)s, updated_by = 'registration', version = version + 1
           WHERE (email_index = %(email)s OR phone_index = %(phone)s)
             AND email_verified_at IS NULL AND phone_verified_at IS NULL AND created_at < %(before)s""",
        {**indexes, "now": now, "before": now - UNVERIFIED_LIFETIME},
    )
    ring = await vault.person(connection, new.user_id)
    cursor = await connection.execute(
        """INSERT INTO user_management.users
               (user_id, email_index, email, phone_index, phone, password_hash,
                created_at, created_by, updated_at, updated_by)
           VALUES (%(user_id)s, %(email)s, %(email_sealed)s, %(phone)s, %(phone_sealed)s, %(hash)s,
                   %(now)s, %(user_id)s, %(now)s, %(user_id)s)
           ON CONFLICT DO NOTHING RETURNING user_id""",
        {
            **indexes,
            "user_id": new.user_id,
            "email_sealed": ring.seal(new.email.encode(), f"email:{new.user_id}"),
            "phone_sealed": ring.seal(new.phone.encode(), f"phone:{new.user_id}"),
            "hash": new.password_hash,
            "now": now,
        },
    )
    return await cursor.fetchone() is not None


async def owners_of(
    connection: Connection, vault: Vault, email: str, phone: str
) -> list[tuple[str, Contact]]:
    """Whose the mail and the phone are: (user, which of them); one entry a person."""
    cursor = await connection.execute(
        """SELECT user_id, email_index IS NOT DISTINCT FROM %(email)s AS by_email FROM user_management.users
           WHERE email_index = %(email)s OR phone_index = %(phone)s""",
        {"email": vault.index("email", email), "phone": vault.index("phone", phone)},
    )
    return [(row["user_id"], "email" if row["by_email"] else "phone") for row in await cursor.fetchall()]


async def by_email(connection: Connection, vault: Vault, email: str) -> SignInRow | None:
    cursor = connection.cursor(row_factory=class_row(SignInRow))
    await cursor.execute(
        """SELECT user_id, password_hash, email_verified_at IS NOT NULL AS email_verified,
                  phone_verified_at IS NOT NULL AS phone_verified, totp_secret
           FROM user_management.users WHERE email_index = %s AND deleted_at IS NULL""",
        (vault.index("email", email),),
    )
    return await cursor.fetchone()


async def password_of(connection: Connection, user_id: str) -> str | None:
    cursor = await connection.execute(
        "SELECT password_hash FROM user_management.users WHERE user_id = %s AND deleted_at IS NULL",
        (user_id,),
    )
    row = await cursor.fetchone()
    return row["password_hash"] if row else None


async def set_password(connection: Connection, user_id: str, password_hash: str, now: datetime) -> None:
    await connection.execute(
        """UPDATE user_management.users SET password_hash = %(hash)s, updated_at = %(now)s,
               updated_by = %(user)s, version = version + 1 WHERE user_id = %(user)s""",
        {"hash": password_hash, "now": now, "user": user_id},
    )


async def contact_of(connection: Connection, vault: Vault, user_id: str) -> Contacts | None:
    """The person's mail and phone, opened; None for an unknown or erased person."""
    cursor = await connection.execute(
        """SELECT email, phone, email_verified_at, phone_verified_at FROM user_management.users
           WHERE user_id = %s AND deleted_at IS NULL""",
        (user_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    ring = await vault.person(connection, user_id)
    return Contacts(
        email=ring.open(bytes(row["email"]), f"email:{user_id}").decode(),
        phone=ring.open(bytes(row["phone"]), f"phone:{user_id}").decode(),
        email_verified=row["email_verified_at"] is not None,
        phone_verified=row["phone_verified_at"] is not None,
    )


async def verify_contact(
    connection: Connection, user_id: str, contact: Contact, now: datetime
) -> tuple[bool, bool]:
    """Marks a contact as proven: (mail verified, phone verified) after it."""
    column = "email_verified_at" if contact == "email" else "phone_verified_at"
    cursor = await connection.execute(
        f"""UPDATE user_management.users SET {column} = coalesce({column}, %(now)s), updated_at = %(now)s,
               updated_by = %(user)s, version = version + 1
           WHERE user_id = %(user)s AND deleted_at IS NULL
           RETURNING email_verified_at IS NOT NULL AS email, phone_verified_at IS NOT NULL AS phone""",  # noqa: S608
        {"now": now, "user": user_id},
    )
    row = await cursor.fetchone()
    return (row["email"], row["phone"]) if row else (False, False)


async def change_contact(
    connection: Connection, vault: Vault, user_id: str, contact: Contact, value: str, now: datetime
) -> None:
    """Replaces a contact by one that was just proven.

    Raises:
        psycopg.errors.UniqueViolation: another account took it meanwhile.
    """
    ring = await vault.person(connection, user_id)
    await connection.execute(
        f"""UPDATE user_management.users SET {contact} = %(sealed)s, {contact}_index = %(index)s,
               {contact}_verified_at = %(now)s, updated_at = %(now)s, updated_by = %(user)s,
               version = version + 1
           WHERE user_id = %(user)s""",  # noqa: S608
        {
            "sealed": ring.seal(value.encode(), f"{contact}:{user_id}"),
            "index": vault.index(contact, value),
            "now": now,
            "user": user_id,
        },
    )


async def taken(connection: Connection, vault: Vault, contact: Contact, value: str) -> bool:
    cursor = await connection.execute(
        f"SELECT 1 FROM user_management.users WHERE {contact}_index = %s",  # noqa: S608
        (vault.index(contact, value),),
    )
    return await cursor.fetchone() is not None
