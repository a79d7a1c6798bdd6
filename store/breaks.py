"""Breaks of a settlement day: read, decided by one person or two, booked off gateway clearing."""

from datetime import datetime
from typing import Any

from domain.billing_calendar import ist_date
from domain.errors import Rejected
from domain.ledger import Account, Entry, Line
from domain.moves import moved
from domain.reconciliation import BREAK_NEXT, BreakKind, BreakStatus, DayStatus, Resolution, needs_second
from store import ledger, reconciliation
from store.changes import touch
from store.database import Connection
from store.outbox import emit


async def find(connection: Connection, break_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    if lock:
        await connection.execute("SELECT FROM finance.breaks WHERE break_id = %s FOR UPDATE", (break_id,))
    cursor = await connection.execute("SELECT * FROM finance.breaks WHERE break_id = %s", (break_id,))
    return await cursor.fetchone()


async def listing(
    connection: Connection,
    *,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Breaks of every day, newest first; `after` is the sort key of the last one shown."""
    cursor = await connection.execute(
        """SELECT *, to_char(opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '/' || break_id
                   AS place
           FROM finance.breaks
           WHERE (%(status)s::text IS NULL OR status = %(status)s)
             AND (%(start)s::timestamptz IS NULL OR opened_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR opened_at < %(end)s)
             AND (%(after)s::text IS NULL OR
                  to_char(opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '/' || break_id
                      < %(after)s)
           ORDER BY opened_at DESC, break_id DESC LIMIT %(limit)s""",
        {"status": status, "after": after, "start": start, "end": end, "limit": limit},
    )
    return await cursor.fetchall()


async def decide(
    connection: Connection,
    break_id: str,
    resolution: Resolution,
    note_id: str,
    subject: str,
    now: datetime,
) -> dict[str, Any]:
    """One person's decision: resolves the break with its ledger entry, or leaves it to a second person.

    A repeat of the same note is the same decision.

    Raises:
        Rejected: `break_unknown`, `already_resolved`, `same_person`, `resolution_differs`.
    """
    row = await find(connection, break_id, lock=True)
    if row is None:
        raise Rejected("break_unknown")
    if row["note_id"] == note_id:
        return row
    if row["status"] == BreakStatus.RESOLVED:
        raise Rejected("already_resolved")
    first = row["status"] == BreakStatus.OPEN
    if not first and row["first_by"] == subject:
        raise Rejected("same_person")
    if not first and row["resolution"] != resolution:
        raise Rejected("resolution_differs")
    done = not (first and needs_second(row["difference"]))
    to = BreakStatus.RESOLVED if done else BreakStatus.AWAITING_SECOND
    moved(BREAK_NEXT, BreakStatus(row["status"]), to)
    await connection.execute(
        """UPDATE finance.breaks SET status = %(status)s, resolution = %(resolution)s, note_id = %(note)s,
               first_by = coalesce(first_by, %(subject)s),
               second_by = CASE WHEN %(first)s THEN NULL ELSE %(subject)s END,
               resolved_at = CASE WHEN %(done)s THEN %(now)s::timestamptz END, version = version + 1
           WHERE break_id = %(id)s""",
        {
            "status": to,
            "resolution": resolution,
            "note": note_id,
            "subject": subject,
            "first": first,
            "done": done,
            "now": now,
            "id": break_id,
        },
    )
    if done:
        await _book(connection, row, resolution, now)
        await reconciliation.settle_status(connection, row["date"], DayStatus.OPEN)
    body = {"break_id": break_id, "resolution": resolution.value, "resolved": done}
    await emit(connection, reconciliation.TOPIC, break_id, "reconciliation.break_decided", body, now)
    await touch(connection, break_id)
    return await find(connection, break_id) or row


async def _book(connection: Connection, row: dict[str, Any], resolution: Resolution, now: datetime) -> None:
    """Moves what is left of the break from gateway clearing to where the decision says."""
    left, tax = await reconciliation.remainder(connection, row)
    if left == 0:
        return
    lines: list[Line] = []
    if resolution is Resolution.ACCEPT and row["kind"] == BreakKind.WRONG_FEE:
        lines = [*_side(Account.GATEWAY_FEES, left - tax), *_side(Account.INPUT_GST, tax)]
    else:
        lines = [*_side(_account(resolution, left), left)]
    entry = Entry(
        business_key=f"break:{row['break_id']}",
        date=ist_date(now),
        lines=(*lines, *_side(Account.GATEWAY_CLEARING, -left)),
        references=(row["break_id"], row["reference"]),
    )
    await ledger.post(connection, entry, now)


def _account(resolution: Resolution, left: int) -> Account:
    """Against which account a remainder leaves clearing; positive where the gateway owes us."""
    match resolution:
        case Resolution.ACCEPT:
            return Account.RECONCILIATION_SUSPENSE
        case Resolution.POST_ADJUSTMENT:
            return Account.RECONCILIATION_LOSSES if left > 0 else Account.RECONCILIATION_GAINS
        case Resolution.CLAIM_GATEWAY:
            return Account.GATEWAY_CLAIMS
        case Resolution.WRITE_OFF:
            return Account.BAD_DEBT if left > 0 else Account.RECONCILIATION_GAINS


def _side(account: Account, amount: int) -> tuple[Line, ...]:
    if amount == 0:
        return ()
    return (Line(account=account, debit=max(amount, 0), credit=max(-amount, 0)),)
