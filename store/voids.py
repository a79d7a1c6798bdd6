"""Numbers of a series that were given up, each with its reason and the document in its place."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.einvoices import VoidReason
from domain.gst import DocumentKind, place_of_supply
from models.contracts.identifiers import Prefix, mint
from store import einvoices, invoices, payments, periods
from store.database import Connection
from store.references import Buyer, buyer_of
from store.vault import Vault


@dataclass(frozen=True)
class Void:
    """Why a number is given up, and who decided it; `note_id`: what that person wrote."""

    reason: VoidReason
    subject: str
    note_id: str | None
    cancelled_at: datetime | None


async def obstacle(
    connection: Connection, vault: Vault, invoice: dict[str, Any], *, cancelled: bool = False
) -> str | None:
    """Code of why no other document may take this one's place; None where one may.

    Where the supply is taxed does not change with a correction: then the sale is refunded and made again.
    `cancelled`: the portal has taken it back already, so that a note which came meanwhile is no obstacle.
    """
    if invoice["kind"] != DocumentKind.INVOICE or invoice["status"] != "issued":
        return "not_replaceable"
    cursor = await connection.execute(
        "SELECT 1 FROM finance.invoices WHERE original_invoice_id = %s LIMIT 1", (invoice["invoice_id"],)
    )
    if await cursor.fetchone() and not cancelled:
        return "has_credit_notes"
    if await periods.open_day(connection, invoice["issued_on"]) != invoice["issued_on"]:
        return "period_closed"
    buyer = await buyer_of(connection, vault, invoice["user_id"])
    if buyer is None:
        return "billing_state_required"
    if place_of_supply(buyer.state, buyer.gstin) != invoice["place_of_supply"]:
        return "place_of_supply_differs"
    return None


async def replaced_by(connection: Connection, invoice_id: str) -> tuple[str, str] | None:
    """Id and number of the document in the place of one that was given up."""
    cursor = await connection.execute(
        """SELECT v.replaced_by, i.number FROM finance.voids v
           JOIN finance.invoices i ON i.invoice_id = v.replaced_by WHERE v.invoice_id = %s""",
        (invoice_id,),
    )
    row = await cursor.fetchone()
    return (row["replaced_by"], row["number"]) if row else None


async def replace(
    connection: Connection,
    vault: Vault,
    supplier: invoices.Supplier,
    invoice_id: str,
    void: Void,
    now: datetime,
) -> invoices.Issued | str:
    """Voids a number and issues another invoice with who is billed as of now; the code of what stands in the
    way where something does. The caller asks `replaced_by` first: a repeat gives what stands.

    Raises:
        LookupError: there is no such document.
    """
    invoice = await invoices.find(connection, invoice_id)
    if invoice is None:
        raise LookupError(invoice_id)
    # Credit notes are written under the payment's lock: none can come while this one is replaced.
    await payments.find(connection, invoice["payment_id"], lock=True)
    cancelled = void.cancelled_at is not None
    if code := await obstacle(connection, vault, invoice, cancelled=cancelled):
        return code
    buyer = await buyer_of(connection, vault, invoice["user_id"])
    if buyer is None:
        return "billing_state_required"
    following = mint(Prefix.INVOICE)
    await connection.execute(
        """INSERT INTO finance.voids (invoice_id, number, reason, note_id, subject, voided_at, replaced_by)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (invoice_id, invoice["number"], void.reason, void.note_id, void.subject, now, following),
    )
    await connection.execute(
        "UPDATE finance.invoices SET status = 'void' WHERE invoice_id = %s AND status = 'issued'",
        (invoice_id,),
    )
    await einvoices.given_up(connection, invoice_id, void.cancelled_at, now)
    return await invoices.reissue(
        connection, vault, supplier, _sale(invoice, buyer), invoice["tax_point"], following
    )


def _sale(invoice: dict[str, Any], buyer: Buyer) -> invoices.Sale:
    return invoices.Sale(
        user_id=invoice["user_id"],
        payment_id=invoice["payment_id"],
        amount=invoice["total"],
        description=invoice["description"],
        sac=invoice["sac"],
        place_of_supply=invoice["place_of_supply"],
        buyer_name=buyer.name,
        buyer_gstin=buyer.gstin,
        buyer_address=buyer.address,
    )


async def series(connection: Connection, kind: str, financial_year: int) -> list[dict[str, Any]]:
    """What became of a series: every number, in order, with its status and, where void, why (GSTR-1,
    table 13)."""
    cursor = await connection.execute(
        """SELECT i.sequence, i.number, i.invoice_id, i.issued_on, i.total, i.status, v.reason, v.voided_at,
                  v.replaced_by
           FROM finance.invoices i LEFT JOIN finance.voids v USING (invoice_id)
           WHERE i.kind = %s AND i.financial_year = %s ORDER BY i.sequence""",
        (kind, financial_year),
    )
    return await cursor.fetchall()
