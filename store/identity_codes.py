"""Six-digit codes sent to a contact: hashed under the firm's key, ten minutes, five tries, used once."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from domain.identity import CODE_LIFETIME, CODE_TRIES
from store.database import Connection
from store.vault import Vault


@dataclass(frozen=True)
class Fit:
    """The code was right. `payload` is what it was made for, `again` whether it was used before."""

    payload: str | None
    again: bool


async def make(
    connection: Connection,
    vault: Vault,
    subject_id: str,
    purpose: str,
    now: datetime,
    payload: str | None = None,
) -> str:
    """A new code in place of any older one of the same purpose. For a decoy nobody is told the code."""
    code = f"{secrets.randbelow(1_000_000):06d}"
    await connection.execute(
        """INSERT INTO user_management.codes (subject_id, purpose, code_hash, payload, made_at, expires_at)
           VALUES (%(subject)s, %(purpose)s, %(hash)s, %(payload)s, %(now)s, %(end)s)
           ON CONFLICT (subject_id, purpose) DO UPDATE SET code_hash = excluded.code_hash,
               payload = excluded.payload, tries = 0, made_at = excluded.made_at,
               expires_at = excluded.expires_at, used_at = NULL""",
        {
            "subject": subject_id,
            "purpose": purpose,
            "hash": _hash(vault, subject_id, purpose, code),
            "payload": vault.firm.seal(payload.encode(), f"code:{subject_id}") if payload else None,
            "now": now,
            "end": now + CODE_LIFETIME,
        },
    )
    return code


async def check(
    connection: Connection, vault: Vault, subject_id: str, purpose: str, code: str, now: datetime
) -> Fit | None:
    """Counts a try and spends the code where it fits; None for a wrong, old or worn-out one.

    The try has to be committed whatever the caller answers: do not raise in this transaction.
    """
    cursor = await connection.execute(
        """UPDATE user_management.codes SET tries = tries + 1
           WHERE subject_id = %s AND purpose = %s AND expires_at > %s AND tries < %s
           RETURNING code_hash, payload, used_at""",
        (subject_id, purpose, now, CODE_TRIES),
    )
    row = await cursor.fetchone()
    given = _hash(vault, subject_id, purpose, code)
    if row is None or not hmac.compare_digest(bytes(row["code_hash"]), given):
        return None
    await connection.execute(
        """UPDATE user_management.codes SET used_at = coalesce(used_at, %s)
           WHERE subject_id = %s AND purpose = %s""",
        (now, subject_id, purpose),
    )
    sealed = row["payload"]
    payload = vault.firm.open(bytes(sealed), f"code:{subject_id}").decode() if sealed else None
    return Fit(payload, again=row["used_at"] is not None)


def _hash(vault: Vault, subject_id: str, purpose: str, code: str) -> bytes:
    return vault.index(f"code:{purpose}", f"{subject_id}\0{code}")
