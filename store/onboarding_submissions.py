"""What customers hand in for KYC: sealed under their own key, written beside the command that names it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb
from pydantic import BaseModel
from pydantic_core import to_json

from domain.kyc import Tier
from store import identity_consents
from store.database import Connection
from store.vault import Vault


class Address(BaseModel):
    line1: str
    line2: str | None = None
    city: str
    state: str
    pincode: str


class Facts(BaseModel):
    """What the customer says about themselves; `share_code` opens the Aadhaar file."""

    full_name: str
    date_of_birth: date
    pan: str
    address: Address
    share_code: str


@dataclass(frozen=True)
class Document:
    type: str
    issued_on: date | None
    content: bytes


@dataclass(frozen=True)
class Submission:
    """One submission, opened, without its files."""

    submission_id: str
    user_id: str
    tier: Tier
    facts: Facts
    pan_index: bytes
    consent_held: bool

    @property
    def full_name(self) -> str:
        return self.facts.full_name


async def write(
    connection: Connection,
    vault: Vault,
    *,
    submission_id: str,
    user_id: str,
    tier: Tier,
    facts: Facts,
    aadhaar_file: bytes,
    documents: Sequence[Document],
    consent_version: str,
    now: datetime,
) -> None:
    """Writes a submission with the consent that it was handed in under."""
    ring = await vault.person(connection, user_id)
    consent = await identity_consents.give(connection, user_id, "kyc", "kyc", consent_version, now)
    await connection.execute(
        """INSERT INTO user_management.kyc_submissions
               (submission_id, user_id, tier, consent_id, data, aadhaar_file, pan_index, made_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            submission_id,
            user_id,
            tier,
            consent["consent_id"],
            ring.seal(facts.model_dump_json().encode(), f"kyc-facts:{submission_id}"),
            ring.seal(aadhaar_file, f"kyc-aadhaar:{submission_id}"),
            vault.index("pan", facts.pan),
            now,
        ),
    )
    for number, document in enumerate(documents):
        await connection.execute(
            """INSERT INTO user_management.kyc_documents (submission_id, number, type, issued_on, content)
               VALUES (%s, %s, %s, %s, %s)""",
            (
                submission_id,
                number,
                document.type,
                document.issued_on,
                ring.seal(document.content, f"kyc-document:{submission_id}:{number}"),
            ),
        )


async def read(connection: Connection, vault: Vault, submission_id: str) -> Submission | None:
    """Raises PersonForgotten."""
    cursor = await connection.execute(
        """SELECT s.user_id, s.tier, s.data, s.pan_index, c.withdrawn_at IS NULL AS consent_held
           FROM user_management.kyc_submissions s JOIN user_management.consents c USING (consent_id)
           WHERE s.submission_id = %s""",
        (submission_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    ring = await vault.person(connection, row["user_id"])
    opened = ring.open(bytes(row["data"]), f"kyc-facts:{submission_id}")
    return Submission(
        submission_id=submission_id,
        user_id=row["user_id"],
        tier=Tier(row["tier"]),
        facts=Facts.model_validate_json(opened),
        pan_index=bytes(row["pan_index"]),
        consent_held=row["consent_held"],
    )


async def address_of(connection: Connection, vault: Vault, user_id: str) -> Address | None:
    """The address that the person handed in last; None where nothing was. Raises PersonForgotten."""
    cursor = await connection.execute(
        """SELECT submission_id FROM user_management.kyc_submissions WHERE user_id = %s
           ORDER BY made_at DESC, submission_id DESC LIMIT 1""",
        (user_id,),
    )
    row = await cursor.fetchone()
    found = await read(connection, vault, row["submission_id"]) if row else None
    return found.facts.address if found else None


async def aadhaar_file(connection: Connection, vault: Vault, given: Submission) -> bytes:
    cursor = await connection.execute(
        "SELECT aadhaar_file FROM user_management.kyc_submissions WHERE submission_id = %s",
        (given.submission_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError("no such submission")
    ring = await vault.person(connection, given.user_id)
    return ring.open(bytes(row["aadhaar_file"]), f"kyc-aadhaar:{given.submission_id}")


async def documents(connection: Connection, vault: Vault, given: Submission) -> list[Document]:
    cursor = await connection.execute(
        """SELECT number, type, issued_on, content FROM user_management.kyc_documents
           WHERE submission_id = %s ORDER BY number""",
        (given.submission_id,),
    )
    rows = await cursor.fetchall()
    if not rows:
        return []
    ring = await vault.person(connection, given.user_id)
    context = f"kyc-document:{given.submission_id}"
    return [
        Document(
            row["type"], row["issued_on"], ring.open(bytes(row["content"]), f"{context}:{row['number']}")
        )
        for row in rows
    ]


async def keep_record(
    connection: Connection, vault: Vault, given: Submission, record: dict[str, Any]
) -> None:
    """Keeps what the signed Aadhaar file said, sealed; a repeat changes nothing."""
    ring = await vault.person(connection, given.user_id)
    await connection.execute(
        """UPDATE user_management.kyc_submissions SET aadhaar_record = %s
           WHERE submission_id = %s AND aadhaar_record IS NULL""",
        (ring.seal(to_json(record), f"kyc-record:{given.submission_id}"), given.submission_id),
    )


async def record(connection: Connection, vault: Vault, given: Submission) -> bytes | None:
    """What `keep_record` kept, as JSON."""
    cursor = await connection.execute(
        "SELECT aadhaar_record FROM user_management.kyc_submissions WHERE submission_id = %s",
        (given.submission_id,),
    )
    row = await cursor.fetchone()
    if row is None or row["aadhaar_record"] is None:
        return None
    ring = await vault.person(connection, given.user_id)
    return ring.open(bytes(row["aadhaar_record"]), f"kyc-record:{given.submission_id}")


async def pan_is_anothers(connection: Connection, given: Submission) -> bool:
    """Whether another customer was verified with this PAN."""
    cursor = await connection.execute(
        """SELECT 1 FROM user_management.kyc_status
           WHERE pan_index = %s AND tier IS NOT NULL AND user_id <> %s LIMIT 1""",
        (given.pan_index, given.user_id),
    )
    return await cursor.fetchone() is not None


async def begin_check(
    connection: Connection, reference: str, submission_id: str, kind: str, now: datetime
) -> dict[str, Any] | None:
    """Marks a paid check as `sending`; the stored answer where it was sent and answered before."""
    cursor = await connection.execute(
        """INSERT INTO user_management.kyc_checks (reference, submission_id, kind, state, made_at)
           VALUES (%s, %s, %s, 'sending', %s)
           ON CONFLICT (reference) DO UPDATE SET reference = excluded.reference RETURNING answer""",
        (reference, submission_id, kind, now),
    )
    row = await cursor.fetchone()
    return row["answer"] if row else None


async def end_check(connection: Connection, reference: str, answer: dict[str, Any], now: datetime) -> None:
    """Marks a check as `sent` with its answer (codes only, no personal data); a repeat keeps the first."""
    await connection.execute(
        """UPDATE user_management.kyc_checks SET state = 'sent', answer = %s, answered_at = %s
           WHERE reference = %s AND state = 'sending'""",
        (Jsonb(answer), now, reference),
    )
