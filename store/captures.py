"""The booking of a capture: row, timeline, journal entry, invoice and event in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.gst import india_date, needs_address, place_of_supply
from domain.ledger import capture_entry
from models.messages.billing import GatewayPayment
from store import attempts, invoices, ledger, onboarding_submissions, payments
from store.database import Connection
from store.references import Buyer, buyer_of
from store.vault import Vault


@dataclass(frozen=True)
class Booked:
    """What stands after the booking, however often it was asked for."""

    status: str
    captured_at: datetime
    invoice_id: str
    invoice_number: str


async def book(
    connection: Connection,
    vault: Vault,
    supplier: invoices.Supplier,
    payment_id: str,
    gateway: GatewayPayment,
    source: str,
    now: datetime,
    *,
    attempt_kind: str = "capture",
) -> Booked:
    """Records that the gateway captured a payment; a repeat gives what stands.

    Safe to repeat and to race: the payment's row lock orders the callers, and the journal's business key
    and the invoice's unique payment refuse a second booking. Used by checkouts and by renewals
    (`attempt_kind` ``debit``).

    Raises:
        LookupError: there is no such payment.
        ValueError: the gateway captured another amount than was asked.
    """
    row = await payments.find(connection, payment_id, lock=True)
    if row is None:
        raise LookupError(payment_id)
    if row["captured_at"] is not None:
        return Booked(row["status"], row["captured_at"], row["invoice_id"], row["invoice_number"])
    if gateway.amount != row["amount"]:
        raise ValueError("captured amount is not the amount asked")
    told = gateway.model_dump(include={"id", "method", "fee", "tax", "token_id", "customer_id"})
    await payments.set_captured(connection, payment_id, told, source, now)
    await attempts.sent(connection, attempt_kind, payment_id, now)
    buyer = await buyer_of(connection, vault, row["user_id"])
    sale = invoices.Sale(
        user_id=row["user_id"],
        payment_id=payment_id,
        amount=row["amount"],
        description=row["title"],
        sac=row["sac"],
        # As of now, like the name and number beside it: the buyer may have moved since the checkout.
        place_of_supply=place_of_supply(buyer.state, buyer.gstin) if buyer else row["place_of_supply"],
        buyer_name=buyer.name if buyer else "",
        buyer_gstin=buyer.gstin if buyer else None,
        buyer_address=await _address(connection, vault, row, buyer, now) if buyer else None,
    )
    issued = await invoices.issue(connection, vault, supplier, sale, now)
    references = (gateway.id, issued.invoice_id, issued.number)
    await ledger.post(connection, capture_entry(payment_id, india_date(now), issued.price, references), now)
    return Booked("captured", now, issued.invoice_id, issued.number)


async def _address(
    connection: Connection, vault: Vault, payment: dict[str, Any], buyer: Buyer, now: datetime
) -> dict[str, Any] | None:
    """The buyer's, or the one that KYC holds where the law wants one on the invoice and none was given."""
    if buyer.address is not None or buyer.gstin or not needs_address(payment["amount"], india_date(now)):
        return buyer.address
    known = await onboarding_submissions.address_of(connection, vault, payment["user_id"])
    return known.model_dump() if known else None
