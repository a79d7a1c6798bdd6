"""Invoices and credit notes: issued once, numbered without a gap, read and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb
from pydantic_core import from_json, to_json

from domain.billing_calendar import ist_midnight
from domain.einvoices import needs_dynamic_qr
from domain.gst import (
    DocumentKind,
    Split,
    credit_note_kind,
    credit_split,
    document_number,
    financial_year,
    india_date,
    rate_on,
    split,
)
from domain.money import CURRENCY
from models.contracts.identifiers import Prefix, mint
from models.settings import Settings
from store import einvoices, periods
from store.database import Connection
from store.vault import Vault


@dataclass(frozen=True)
class Supplier:
    """Who sells, as the law wants it on the document."""

    name: str
    gstin: str
    state: str
    address: str = ""
    place: str = ""
    pincode: str = ""
    upi: str = ""
    turnover: int = 0
    """Rupees, the highest of any year since 2017-18: decides whether documents are registered."""
    annual_returns: Mapping[int, date] = field(default_factory=dict)
    """Day on which a financial year's annual return was filed, by the calendar year in which it began."""

    @classmethod
    def of(cls, settings: Settings) -> "Supplier":
        return cls(
            settings.supplier_name,
            settings.supplier_gstin,
            settings.supplier_state,
            settings.supplier_address,
            settings.supplier_place,
            settings.supplier_pincode,
            settings.supplier_upi,
            settings.supplier_turnover,
            settings.filed_annual_returns,
        )

    def printed(self, *, dynamic_qr: bool) -> dict[str, str]:
        """What stands on a document for ever; `upi` only where the document carries a dynamic QR."""
        names = ("name", "gstin", "state", "address", "place", "pincode", *(("upi",) if dynamic_qr else ()))
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Recipient:
    """Who is billed, as it stands on a document; sealed when stored. `address`: `{line1, line2?, city, state,
    pincode}` as a profile has it, None where none is on record."""

    name: str
    address: dict[str, Any] | None = None


@dataclass(frozen=True)
class Sale:
    """What an invoice is about. `amount` in paise, GST included; who is billed is sealed when stored."""

    user_id: str
    payment_id: str
    amount: int
    description: str
    sac: str
    place_of_supply: str
    buyer_name: str
    buyer_gstin: str | None = None
    buyer_address: dict[str, Any] | None = None


@dataclass(frozen=True)
class Issued:
    """A document as it stands in the book."""

    invoice_id: str
    number: str
    kind: DocumentKind
    price: Split


STANDING = "payment_id = %s AND kind = 'invoice' AND status = 'issued'"
"""The invoice of a payment: one that was given up stands no more."""

EINVOICE = (
    "e.status AS einvoice_status, e.irn, e.ack_no, e.ack_at, e.signed_qr, e.recipient_address,"
    " e.version AS einvoice_version"
)


async def draw(connection: Connection, kind: DocumentKind, day: date) -> tuple[int, int, str]:
    """The next number of a series: financial year, sequence, number.

    The row stays locked until the caller's transaction ends: a rollback gives the number back, and
    concurrent writers queue, so the series has no gap. Draw last, to hold it briefly.
    """
    year = financial_year(day)
    cursor = await connection.execute(
        """INSERT INTO finance.number_series AS s (kind, financial_year, last) VALUES (%s, %s, 1)
           ON CONFLICT (kind, financial_year) DO UPDATE SET last = s.last + 1 RETURNING last""",
        (kind, year),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("an upsert gave no row")
    return year, row["last"], document_number(kind, year, row["last"])


async def reissue(
    connection: Connection, vault: Vault, supplier: Supplier, sale: Sale, tax_point: datetime, invoice_id: str
) -> Issued:
    """The invoice that takes the place of one just voided, under an id that the void already names. It keeps
    the tax point, and so the date: the tax is owed since then."""
    return await _invoice(connection, vault, supplier, sale, tax_point, invoice_id)


async def issue(
    connection: Connection, vault: Vault, supplier: Supplier, sale: Sale, tax_point: datetime
) -> Issued:
    """The tax invoice of a captured payment; a repeat gives the one that stands.

    Services are taxed at receipt (s.13(2)), so the tax point is the capture and the invoice is dated by it,
    or by the first open day where the month of the capture is closed.
    """
    stored = await _stored(connection, STANDING, sale.payment_id)
    if stored is not None:
        return stored
    return await _invoice(connection, vault, supplier, sale, tax_point)


async def _invoice(
    connection: Connection,
    vault: Vault,
    supplier: Supplier,
    sale: Sale,
    tax_point: datetime,
    invoice_id: str = "",
) -> Issued:
    """Taxed at the rate of the day that stands on it."""
    issued_on = await periods.open_day(connection, india_date(tax_point))
    rate = rate_on(issued_on)
    price = split(sale.amount, intra_state=sale.place_of_supply == supplier.state, rate=rate)
    return await _write(
        connection,
        vault,
        supplier,
        sale,
        DocumentKind.INVOICE,
        price,
        rate,
        issued_on,
        tax_point,
        refund_id=None,
        original=None,
        invoice_id=invoice_id,
    )


async def credit(
    connection: Connection,
    vault: Vault,
    supplier: Supplier,
    refund_id: str,
    payment_id: str,
    amount: int,
    now: datetime,
) -> Issued:
    """The credit note of a refund, against the payment's invoice; a repeat gives the one that stands.

    The caller holds the payment's row lock: notes of one invoice follow one another. After the time limit
    of s.34(2) the note is a financial one, without tax: all of it stands in `taxable`.

    Raises:
        LookupError: the payment has no invoice.
    """
    stored = await _stored(connection, "refund_id = %s", refund_id)
    if stored is not None:
        return stored
    cursor = await connection.execute(
        """SELECT i.*, e.recipient_address,
                  (SELECT coalesce(sum(c.total), 0)::bigint FROM finance.invoices c
                   WHERE c.original_invoice_id = i.invoice_id) AS credited
           FROM finance.invoices i LEFT JOIN finance.einvoices e USING (invoice_id)
           WHERE i.payment_id = %s AND i.kind = 'invoice' AND i.status = 'issued'""",
        (payment_id,),
    )
    original = await cursor.fetchone()
    if original is None:
        raise LookupError(payment_id)
    today = await periods.open_day(connection, india_date(now))
    kind = credit_note_kind(original["issued_on"], today, supplier.annual_returns)
    rate, price = 0, Split(taxable=amount, cgst=0, sgst=0, igst=0)
    if kind is DocumentKind.CREDIT_NOTE:
        rate, intra_state = original["rate"], original["igst"] == 0
        price = credit_split(
            original["total"], original["credited"], amount, intra_state=intra_state, rate=rate
        )
    billed = await recipient(connection, vault, original)
    sale = Sale(
        user_id=original["user_id"],
        payment_id=payment_id,
        amount=amount,
        description=original["description"],
        sac=original["sac"],
        place_of_supply=original["place_of_supply"],
        buyer_name=billed.name,
        buyer_gstin=original["buyer_gstin"],
        buyer_address=billed.address,
    )
    return await _write(
        connection,
        vault,
        supplier,
        sale,
        kind,
        price,
        rate,
        today,
        now,
        refund_id=refund_id,
        original=original["invoice_id"],
    )


async def _stored(connection: Connection, where: str, key: str) -> Issued | None:
    cursor = await connection.execute(
        f"SELECT * FROM finance.invoices WHERE {where}",  # noqa: S608 (one of two literals above)
        (key,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    price = Split(taxable=row["taxable"], cgst=row["cgst"], sgst=row["sgst"], igst=row["igst"])
    return Issued(row["invoice_id"], row["number"], DocumentKind(row["kind"]), price)


async def _write(
    connection: Connection,
    vault: Vault,
    supplier: Supplier,
    sale: Sale,
    kind: DocumentKind,
    price: Split,
    rate: int,
    issued_on: date,
    tax_point: datetime,
    *,
    refund_id: str | None,
    original: str | None,
    invoice_id: str = "",
) -> Issued:
    invoice_id = invoice_id or mint(Prefix.INVOICE)
    wrapped, ring = vault.new_record(invoice_id)
    billed = to_json({"name": sale.buyer_name, "address": sale.buyer_address})
    tax_point = max(tax_point, ist_midnight(issued_on))
    private = kind is DocumentKind.INVOICE and not sale.buyer_gstin
    dynamic_qr = private and needs_dynamic_qr(issued_on, supplier.turnover)
    year, sequence, number = await draw(connection, kind, issued_on)
    await connection.execute(
        """INSERT INTO finance.invoices (invoice_id, number, kind, financial_year, sequence, status,
               issued_on, tax_point, user_id, payment_id, refund_id, original_invoice_id, buyer_gstin,
               recipient, recipient_key, place_of_supply, supplier, sac, description, rate, currency, taxable,
               cgst, sgst, igst, total)
           VALUES (%(invoice_id)s, %(number)s, %(kind)s, %(year)s, %(sequence)s, 'issued', %(issued_on)s,
               %(tax_point)s, %(user_id)s, %(payment_id)s, %(refund_id)s, %(original)s, %(gstin)s,
               %(recipient)s, %(key)s, %(place)s, %(supplier)s, %(sac)s, %(description)s, %(rate)s,
               %(currency)s, %(taxable)s, %(cgst)s, %(sgst)s, %(igst)s, %(total)s)""",
        {
            "invoice_id": invoice_id,
            "number": number,
            "kind": kind,
            "year": year,
            "sequence": sequence,
            "issued_on": issued_on,
            "tax_point": tax_point,
            "user_id": sale.user_id,
            "payment_id": sale.payment_id,
            "refund_id": refund_id,
            "original": original,
            "gstin": sale.buyer_gstin,
            "recipient": ring.seal(billed, f"recipient:{invoice_id}"),
            "key": wrapped,
            "place": sale.place_of_supply,
            "supplier": Jsonb(supplier.printed(dynamic_qr=dynamic_qr)),
            "sac": sale.sac,
            "description": sale.description,
            "rate": rate,
            "currency": CURRENCY,
            "taxable": price.taxable,
            "cgst": price.cgst,
            "sgst": price.sgst,
            "igst": price.igst,
            "total": price.total,
        },
    )
    await einvoices.require(
        connection, invoice_id, kind, sale.buyer_gstin, issued_on, supplier.turnover, tax_point
    )
    return Issued(invoice_id, number, kind, price)


async def find(connection: Connection, invoice_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"""SELECT i.*, o.number AS original_number, o.issued_on AS original_issued_on, {EINVOICE},
                   v.reason AS void_reason, v.replaced_by, r.number AS replaced_by_number
           FROM finance.invoices i
           LEFT JOIN finance.invoices o ON o.invoice_id = i.original_invoice_id
           LEFT JOIN finance.einvoices e ON e.invoice_id = i.invoice_id
           LEFT JOIN finance.voids v ON v.invoice_id = i.invoice_id
           LEFT JOIN finance.invoices r ON r.invoice_id = v.replaced_by
           WHERE i.invoice_id = %s""",  # noqa: S608 (columns of our own)
        (invoice_id,),
    )
    return await cursor.fetchone()


async def recipient(connection: Connection, vault: Vault, invoice: dict[str, Any]) -> Recipient:
    """Who is billed. The document's own key opens it, whatever became of the person: invoices are kept for 72
    months from the annual return's due date (CGST s.36).

    Raises:
        PersonForgotten: a document from before there were such keys, of somebody who was erased.
    """
    invoice_id, sealed = invoice["invoice_id"], bytes(invoice["recipient"])
    if not invoice["recipient_key"]:
        ring = await vault.person(connection, invoice["user_id"])
        return Recipient(ring.open(sealed, f"buyer:{invoice_id}").decode())
    ring = vault.record(bytes(invoice["recipient_key"]), invoice_id)
    known = Recipient(**from_json(ring.open(sealed, f"recipient:{invoice_id}")))
    if invoice.get("recipient_address"):
        # What the portal has for the GSTIN: looked up where the buyer gave no address of that state.
        found = ring.open(bytes(invoice["recipient_address"]), f"address:{invoice_id}")
        return Recipient(known.name, from_json(found))
    return known


async def listing(
    connection: Connection,
    *,
    user_id: str,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """A person's documents, newest first."""
    cursor = await connection.execute(
        f"""SELECT i.*, {EINVOICE}, v.reason AS void_reason, v.replaced_by FROM finance.invoices i
           LEFT JOIN finance.einvoices e USING (invoice_id) LEFT JOIN finance.voids v USING (invoice_id)
           WHERE i.user_id = %(user)s AND (%(status)s::text IS NULL OR i.status = %(status)s)
             AND (%(after)s::text IS NULL OR invoice_id < %(after)s)
             AND (%(start)s::timestamptz IS NULL OR i.tax_point >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR i.tax_point < %(end)s)
           ORDER BY invoice_id DESC LIMIT %(limit)s""",  # noqa: S608 (columns of our own)
        {"user": user_id, "status": status, "after": after, "start": start, "end": end, "limit": limit},
    )
    return await cursor.fetchall()
