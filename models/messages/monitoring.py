"""What a payment under review, and one whose outcome nobody knows, take from people. Ids and codes only."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel

from models.contracts.assertions import SignedAssertion


class EscalateReview(BaseModel):
    """A review has not been decided in time."""

    payment_id: str
    at: AwareDatetime


class Settlement(StrEnum):
    """What became of held money, as a person learnt it from the gateway's support."""

    CAPTURED = "captured"
    RETURNED = "returned"


class SettlePayment(BaseModel):
    """The update `settle`: signed for one person; `note_id` names the evidence."""

    assertion: SignedAssertion
    settlement: Settlement
    note_id: str | None = None


class LatePayment(BaseModel):
    """Starts `LatePayment`: money may have come for a payment whose process has ended."""

    payment_id: str
    user_id: str
    gateway_order_id: str
    amount: int
    currency: str
    assertion_key: str
    """Public key of staff assertions, handed on to the refund of money that was taken."""
