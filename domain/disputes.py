"""Disputes of captured payments: the customer's bank takes the money's side back, until it is decided.

What is booked when: at the opening the disputed amount leaves gateway clearing for `disputes`, since the
gateway deducts it, at once or when it is lost (Razorpay, Disputes entity, `amount_deducted`, and Deduct at
Onset). Won, it goes back to clearing. Lost, what was deducted is bad debt: no credit note is issued, the
revenue and its GST stay (a chargeback takes no supply back).
"""

from datetime import date
from enum import StrEnum

from domain.ledger import Account, Entry, credit, debit
from domain.payments import PaymentStatus


class DisputeStatus(StrEnum):
    """As Razorpay has them and the API shows them."""

    OPEN = "open"
    """Somebody has to answer, by evidence or by giving in."""
    UNDER_REVIEW = "under_review"
    """The evidence is with the customer's bank."""
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"
    """Ended without a decision: the papers were enough, or the money was given back in time."""


S = DisputeStatus
DISPUTE_NEXT: dict[DisputeStatus, frozenset[DisputeStatus]] = {
    S.OPEN: frozenset({S.UNDER_REVIEW, S.WON, S.LOST, S.CLOSED}),
    # The bank may ask for more than it was given.
    S.UNDER_REVIEW: frozenset({S.OPEN, S.WON, S.LOST, S.CLOSED}),
    S.WON: frozenset(),
    S.LOST: frozenset(),
    S.CLOSED: frozenset(),
}
"""Every step that a dispute takes; held by `store/disputes.py`."""
DISPUTE_FIRST = (S.OPEN,)
"""News may come late: a dispute that is over when we hear of it is opened and ended at once."""

DISPUTE_LIVE = frozenset({S.OPEN, S.UNDER_REVIEW})
"""Nothing is decided: the money is held, and so is what it bought."""


def lost_amount(status: DisputeStatus, amount: int, deducted: int) -> int:
    """Paise that a dispute of `amount` has cost. A lost one whose deduction is not told yet costs it all."""
    if status is S.LOST:
        return min(deducted, amount) or amount
    return 0


def after_dispute(amount: int, refunding: int, refunded: int, lost: int) -> PaymentStatus:
    """Where a payment stands once none of its disputes is live; amounts in paise.

    A payment that lost money to a dispute stays `disputed`: no credit note says that it was refunded.
    """
    if lost:
        return PaymentStatus.DISPUTED
    if refunding > refunded:
        return PaymentStatus.REFUND_PENDING
    if refunded == amount:
        return PaymentStatus.REFUNDED
    return PaymentStatus.PARTIALLY_REFUNDED if refunded else PaymentStatus.CAPTURED


def opened_entry(dispute_id: str, day: date, amount: int, references: tuple[str, ...] = ()) -> Entry:
    """The disputed amount is held: out of clearing."""
    return Entry(
        business_key=f"dispute:{dispute_id}",
        date=day,
        lines=(*debit(Account.DISPUTES, amount), *credit(Account.GATEWAY_CLEARING, amount)),
        references=(dispute_id, *references),
    )


def ended_entry(
    dispute_id: str, day: date, amount: int, lost: int, references: tuple[str, ...] = ()
) -> Entry:
    """The hold ends: what was `lost` is bad debt, the rest is clearing's again."""
    return Entry(
        business_key=f"dispute-ended:{dispute_id}",
        date=day,
        lines=(
            *debit(Account.BAD_DEBT, lost),
            *debit(Account.GATEWAY_CLEARING, amount - lost),
            *credit(Account.DISPUTES, amount),
        ),
        references=(dispute_id, *references),
    )
