"""Shapes of the billing column's requests and answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.payments import PaymentStatus, Purpose, RefundStatus
from models.messages.billing import Checkout

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
GatewayId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_]+$")]


class Body(BaseModel):
    """A request's body: nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


class CreatePayment(Body):
    purpose: Purpose
    reference_id: Id


class Confirm(Body):
    """What the browser got from the gateway's checkout."""

    razorpay_payment_id: GatewayId
    razorpay_order_id: GatewayId
    razorpay_signature: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


class RequestRefund(Body):
    """`amount` in paise; without it all that may be given back."""

    payment_id: Id
    amount: Annotated[int, Field(strict=True, ge=100, le=10**12)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    speed: Literal["normal", "instant"] = "normal"


class Decision(Body):
    """An approval or a rejection, with a note where there is one to make."""

    reason: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class Moment(BaseModel):
    """`code` says why, in neutral words, where the state has a reason. `source`: for the payment's owner
    `platform` instead of whoever watches payments."""

    status: PaymentStatus
    at: datetime
    source: str
    code: str | None = None


class Payment(BaseModel):
    payment_id: str
    purpose: Purpose
    reference_id: str
    gateway_order_id: str | None
    status: PaymentStatus
    amount: int
    currency: str
    amount_refunded: int
    invoice_id: str | None
    failure_code: str | None
    created_at: datetime
    version: int


class PaymentStatusAnswer(Payment):
    timeline: list[Moment]


class PaymentState(BaseModel):
    payment_id: str
    status: PaymentStatus


class RefundStep(BaseModel):
    """`source`: customer, support, finance, system, gateway, bank, dispute; `actor`, and the `note` that they
    wrote: for staff alone."""

    status: RefundStatus
    at: datetime
    source: str
    actor: str | None
    code: str | None
    note: str | None


class Refund(BaseModel):
    """`arn`: what the customer's bank finds the money by; `utr`: of a transfer that finance made; `note`: why
    it was asked for, for staff alone."""

    refund_id: str
    payment_id: str
    status: RefundStatus
    amount: int
    currency: str
    speed: str
    reason_code: str
    note: str | None
    approvals_due: int
    approvals: int
    arn: str | None
    utr: str | None
    failure_code: str | None
    credit_note_id: str | None
    credit_note_number: str | None
    timeline: list[RefundStep]
    created_at: datetime
    updated_at: datetime
    version: int


class RefundState(BaseModel):
    refund_id: str
    status: RefundStatus


__all__ = ["Body", "Checkout", "Confirm", "CreatePayment", "Decision", "Payment", "PaymentState"]
__all__ += ["PaymentStatusAnswer", "Refund", "RefundState", "RequestRefund"]
