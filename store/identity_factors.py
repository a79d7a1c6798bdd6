"""Second factors and the soft lock: TOTP secrets and used counters, recovery codes, failed sign-ins."""

from dataclasses import dataclass
from datetime import datetime

from domain.identity import FAILURES_FORGOTTEN, lock_after
from store.database import Connection
from store.vault import Vault


@dataclass(frozen=True)
class TotpState:
    """The person's secrets in base 32: the active one, and one enrolled but not yet proven."""

    active: str | None
    pending: str | None


async def totp_state(connection: Connection, vault: Vault, user_id: str) -> TotpState:
    cursor = await connection.execute(
        "SELECT totp_secret, totp_pending FROM user_management.users WHERE user_id = %s", (user_id,)
    )
    row = await cursor.fetchone()
    if row is None or (row["totp_secret"] is None and row["totp_pending"] is None):
        return TotpState(None, None)
    ring = await vault.person(connection, user_id)
    opened = [
        ring.open(bytes(sealed), f"totp:{user_id}").decode() if sealed is not None else None
        for sealed in (row["totp_secret"], row["totp_pending"])
    ]
    return TotpState(*opened)


async def enroll_totp(connection: Connection, vault: Vault, user_id: str, secret: str) -> None:
    """Keeps a secret that has no effect until a code of it was shown."""
    ring = await vault.person(connection, user_id)
    await connection.execute(
        "UPDATE user_management.users SET totp_pending = %s WHERE user_id = %s",
        (ring.seal(secret.encode(), f"totp:{user_id}"), user_id),
    )


async def activate_totp(
    connection: Connection, vault: Vault, user_id: str, counter: int, recovery_codes: list[str], now: datetime
) -> bool:
    """Makes the pending secret the active one, its first code (of `counter`) used, with new recovery
    codes; False where another call did so first."""
    cursor = await connection.execute(
        """UPDATE user_management.users SET totp_secret = totp_pending, totp_pending = NULL,
               totp_activated_at = %(now)s, totp_counter = %(counter)s, updated_at = %(now)s,
               updated_by = %(user)s, version = version + 1
           WHERE user_id = %(user)s AND totp_pending IS NOT NULL RETURNING user_id""",
        {"now": now, "counter": counter, "user": user_id},
    )
    if await cursor.fetchone() is None:
        return False
    await connection.execute("DELETE FROM user_management.recovery_codes WHERE user_id = %s", (user_id,))
    for code in recovery_codes:
        await connection.execute(
            "INSERT INTO user_management.recovery_codes (user_id, code_hash) VALUES (%s, %s)",
            (user_id, _recovery(vault, user_id, code)),
        )
    return True


async def use_totp(connection: Connection, user_id: str, counter: int) -> bool:
    """Spends the code of a 30-second step; False where it, or a later one, was spent before."""
    cursor = await connection.execute(
        """UPDATE user_management.users SET totp_counter = %(counter)s
           WHERE user_id = %(user)s AND totp_counter < %(counter)s RETURNING user_id""",
        {"counter": counter, "user": user_id},
    )
    return await cursor.fetchone() is not None


async def use_recovery(connection: Connection, vault: Vault, user_id: str, code: str, now: datetime) -> bool:
    """Spends a recovery code; False for a wrong or spent one."""
    cursor = await connection.execute(
        """UPDATE user_management.recovery_codes SET used_at = %s
           WHERE user_id = %s AND code_hash = %s AND used_at IS NULL RETURNING user_id""",
        (now, user_id, _recovery(vault, user_id, code)),
    )
    return await cursor.fetchone() is not None


async def locked_until(connection: Connection, email_index: bytes, now: datetime) -> datetime | None:
    """Until when sign-in under this mail rests, None where it does not."""
    cursor = await connection.execute(
        """SELECT locked_until FROM user_management.sign_in_failures
           WHERE email_index = %s AND locked_until > %s""",
        (email_index, now),
    )
    row = await cursor.fetchone()
    return row["locked_until"] if row else None


async def count_failure(connection: Connection, email_index: bytes, now: datetime) -> None:
    """Counts a failed sign-in, whether or not the mail is anyone's, and locks when it is due."""
    cursor = await connection.execute(
        """INSERT INTO user_management.sign_in_failures AS f (email_index, failures, failed_at)
           VALUES (%(index)s, 1, %(now)s)
           ON CONFLICT (email_index) DO UPDATE SET failed_at = %(now)s,
               failures = CASE WHEN f.failed_at < %(forgotten)s THEN 1 ELSE f.failures + 1 END
           RETURNING failures""",
        {"index": email_index, "now": now, "forgotten": now - FAILURES_FORGOTTEN},
    )
    row = await cursor.fetchone()
    if row and (lock := lock_after(row["failures"])):
        await connection.execute(
            "UPDATE user_management.sign_in_failures SET locked_until = %s WHERE email_index = %s",
            (now + lock, email_index),
        )


async def clear_failures(connection: Connection, email_index: bytes) -> None:
    await connection.execute(
        "DELETE FROM user_management.sign_in_failures WHERE email_index = %s", (email_index,)
    )


def _recovery(vault: Vault, user_id: str, code: str) -> bytes:
    return vault.index("recovery", f"{user_id}\0{code.replace('-', '').upper()}")
