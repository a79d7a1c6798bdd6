"""Documents at the e-invoice portal: registered, taken back, issued anew."""

from datetime import datetime
from typing import Any

from temporalio import activity

from activities.beating import awaited
from domain.einvoice_document import Document, Party
from domain.einvoices import CANCEL_WITHIN, EInvoiceStatus, VoidReason
from domain.errors import Rejected
from domain.gst import DocumentKind, state_of
from models.messages.einvoices import (
    Cancel,
    Cancelled,
    Register,
    Registration,
    Reissue,
    Reissued,
)
from providers.irp import EInvoicePortal, Registered
from store import einvoices, invoices, voids
from store.database import Database
from store.vault import Vault
from workflows.ports.einvoices import EInvoicePort


class EInvoiceActivities(EInvoicePort):
    """The portal numbers a document by its content, so that each call is safe to repeat."""

    def __init__(
        self, database: Database, vault: Vault, supplier: invoices.Supplier, portal: EInvoicePortal
    ) -> None:
        self._database = database
        self._vault = vault
        self._supplier = supplier
        self._portal = portal

    @activity.defn(name="einvoices.register")
    async def register(self, asked: Register) -> Registration:
        """Key: the document. Sent, lost and sent again it is a duplicate there, which is then read."""
        row = await self._row(asked.invoice_id)
        if row["einvoice_status"] in (EInvoiceStatus.REGISTERED, EInvoiceStatus.VOID):
            return _as_stored(row)
        as_of = max(asked.as_of, row["tax_point"])
        try:
            document = await self._document(row, as_of)
            found = await awaited(self._portal.register(document, as_of=as_of))
            if found.cancelled:
                raise Rejected("irp_cancelled")
        except Rejected as refused:
            async with self._database.transaction() as connection:
                await einvoices.refused(connection, asked.invoice_id, refused.code, as_of)
            return Registration(status=EInvoiceStatus.ATTENTION, failure_code=refused.code)
        async with self._database.transaction() as connection:
            await einvoices.registered(connection, self._vault, row, _kept(found), as_of)
        return _as_stored(await self._row(asked.invoice_id))

    @activity.defn(name="einvoices.cancel")
    async def cancel(self, asked: Cancel) -> Cancelled:
        """Key: the document. What would keep another from taking its place is found before the portal is
        told."""
        row = await self._row(asked.invoice_id)
        if row["status"] != "issued":
            raise Rejected("not_replaceable")
        async with self._database.transaction() as connection:
            if code := await voids.obstacle(connection, self._vault, row):
                raise Rejected(code)
        if row["irn"] is None:
            return Cancelled()
        as_of = max(asked.as_of, row["ack_at"])
        at = await awaited(self._portal.cancel(await self._document(row, as_of), as_of=as_of))
        return Cancelled(at=at)

    @activity.defn(name="einvoices.reissue")
    async def reissue(self, asked: Reissue) -> Reissued:
        """Key: the document given up. Void, number, document and its own registration in one transaction."""
        reason = VoidReason.CANCELLED if asked.cancelled_at else VoidReason.REFUSED
        void = voids.Void(reason, asked.subject, asked.note_id, asked.cancelled_at)
        async with self._database.transaction() as connection:
            await einvoices.find(connection, asked.invoice_id, lock=True)
            stands = await voids.replaced_by(connection, asked.invoice_id)
            if stands is not None:
                return Reissued(invoice_id=stands[0], number=stands[1])
            issued = await voids.replace(
                connection, self._vault, self._supplier, asked.invoice_id, void, asked.as_of
            )
            if isinstance(issued, str):
                await einvoices.refused(connection, asked.invoice_id, issued, asked.as_of)
                return Reissued(refused=issued)
        return Reissued(invoice_id=issued.invoice_id, number=issued.number)

    async def _row(self, invoice_id: str) -> dict[str, Any]:
        async with self._database.reading() as connection:
            row = await invoices.find(connection, invoice_id)
        if row is None or row["einvoice_status"] is None:
            raise Rejected("invoice_unknown")
        return row

    async def _document(self, row: dict[str, Any], as_of: datetime) -> Document:
        async with self._database.transaction() as connection:
            billed = await invoices.recipient(connection, self._vault, row)
        stated = state_of((billed.address or {}).get("state") or "")
        if stated is None or stated != state_of(row["buyer_gstin"][:2]):
            billed = invoices.Recipient(billed.name, await self._looked_up(row, as_of))
        return _in_words(row, billed)

    async def _looked_up(self, row: dict[str, Any], as_of: datetime) -> dict[str, str]:
        """Where the GSTIN is registered, as its holder gave no address in that state (Rule 46(d))."""
        found = await awaited(self._portal.taxpayer(row["buyer_gstin"], as_of=as_of))
        state = state_of(row["buyer_gstin"][:2]) or row["place_of_supply"]
        address = {"line1": found.address, "city": found.place, "state": state, "pincode": found.pincode}
        async with self._database.transaction() as connection:
            await einvoices.keep_address(connection, self._vault, row, address)
        return address


def _in_words(row: dict[str, Any], billed: invoices.Recipient) -> Document:
    supplier, address = row["supplier"], billed.address or {}
    lines = [address.get("line1") or "", address.get("line2") or ""]
    return Document(
        kind=DocumentKind(row["kind"]),
        number=row["number"],
        issued_on=row["issued_on"],
        seller=Party(
            gstin=supplier["gstin"],
            name=supplier["name"],
            address=supplier["address"],
            place=supplier.get("place", ""),
            pincode=supplier.get("pincode", ""),
            state=supplier["state"],
        ),
        buyer=Party(
            gstin=row["buyer_gstin"],
            name=billed.name,
            address=", ".join(line for line in lines if line),
            place=address.get("city") or "",
            pincode=address.get("pincode") or "",
            state=state_of(row["buyer_gstin"][:2]) or row["place_of_supply"],
        ),
        place_of_supply=row["place_of_supply"],
        description=row["description"],
        sac=row["sac"],
        rate=row["rate"],
        taxable=row["taxable"],
        cgst=row["cgst"],
        sgst=row["sgst"],
        igst=row["igst"],
        total=row["total"],
        original=(row["original_number"], row["original_issued_on"]) if row["original_number"] else None,
    )


def _kept(found: Registered) -> einvoices.Registration:
    return einvoices.Registration(
        irn=found.irn,
        ack_no=found.ack_no,
        ack_at=found.ack_at,
        signed_qr=found.signed_qr,
        signed_invoice=found.signed_invoice,
    )


def _as_stored(row: dict[str, Any]) -> Registration:
    return Registration(
        status=row["einvoice_status"],
        irn=row["irn"],
        cancel_until=row["ack_at"] + CANCEL_WITHIN if row["ack_at"] else None,
    )
