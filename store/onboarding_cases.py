"""Manual reviews, screening hits and the alerts that compliance gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from models.messages.onboarding import CaseMove, CaseStatus
from store.changes import touch
from store.database import Connection
from store.places import place
from store.vault import Vault

OPEN = (CaseStatus.OPEN, CaseStatus.AWAITING_SECOND, CaseStatus.ESCALATED)
COLUMNS = """case_id, user_id, reason, status, risk_score, opened_at, due_at, escalated_at, decided_at,
    decided_by, first_by, version"""
PLACE = place("opened_at", "case_id")


@dataclass(frozen=True)
class Hit:
    """A listed person who resembles the customer."""

    entry_id: str
    programme: str
    score: int
    name: str


async def keep_hits(
    connection: Connection, vault: Vault, user_id: str, list_version: str, hits: Sequence[Hit], now: datetime
) -> dict[str, str]:
    """Stores hits once; the state of each of these by entry id: one that was cleared stays cleared."""
    if not hits:
        return {}
    ring = await vault.person(connection, user_id)
    states: dict[str, str] = {}
    for hit in hits:
        cursor = await connection.execute(
            """INSERT INTO user_management.kyc_hits
                   (user_id, entry_id, list_version, programme, score, name, state, found_at)
               VALUES (%s, %s, %s, %s, %s, %s, 'open', %s)
               ON CONFLICT (user_id, entry_id) DO UPDATE SET score = excluded.score RETURNING state""",
            (
                user_id,
                hit.entry_id,
                list_version,
                hit.programme,
                hit.score,
                ring.seal(hit.name.encode(), f"kyc-hit:{user_id}:{hit.entry_id}"),
                now,
            ),
        )
        row = await cursor.fetchone()
        states[hit.entry_id] = row["state"] if row else "open"
    return states


async def write(
    connection: Connection,
    user_id: str,
    submission_id: str | None,
    risk_score: int | None,
    case: CaseMove,
    now: datetime,
) -> None:
    """Brings a case's row, and the hits it is about, to where the move says."""
    open_ = case.status in OPEN
    await connection.execute(
        """INSERT INTO user_management.kyc_cases AS c
               (case_id, user_id, submission_id, reason, status, risk_score, opened_at, due_at)
           VALUES (%(case)s, %(user)s, %(submission)s, %(reason)s, %(status)s, %(score)s, %(opened)s, %(due)s)
           ON CONFLICT (case_id) DO UPDATE SET status = excluded.status,
               escalated_at = CASE WHEN excluded.status = 'escalated' THEN %(now)s ELSE c.escalated_at END,
               decided_at = CASE WHEN NOT %(open)s THEN %(now)s::timestamptz END,
               decided_by = %(by)s, note_id = coalesce(%(note)s, c.note_id),
               first_by = coalesce(%(first)s, c.first_by), version = c.version + 1""",
        {
            "case": case.case_id,
            "user": user_id,
            "submission": submission_id,
            "reason": case.reason,
            "status": case.status,
            "score": risk_score,
            "opened": case.opened_at,
            "due": case.due_at,
            "open": open_,
            "by": case.decided_by,
            "note": case.note_id,
            "first": case.first_by,
            "now": now,
        },
    )
    if case.hits is not None:
        await connection.execute(
            """UPDATE user_management.kyc_hits SET state = %(hits)s, decided_by = %(by)s, decided_at = %(now)s
               WHERE user_id = %(user)s
                 AND (state = 'open' OR (state = 'confirmed' AND %(hits)s = 'cleared'))""",
            {"hits": case.hits, "by": case.decided_by, "now": now, "user": user_id},
        )
    await touch(connection, case.case_id)


async def reviews(
    connection: Connection,
    *,
    viewer: str,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Cases, newest first, but the viewer's own; without a status the undecided ones. `after` is the `place`
    of the last one shown."""
    cursor = await connection.execute(
        f"""SELECT {COLUMNS}, {PLACE} AS place FROM user_management.kyc_cases
            WHERE CASE WHEN %(status)s::text IS NULL THEN decided_at IS NULL ELSE status = %(status)s END
              AND user_id <> %(viewer)s
              AND (%(after)s::text IS NULL OR {PLACE} < %(after)s)
              AND (%(start)s::timestamptz IS NULL OR opened_at >= %(start)s)
              AND (%(end)s::timestamptz IS NULL OR opened_at < %(end)s)
            ORDER BY opened_at DESC, case_id DESC LIMIT %(limit)s""",  # noqa: S608
        {"viewer": viewer, "status": status, "after": after, "start": start, "end": end, "limit": limit},
    )
    return await cursor.fetchall()


async def case(connection: Connection, case_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM user_management.kyc_cases WHERE case_id = %s",  # noqa: S608
        (case_id,),
    )
    return await cursor.fetchone()


async def officers(connection: Connection, but: str, now: datetime) -> list[str]:
    """Who holds the compliance role, without the person that it is about."""
    cursor = await connection.execute(
        """SELECT user_id FROM user_management.user_roles
           WHERE role = 'compliance' AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > %s)
             AND user_id <> %s ORDER BY user_id""",
        (now, but),
    )
    return [row["user_id"] for row in await cursor.fetchall()]


async def alert(
    connection: Connection,
    *,
    alert_id: str,
    kind: str,
    user_id: str,
    reference: str,
    report_by: date | None,
    now: datetime,
) -> None:
    """Records an alert once. `report_by`: the last day for a report to FIU-IND, where one is due."""
    await connection.execute(
        """INSERT INTO user_management.compliance_alerts
               (alert_id, kind, user_id, reference, made_at, report_by)
           VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        (alert_id, kind, user_id, reference, now, report_by),
    )
