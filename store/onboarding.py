"""Where each customer's KYC stands: read by every column, written by the onboarding process alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from domain.kyc import Limits, Result, Status, Step, Tier, limits_of
from models.messages.onboarding import Move
from store import onboarding_submissions
from store.changes import touch
from store.database import Connection
from store.outbox import emit
from store.vault import Vault

INDIA = ZoneInfo("Asia/Kolkata")
IN_FORCE = frozenset({Status.VERIFIED, Status.IN_PROGRESS, Status.ACTION_REQUIRED, Status.PENDING})
"""A verification that is being renewed or raised still counts; under review or ended it does not."""


@dataclass(frozen=True)
class KycStanding:
    """What other columns may rely on.

    `tier` is the verified one, None where there is none; `in_force`: whether it may be relied on now;
    `limits` in paise (None where not in force; a None within: not bounded).
    """

    user_id: str
    status: Status
    tier: Tier | None
    submission_id: str | None
    in_force: bool
    limits: Limits | None
    verified_at: datetime | None
    expires_at: datetime | None
    frozen: bool
    version: int


async def kyc_of(connection: Connection, user_id: str, as_of: datetime | None = None) -> KycStanding | None:
    """The customer's standing; None where nothing was ever begun.

    `as_of`: when to judge the expiry by, where the caller's time is not the process's.
    """
    cursor = await connection.execute(
        """SELECT user_id, status, tier, submission_id, verified_at, expires_at, frozen_at, updated_at,
                  version
           FROM user_management.kyc_status WHERE user_id = %s""",
        (user_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    tier = Tier(row["tier"]) if row["tier"] else None
    lapsed = as_of is not None and row["expires_at"] is not None and row["expires_at"] <= as_of
    in_force = tier is not None and row["frozen_at"] is None and row["status"] in IN_FORCE and not lapsed
    on = (as_of or row["updated_at"]).astimezone(INDIA).date()
    return KycStanding(
        user_id=user_id,
        status=Status(row["status"]),
        tier=tier,
        submission_id=row["submission_id"],
        in_force=in_force,
        limits=limits_of(tier, on) if tier is not None and in_force else None,
        verified_at=row["verified_at"],
        expires_at=row["expires_at"],
        frozen=row["frozen_at"] is not None,
        version=row["version"],
    )


async def legal_name(connection: Connection, vault: Vault, user_id: str) -> str | None:
    """The name that was verified, None where none is in force. Raises PersonForgotten."""
    cursor = await connection.execute(
        "SELECT legal_name FROM user_management.kyc_status WHERE user_id = %s AND tier IS NOT NULL",
        (user_id,),
    )
    row = await cursor.fetchone()
    if row is None or row["legal_name"] is None:
        return None
    ring = await vault.person(connection, user_id)
    return ring.open(bytes(row["legal_name"]), f"legal-name:{user_id}").decode()


async def open_standing(connection: Connection, user_id: str, now: datetime) -> int:
    """Begins a customer's KYC; its version. A repeat changes nothing."""
    cursor = await connection.execute(
        """INSERT INTO user_management.kyc_status (user_id, status, updated_at) VALUES (%s, 'pending', %s)
           ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id RETURNING version""",
        (user_id, now),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("an upsert gave no row")
    await touch(connection, user_id)
    return row["version"]


async def move(connection: Connection, vault: Vault, to: Move) -> tuple[int, bool]:
    """Writes a move once: the version after it, and whether it was new."""
    name, pan = await _verified_name(connection, vault, to)
    cursor = await connection.execute(
        """UPDATE user_management.kyc_status SET status = %(status)s, tier = %(tier)s,
               submission_id = coalesce(%(submission_id)s, submission_id), reason_code = %(reason_code)s,
               verified_at = %(verified_at)s, expires_at = %(expires_at)s,
               risk_score = coalesce(%(risk_score)s, risk_score),
               legal_name = coalesce(%(name)s, legal_name), pan_index = coalesce(%(pan)s, pan_index),
               screened_at = CASE WHEN list_version IS DISTINCT FROM %(list_version)s THEN %(as_of)s
                                  ELSE screened_at END,
               list_version = %(list_version)s,
               frozen_at = CASE WHEN %(frozen)s THEN coalesce(frozen_at, %(as_of)s) END,
               moves = %(number)s, updated_at = %(as_of)s, version = version + 1
           WHERE user_id = %(user_id)s AND moves < %(number)s RETURNING version""",
        {**to.model_dump(exclude={"case", "notice", "alert"}), "name": name, "pan": pan},
    )
    row = await cursor.fetchone()
    if row is None:
        return await _version(connection, to.user_id), False
    await _to_user(connection, to)
    told = {"status": to.status, "tier": to.tier}
    await emit(connection, "user-events", to.user_id, f"kyc.{to.status}", told, to.as_of)
    await touch(connection, to.user_id)
    return row["version"], True


async def write_step(
    connection: Connection,
    user_id: str,
    submission_id: str,
    step: Step,
    result: Result,
    codes: list[str],
    now: datetime,
) -> None:
    """Writes a step's result once; a repeat leaves the first."""
    cursor = await connection.execute(
        """INSERT INTO user_management.kyc_steps (submission_id, step, result, codes, at)
           VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING step""",
        (submission_id, step, result, codes, now),
    )
    if await cursor.fetchone() is not None:
        await connection.execute(
            "UPDATE user_management.kyc_status SET version = version + 1 WHERE user_id = %s", (user_id,)
        )
        await touch(connection, user_id)


async def step(connection: Connection, submission_id: str, step: Step) -> tuple[Result, list[str]] | None:
    """A step's stored result and codes."""
    cursor = await connection.execute(
        "SELECT result, codes FROM user_management.kyc_steps WHERE submission_id = %s AND step = %s",
        (submission_id, step),
    )
    row = await cursor.fetchone()
    return (Result(row["result"]), row["codes"]) if row else None


async def standing_row(connection: Connection, user_id: str) -> dict[str, Any] | None:
    """All that staff may see of a customer's KYC, with `steps` and `hits`; None for an unknown person."""
    cursor = await connection.execute(
        """SELECT u.user_id, coalesce(s.status, 'pending') AS status, s.tier, s.submission_id,
                  s.reason_code, s.verified_at, s.expires_at,
                  s.risk_score, s.list_version, s.screened_at, s.frozen_at, s.updated_at,
                  coalesce(s.version, 0) AS version,
                  (SELECT requested.tier FROM user_management.kyc_submissions requested
                   WHERE requested.submission_id = s.submission_id) AS requested_tier,
                  coalesce((SELECT jsonb_agg(jsonb_build_object('step', t.step, 'result', t.result,
                                'codes', t.codes, 'at', t.at))
                            FROM user_management.kyc_steps t WHERE t.submission_id = s.submission_id), '[]')
                      AS steps,
                  coalesce((SELECT jsonb_agg(jsonb_build_object('entry_id', h.entry_id, 'state', h.state,
                                'programme', h.programme, 'score', h.score, 'list_version', h.list_version))
                            FROM user_management.kyc_hits h WHERE h.user_id = u.user_id), '[]') AS hits
           FROM user_management.users u LEFT JOIN user_management.kyc_status s USING (user_id)
           WHERE u.user_id = %s AND u.deleted_at IS NULL""",
        (user_id,),
    )
    return await cursor.fetchone()


async def to_rescreen(connection: Connection, list_version: str, after: str, limit: int) -> list[str]:
    """Verified customers who were searched in another version of the list, by id."""
    cursor = await connection.execute(
        """SELECT user_id FROM user_management.kyc_status
           WHERE tier IS NOT NULL AND list_version IS DISTINCT FROM %s AND user_id > %s
           ORDER BY user_id LIMIT %s""",
        (list_version, after, limit),
    )
    return [row["user_id"] for row in await cursor.fetchall()]


async def _version(connection: Connection, user_id: str) -> int:
    cursor = await connection.execute(
        "SELECT version FROM user_management.kyc_status WHERE user_id = %s", (user_id,)
    )
    row = await cursor.fetchone()
    return row["version"] if row else 0


async def _verified_name(connection: Connection, vault: Vault, to: Move) -> tuple[bytes | None, bytes | None]:
    if to.tier is None or to.status is not Status.VERIFIED or to.submission_id is None:
        return None, None
    given = await onboarding_submissions.read(connection, vault, to.submission_id)
    if given is None:
        return None, None
    ring = await vault.person(connection, to.user_id)
    return ring.seal(given.full_name.encode(), f"legal-name:{to.user_id}"), given.pan_index


async def _to_user(connection: Connection, to: Move) -> None:
    """The summary on the person's own row (spec/platform.md, `users`)."""
    ended = to.status in (Status.REJECTED, Status.EXPIRED)
    await connection.execute(
        """UPDATE user_management.users SET kyc_status = %(kyc)s,
               risk_score = coalesce(%(score)s, risk_score), aml_status = a.worst,
               sanctions_check_date =
                   CASE WHEN %(list)s::text IS NULL THEN sanctions_check_date ELSE %(now)s END,
               pep_status = a.pep, updated_at = %(now)s, updated_by = 'onboarding', version = version + 1
           FROM (SELECT max(state) FILTER (WHERE state <> 'cleared') AS worst,
                        coalesce(bool_or(programme ILIKE '%%pep%%' AND state = 'confirmed'), false) AS pep
                 FROM user_management.kyc_hits WHERE user_id = %(user)s) a
           WHERE users.user_id = %(user)s""",
        {
            "kyc": to.status if ended else "verified" if to.tier else "pending",
            "score": to.risk_score,
            "list": to.list_version,
            "now": to.as_of,
            "user": to.user_id,
        },
    )
