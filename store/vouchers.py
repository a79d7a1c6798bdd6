"""Vouchers: written by one person of finance, above a limit agreed to by another, posted once."""

from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb

from domain.errors import Rejected
from domain.ledger import Line
from domain.moves import begun, moved
from domain.reconciliation import needs_second
from domain.vouchers import VOUCHER_FIRST, VOUCHER_NEXT, VoucherStatus, voucher_entry
from store import ledger, periods
from store.changes import touch
from store.database import Connection
from store.outbox import emit

TOPIC = "payment-events"


async def find(connection: Connection, voucher_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT * FROM finance.vouchers WHERE voucher_id = %s{' FOR UPDATE' if lock else ''}",  # noqa: S608
        (voucher_id,),
    )
    return await cursor.fetchone()


async def take(
    connection: Connection,
    voucher_id: str,
    day: date,
    lines: list[Line],
    note_id: str,
    subject: str,
    now: datetime,
) -> dict[str, Any]:
    """Writes a voucher, posted at once where one person is enough; a repeat gives the row that stands."""
    amount = sum(line.debit for line in lines)
    status = VoucherStatus.AWAITING_SECOND if needs_second(amount) else VoucherStatus.POSTED
    cursor = await connection.execute(
        """INSERT INTO finance.vouchers (voucher_id, status, date, lines, amount, note_id, first_by,
               opened_at, version)
           VALUES (%s, 'awaiting_second', %s, %s, %s, %s, %s, %s, 1)
           ON CONFLICT DO NOTHING RETURNING voucher_id""",
        (
            voucher_id,
            await periods.open_day(connection, day),
            Jsonb([line.model_dump(mode="json") for line in lines]),
            amount,
            note_id,
            subject,
            now,
        ),
    )
    if await cursor.fetchone() is not None:
        if begun(VOUCHER_FIRST, status) is VoucherStatus.POSTED:
            await _post(connection, voucher_id, None, now)
        await _tell(connection, voucher_id, status, now)
    return await _found(connection, voucher_id)


async def decide(
    connection: Connection, voucher_id: str, status: VoucherStatus, subject: str, now: datetime
) -> dict[str, Any]:
    """The second person's word; a repeat of it gives the row that stands.

    Raises:
        Rejected: `voucher_unknown`, `same_person`, `already_decided`.
    """
    row = await find(connection, voucher_id, lock=True)
    if row is None:
        raise Rejected("voucher_unknown")
    if row["status"] == status and row["second_by"] == subject:
        return row
    if row["status"] != VoucherStatus.AWAITING_SECOND:
        raise Rejected("already_decided")
    if row["first_by"] == subject and status is VoucherStatus.POSTED:
        raise Rejected("same_person")
    moved(VOUCHER_NEXT, VoucherStatus(row["status"]), status)
    if status is VoucherStatus.POSTED:
        await _post(connection, voucher_id, subject, now)
    else:
        await connection.execute(
            """UPDATE finance.vouchers SET status = 'rejected', second_by = %s, ended_at = %s,
                   version = version + 1 WHERE voucher_id = %s""",
            (subject, now, voucher_id),
        )
    await _tell(connection, voucher_id, status, now)
    return await _found(connection, voucher_id)


async def listing(
    connection: Connection,
    *,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Vouchers, newest first."""
    cursor = await connection.execute(
        """SELECT * FROM finance.vouchers
           WHERE (%(status)s::text IS NULL OR status = %(status)s)
             AND (%(after)s::text IS NULL OR voucher_id < %(after)s)
             AND (%(start)s::timestamptz IS NULL OR opened_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR opened_at < %(end)s)
           ORDER BY voucher_id DESC LIMIT %(limit)s""",
        {"status": status, "after": after, "start": start, "end": end, "limit": limit},
    )
    return await cursor.fetchall()


async def _post(connection: Connection, voucher_id: str, second: str | None, now: datetime) -> None:
    row = await _found(connection, voucher_id)
    day = await periods.open_day(connection, row["date"])
    lines = [Line.model_validate(line) for line in row["lines"]]
    entry_id = await ledger.post(connection, voucher_entry(voucher_id, day, lines), now)
    await connection.execute(
        """UPDATE finance.vouchers SET status = 'posted', date = %s, second_by = %s, entry_id = %s,
               ended_at = %s, version = version + 1 WHERE voucher_id = %s""",
        (day, second, entry_id, now, voucher_id),
    )


async def _found(connection: Connection, voucher_id: str) -> dict[str, Any]:
    row = await find(connection, voucher_id)
    if row is None:
        raise LookupError(voucher_id)
    return row


async def _tell(connection: Connection, voucher_id: str, status: VoucherStatus, now: datetime) -> None:
    body = {"voucher_id": voucher_id, "status": status.value}
    await emit(connection, TOPIC, voucher_id, f"voucher.{status}", body, now)
    await touch(connection, voucher_id)
