"""Consents: what a person agreed to, in which version, since when and until when."""

from datetime import datetime
from typing import Any

from models.contracts.identifiers import Prefix, mint
from store.database import Connection

COLUMNS = "consent_id, purpose, document, document_version AS version, given_at, withdrawn_at"


async def give(
    connection: Connection, user_id: str, purpose: str, document: str, version: str, now: datetime
) -> dict[str, Any]:
    """Records a consent; one that holds already is given back as it is."""
    cursor = await connection.execute(
        f"""INSERT INTO user_management.consents AS c
               (consent_id, user_id, purpose, document, document_version, given_at)
           VALUES (%s, %s, %s, %s, %s, %s)
           ON CONFLICT (user_id, purpose, document, document_version) WHERE withdrawn_at IS NULL
           DO UPDATE SET given_at = c.given_at RETURNING {COLUMNS}""",  # noqa: S608
        (mint(Prefix.CONSENT), user_id, purpose, document, version, now),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("an upsert gave no row")
    return row


async def withdraw(
    connection: Connection,
    user_id: str,
    purpose: str,
    document: str | None,
    version: str | None,
    now: datetime,
) -> list[dict[str, Any]]:
    """Withdraws what holds of `purpose` (of that document and version only, where given)."""
    cursor = await connection.execute(
        f"""UPDATE user_management.consents SET withdrawn_at = %(now)s
           WHERE user_id = %(user)s AND purpose = %(purpose)s AND withdrawn_at IS NULL
             AND document = coalesce(%(document)s, document)
             AND document_version = coalesce(%(version)s, document_version)
           RETURNING {COLUMNS}""",  # noqa: S608
        {"now": now, "user": user_id, "purpose": purpose, "document": document, "version": version},
    )
    return await cursor.fetchall()


async def of_person(
    connection: Connection, user_id: str, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """A person's consents, withdrawn ones too, newest first, below the consent id `after`."""
    cursor = await connection.execute(
        f"""SELECT {COLUMNS} FROM user_management.consents
           WHERE user_id = %(user)s AND (%(after)s::text IS NULL OR consent_id < %(after)s)
           ORDER BY consent_id DESC LIMIT %(limit)s""",  # noqa: S608
        {"user": user_id, "after": after, "limit": limit},
    )
    return await cursor.fetchall()


async def holds(connection: Connection, user_id: str, purpose: str, document: str | None = None) -> bool:
    """Whether the person's consent to `purpose` is on record and not withdrawn."""
    cursor = await connection.execute(
        """SELECT 1 FROM user_management.consents
           WHERE user_id = %(user)s AND purpose = %(purpose)s AND withdrawn_at IS NULL
             AND document = coalesce(%(document)s, document) LIMIT 1""",
        {"user": user_id, "purpose": purpose, "document": document},
    )
    return await cursor.fetchone() is not None
