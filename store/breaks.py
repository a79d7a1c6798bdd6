"""Breaks of a settlement day: shown, decided by one person or two, booked off gateway clearing."""

from datetime import date, datetime
from typing import Any

from domain.billing_calendar import ist_date
from domain.errors import Rejected
from domain.ledger import Account, Entry, side
from domain.moves import moved
from domain.reconciliation import (
    BREAK_NEXT,
    BreakKind,
    BreakStatus,
    Claim,
    DayStatus,
    Ended,
    Resolution,
    needs_second,
)
from store import ledger, reconciliation
from store.changes import touch
from store.database import Connection
from store.outbox import emit
from store.places import place


async def find(connection: Connection, break_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    """The break; `user_id` is whose payment it is about."""
    if lock:
        await connection.execute("SELECT FROM finance.breaks WHERE break_id = %s FOR UPDATE", (break_id,))
    cursor = await connection.execute(
        """SELECT b.*, p.user_id FROM finance.breaks b LEFT JOIN finance.payments p USING (payment_id)
           WHERE break_id = %s""",
        (break_id,),
    )
    return await cursor.fetchone()


PLACE = place("opened_at", "break_id")
FACTS = """
    SELECT b.*, p.captured_at, p.gateway_order_id, p.user_id, l.kind AS line_kind, l.amount AS line_amount,
           l.credit - l.debit AS line_net, l.fee AS line_fee, l.tax AS line_tax, p.fee AS agreed_fee,
           p.tax AS agreed_tax, s.made_at AS settled_at
    FROM finance.breaks b
    LEFT JOIN finance.payments p ON p.payment_id = b.payment_id
    LEFT JOIN LATERAL (
        SELECT * FROM finance.settlement_lines l
        WHERE l.entity_id = split_part(b.about, '.', 1) AND l.settlement_id = b.settlement_id
        ORDER BY occurrence LIMIT 1) l ON true
    LEFT JOIN finance.settlements s ON s.settlement_id = b.settlement_id AND s.date = b.date
"""
"""A break with all that is known of it: its payment, its line of the report, its settlement."""


async def of_day(connection: Connection, day: date, limit: int) -> list[dict[str, Any]]:
    """The day's breaks with what is known of each, those that wait first."""
    cursor = await connection.execute(
        f"{FACTS} WHERE b.date = %s ORDER BY b.status = 'resolved', b.kind, b.reference LIMIT %s",
        (day, limit),
    )
    return await cursor.fetchall()


async def count(connection: Connection, day: date) -> int:
    cursor = await connection.execute("SELECT count(*) AS n FROM finance.breaks WHERE date = %s", (day,))
    row = await cursor.fetchone()
    return int(row["n"]) if row else 0


async def to_tell(
    connection: Connection, day: date, reading: int, after: str, limit: int
) -> list[dict[str, Any]]:
    """Breaks of the day that wait, and whatever this reading changed on any day; by id, after `after`."""
    cursor = await connection.execute(
        """SELECT b.*, p.user_id FROM (
               SELECT * FROM finance.breaks WHERE date = %(day)s AND status <> 'resolved'
               UNION SELECT * FROM finance.breaks WHERE seen_date = %(day)s AND seen_reading = %(reading)s) b
           LEFT JOIN finance.payments p USING (payment_id)
           WHERE break_id > %(after)s ORDER BY break_id LIMIT %(limit)s""",
        {"day": day, "reading": reading, "after": after, "limit": limit},
    )
    return await cursor.fetchall()


async def listing(
    connection: Connection,
    *,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    day: date | None = None,
    claim: Claim | None = None,
) -> list[dict[str, Any]]:
    """Breaks of every day with what is known of each, newest first; `after` is the `place` of the last one
    shown."""
    cursor = await connection.execute(
        f"""SELECT b.*, {PLACE} AS place
           FROM ({FACTS}) b
           WHERE (%(status)s::text IS NULL OR status = %(status)s)
             AND (%(day)s::date IS NULL OR date = %(day)s)
             AND (%(claim)s::text IS NULL OR claim = %(claim)s)
             AND (%(start)s::timestamptz IS NULL OR opened_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR opened_at < %(end)s)
             AND (%(after)s::text IS NULL OR {PLACE} < %(after)s)
           ORDER BY opened_at DESC, break_id DESC LIMIT %(limit)s""",  # noqa: S608
        {
            "status": status,
            "after": after,
            "start": start,
            "end": end,
            "limit": limit,
            "day": day,
            "claim": claim,
        },
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

    A repeat of the same note is the same decision. A claim that the gateway does not pay may be given up by
    any other resolution, by as many people.

    Raises:
        Rejected: `break_unknown`, `already_resolved`, `not_claimed`, `same_person`, `resolution_differs`.
    """
    row = await find(connection, break_id, lock=True)
    if row is None:
        raise Rejected("break_unknown")
    if note_id in (*row["note_ids"], *row["claim_note_ids"]):
        return row
    if row["status"] == BreakStatus.RESOLVED:
        if row["claim"] != Claim.OPEN or resolution is Resolution.CLAIM_GATEWAY:
            raise Rejected("already_resolved")
        return await _give_up(connection, row, resolution, note_id, subject, now)
    if resolution is Resolution.PAID_OUTSIDE:
        raise Rejected("not_claimed")
    first = row["status"] == BreakStatus.OPEN
    if not first and row["first_by"] == subject:
        raise Rejected("same_person")
    if not first and row["resolution"] != resolution:
        raise Rejected("resolution_differs")
    done = not (first and needs_second(row["difference"], row["difference_tax"]))
    to = BreakStatus.RESOLVED if done else BreakStatus.AWAITING_SECOND
    moved(BREAK_NEXT, BreakStatus(row["status"]), to)
    await connection.execute(
        """UPDATE finance.breaks SET status = %(status)s, resolution = %(resolution)s,
               note_ids = note_ids || %(note)s::text, first_by = coalesce(first_by, %(subject)s),
               second_by = CASE WHEN %(first)s THEN NULL ELSE %(subject)s END,
               resolved_at = CASE WHEN %(done)s THEN %(now)s::timestamptz END,
               ended = %(ended)s, booked = CASE WHEN %(done)s THEN difference ELSE 0 END, claim = %(claim)s,
               decided_tax = CASE WHEN %(done)s THEN difference_tax ELSE 0 END,
               version = version + 1
           WHERE break_id = %(id)s""",
        {
            "status": to,
            "resolution": resolution,
            "note": note_id,
            "subject": subject,
            "first": first,
            "done": done,
            "ended": Ended.DECIDED if done else None,
            # Tax alone is no money of the gateway's: there is nothing to wait for.
            "claim": Claim.OPEN
            if done and resolution is Resolution.CLAIM_GATEWAY and row["difference"]
            else None,
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


async def _give_up(
    connection: Connection,
    row: dict[str, Any],
    resolution: Resolution,
    note_id: str,
    subject: str,
    now: datetime,
) -> dict[str, Any]:
    """Takes a claim that no report pays off the account of claims, once as many people agree as a break
    takes. No later line pays it: where one comes all the same, finance is asked what it is."""
    first = row["claim_first_by"] is None
    if row["claim_first_by"] == subject:
        raise Rejected("same_person")
    if not first and row["claim_resolution"] != resolution:
        raise Rejected("resolution_differs")
    done = not (first and needs_second(row["difference"]))
    await connection.execute(
        """UPDATE finance.breaks SET claim = %(claim)s, claim_resolution = %(resolution)s,
               claim_note_ids = claim_note_ids || %(note)s::text,
               claim_first_by = coalesce(claim_first_by, %(subject)s),
               claim_second_by = CASE WHEN %(first)s THEN NULL ELSE %(subject)s END, version = version + 1
           WHERE break_id = %(id)s""",
        {
            "claim": Claim.GIVEN_UP if done else Claim.OPEN,
            "resolution": resolution,
            "note": note_id,
            "subject": subject,
            "first": first,
            "id": row["break_id"],
        },
    )
    if done:
        entry = Entry(
            business_key=f"claim-given-up:{row['break_id']}",
            date=ist_date(now),
            lines=(
                *side(_account(resolution, row["booked"]), row["booked"]),
                *side(Account.GATEWAY_CLAIMS, -row["booked"]),
            ),
            references=tuple(part for part in (row["break_id"], row["about"], row["payment_id"]) if part),
        )
        await ledger.post(connection, entry, now)
    body = {"break_id": row["break_id"], "resolution": resolution.value, "resolved": done}
    await emit(connection, reconciliation.TOPIC, row["break_id"], "reconciliation.claim_decided", body, now)
    await touch(connection, row["break_id"])
    return await find(connection, row["break_id"]) or row


async def _book(connection: Connection, row: dict[str, Any], resolution: Resolution, now: datetime) -> None:
    """Moves the difference from gateway clearing to where the decision says. Of a break of tax alone only
    its acceptance is booked: what was taken for a fee is input tax, or the other way round."""
    left, tax = row["difference"], row["difference_tax"]
    if not left and resolution is not Resolution.ACCEPT:
        return
    if resolution is Resolution.ACCEPT and row["kind"] == BreakKind.WRONG_FEE:
        lines = (*side(Account.GATEWAY_FEES, left - tax), *side(Account.INPUT_GST, tax))
    else:
        lines = side(_account(resolution, left), left)
    entry = Entry(
        business_key=f"break:{row['break_id']}",
        date=ist_date(now),
        lines=(*lines, *side(Account.GATEWAY_CLEARING, -left)),
        references=tuple(part for part in (row["break_id"], row["about"], row["payment_id"]) if part),
    )
    await ledger.post(connection, entry, now)
    await connection.execute(
        """UPDATE finance.breaks SET booked_on =
               (SELECT date FROM finance.journal_entries WHERE business_key = %s) WHERE break_id = %s""",
        (entry.business_key, row["break_id"]),
    )


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
        case Resolution.PAID_OUTSIDE:
            return Account.BANK
