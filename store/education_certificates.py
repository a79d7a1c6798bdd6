"""Certificates: issued in the transaction that completes an enrollment, revoked, read."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from models.contracts.credentials import Achieved
from models.contracts.topics import Topic
from models.messages.education import EnrollmentState
from store.changes import touch
from store.database import Connection
from store.identity_profiles import profile
from store.outbox import emit
from store.places import place
from store.vault import PersonForgotten, Vault

COLUMNS = """certificate_id, enrollment_id, user_id, course_id, syllabus, course_title, holder, credential,
    issued_at, revoked_at, version"""
PLACE = place("issued_at", "certificate_id")


async def issue(
    connection: Connection, vault: Vault, state: EnrollmentState, sign: Callable[[Achieved], str]
) -> None:
    """Writes the certificate of a completed enrollment, once; `sign` makes its credential.

    Raises:
        PersonForgotten: the person was erased.
    """
    if state.certificate_id is None or state.completed_at is None:
        raise ValueError("the enrollment is not completed")
    cursor = await connection.execute(
        "SELECT 1 FROM education.certificates WHERE enrollment_id = %s", (state.enrollment_id,)
    )
    if await cursor.fetchone():
        return
    found = await profile(connection, vault, state.user_id)
    name = str((found[0].get("full_name") if found else None) or "The holder of this certificate")
    achieved = Achieved(
        certificate_id=state.certificate_id,
        course_id=state.course_id,
        course_title=state.title,
        syllabus=state.syllabus,
        holder=name,
        salt=secrets.token_hex(16),
        issued_at=state.completed_at,
    )
    ring = await vault.person(connection, state.user_id)
    await connection.execute(
        """INSERT INTO education.certificates
               (certificate_id, enrollment_id, user_id, course_id, syllabus, course_title, holder, credential,
                issued_at, version)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 1)""",
        (
            state.certificate_id,
            state.enrollment_id,
            state.user_id,
            state.course_id,
            state.syllabus,
            state.title,
            ring.seal(name.encode(), f"certificate:{state.certificate_id}"),
            sign(achieved),
            state.completed_at,
        ),
    )
    await _tell(connection, state, "certificate.issued", state.completed_at)


async def revoke(connection: Connection, state: EnrollmentState, now: datetime) -> None:
    """Marks the enrollment's certificate, if there is one, as revoked; once."""
    cursor = await connection.execute(
        """UPDATE education.certificates SET revoked_at = %s, version = version + 1
           WHERE enrollment_id = %s AND revoked_at IS NULL""",
        (now, state.enrollment_id),
    )
    if cursor.rowcount:
        await _tell(connection, state, "certificate.revoked", now)


async def find(connection: Connection, certificate_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM education.certificates WHERE certificate_id = %s",  # noqa: S608
        (certificate_id,),
    )
    return await cursor.fetchone()


async def listing(
    connection: Connection, user_id: str, *, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """The person's certificates, newest first; `after` is the `place` of the last one shown."""
    cursor = await connection.execute(
        f"""SELECT {COLUMNS}, {PLACE} AS place FROM education.certificates
            WHERE user_id = %(user)s AND (%(after)s::text IS NULL OR {PLACE} < %(after)s)
            ORDER BY issued_at DESC, certificate_id DESC LIMIT %(limit)s""",  # noqa: S608
        {"user": user_id, "after": after, "limit": limit},
    )
    return await cursor.fetchall()


async def holder(connection: Connection, vault: Vault, certificate: dict[str, Any]) -> str | None:
    """The name on the certificate; None where its person was erased."""
    try:
        ring = await vault.person(connection, certificate["user_id"])
    except PersonForgotten:
        return None
    return ring.open(bytes(certificate["holder"]), f"certificate:{certificate['certificate_id']}").decode()


async def _tell(connection: Connection, state: EnrollmentState, kind: str, now: datetime) -> None:
    certificate_id = state.certificate_id or ""
    body = {
        "certificate_id": certificate_id,
        "enrollment_id": state.enrollment_id,
        "user_id": state.user_id,
        "course_id": state.course_id,
    }
    await emit(connection, Topic.USERS, state.enrollment_id, kind, body, now)
    await touch(connection, certificate_id)
