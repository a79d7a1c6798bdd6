"""Registrations of documents with the e-invoice portal: opened with the document, driven by the relay."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from domain.einvoices import NEXT, EInvoiceStatus, is_due, report_by
from domain.gst import DocumentKind
from domain.moves import sources
from store.changes import touch
from store.database import Connection
from store.vault import Vault

CHANNEL = "einvoices"
"""Of NOTIFY: woken when a document that needs an IRN is committed."""

LEASE = timedelta(seconds=5)


@dataclass(frozen=True)
class Registration:
    """What the portal answered, verified."""

    irn: str
    ack_no: str
    ack_at: datetime
    signed_qr: str
    signed_invoice: str


@dataclass(frozen=True)
class Start:
    """What the relay starts a process with. Ids and amounts only."""

    invoice_id: str
    number: str
    user_id: str
    payment_id: str
    total: int
    report_by: date | None


async def require(
    connection: Connection,
    invoice_id: str,
    kind: DocumentKind,
    buyer_gstin: str | None,
    issued_on: date,
    turnover: int,
    now: datetime,
) -> None:
    """Opens the registration of a document that needs one, in the transaction that issues it."""
    if not is_due(kind, buyer_gstin, issued_on, turnover):
        return
    await connection.execute(
        """INSERT INTO finance.einvoices (invoice_id, status, report_by, created_at, changed_at, version)
           VALUES (%(id)s, 'pending', %(by)s, %(now)s, %(now)s, 1)""",
        {"id": invoice_id, "by": report_by(issued_on, turnover), "now": now},
    )
    await connection.execute("SELECT pg_notify(%s, '')", (CHANNEL,))


async def due(connection: Connection, now: datetime, limit: int = 50) -> list[Start]:
    """Takes registrations whose process is to be started, oldest first. Each one's next turn moves back (5 s,
    doubling, at most an hour): a start that was lost is made again, one that stands is found standing."""
    cursor = await connection.execute(
        """WITH taken AS (
               UPDATE finance.einvoices SET starts = starts + 1,
                   start_at = %(now)s + least(interval '1 hour', %(lease)s * power(2, least(starts, 12)))
               WHERE invoice_id IN (
                   SELECT invoice_id FROM finance.einvoices
                   WHERE status IN ('pending', 'attention') AND start_at <= %(now)s
                   ORDER BY start_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
               RETURNING invoice_id, report_by)
           SELECT i.invoice_id, i.number, i.user_id, i.payment_id, i.total, t.report_by
           FROM taken t JOIN finance.invoices i USING (invoice_id) ORDER BY invoice_id""",
        {"now": now, "limit": limit, "lease": LEASE},
    )
    return [Start(**row) for row in await cursor.fetchall()]


async def find(connection: Connection, invoice_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT * FROM finance.einvoices WHERE invoice_id = %s {'FOR UPDATE' if lock else ''}",  # noqa: S608
        (invoice_id,),
    )
    return await cursor.fetchone()


async def keep_address(
    connection: Connection, vault: Vault, invoice: dict[str, Any], address: dict[str, str]
) -> None:
    """The recipient's address as the portal has it, where none was on record: sealed as the recipient is."""
    ring = vault.record(bytes(invoice["recipient_key"]), invoice["invoice_id"])
    sealed = ring.seal(to_json(address), f"address:{invoice['invoice_id']}")
    await connection.execute(
        "UPDATE finance.einvoices SET recipient_address = %s WHERE invoice_id = %s",
        (sealed, invoice["invoice_id"]),
    )


async def registered(
    connection: Connection, vault: Vault, invoice: dict[str, Any], found: Registration, now: datetime
) -> None:
    """Keeps the portal's answer; a repeat changes nothing. The signed document holds the recipient's name, so
    it is sealed as the recipient is; the portal itself keeps it for days only."""
    ring = vault.record(bytes(invoice["recipient_key"]), invoice["invoice_id"])
    sealed = ring.seal(found.signed_invoice.encode(), f"signed:{invoice['invoice_id']}")
    await _move(
        connection,
        invoice["invoice_id"],
        EInvoiceStatus.REGISTERED,
        now,
        "irn = %(irn)s, ack_no = %(ack_no)s, ack_at = %(ack_at)s, signed_qr = %(signed_qr)s,"
        " signed_invoice = %(sealed)s, failure_code = NULL",
        {**vars(found), "sealed": sealed},
    )


async def refused(connection: Connection, invoice_id: str, code: str, now: datetime) -> None:
    """The portal will not have the document as it is; a repeat keeps the newest code."""
    await _move(
        connection, invoice_id, EInvoiceStatus.ATTENTION, now, "failure_code = %(code)s", {"code": code},
        again=True,
    )  # fmt: skip


async def given_up(
    connection: Connection, invoice_id: str, cancelled_at: datetime | None, now: datetime
) -> None:
    """Its number was voided; `cancelled_at`: when the portal cancelled what it had registered."""
    await _move(
        connection, invoice_id, EInvoiceStatus.VOID, now, "cancelled_at = %(at)s", {"at": cancelled_at}
    )


async def _move(
    connection: Connection,
    invoice_id: str,
    status: EInvoiceStatus,
    now: datetime,
    assignments: str,
    values: dict[str, Any],
    *,
    again: bool = False,
) -> None:
    """Compare-and-set along `domain.einvoices.NEXT`; `again`: also where it stands there already."""
    possible = sources(NEXT, status) + ([status] if again else [])
    cursor = await connection.execute(
        f"""UPDATE finance.einvoices SET status = %(status)s, {assignments}, changed_at = %(now)s,
                version = version + 1
            WHERE invoice_id = %(id)s AND status = ANY(%(possible)s) RETURNING 1""",  # noqa: S608
        {**values, "status": status, "now": now, "id": invoice_id, "possible": possible},
    )
    if await cursor.fetchone():
        await touch(connection, invoice_id)
