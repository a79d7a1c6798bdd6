"""What the payment and refund processes take and give. Ids, codes and amounts only."""

from pydantic import AwareDatetime, BaseModel

from domain.payments import PaymentStatus, Purpose, RefundStatus
from models.contracts.assertions import SignedAssertion


class PaymentInput(BaseModel):
    """Starts `Payment`; who pays for what. What it costs is read from the reference."""

    payment_id: str
    user_id: str
    purpose: Purpose
    reference_id: str
    second_factor: bool = False
    """The customer has just proven a second factor: due for a large payment."""
    assertion_key: str = ""
    """Public key of staff assertions: of reviews and settlements, and handed on to a refund."""


class OpenPayment(BaseModel):
    """The update `open`: answers the checkout, or refuses and ends the run."""


class Opening(BaseModel):
    """Asks for the checks before a payment, and its row. `process` is the workflow that owns it."""

    payment: PaymentInput
    process: str
    at: AwareDatetime


class Mandate(BaseModel):
    """What a recurring purchase lets the gateway debit later, at most, in paise."""

    max_amount: int


class Checkout(BaseModel):
    """What the browser needs to open the gateway's checkout."""

    payment_id: str
    gateway: str = "razorpay"
    gateway_order_id: str
    key_id: str
    amount: int
    currency: str
    payment_status: PaymentStatus = PaymentStatus.CREATED
    customer_id: str | None = None
    mandate: Mandate | None = None


class ConfirmCheckout(BaseModel):
    """The update `confirm`: what the browser brought back from the checkout."""

    razorpay_payment_id: str
    razorpay_order_id: str
    razorpay_signature: str


class PaymentState(BaseModel):
    """Answer of `confirm`."""

    payment_id: str
    status: PaymentStatus


class GatewayEvent(BaseModel):
    """The signal `gateway_event`: a hint that something moved; the process re-reads the gateway."""

    event_number: int
    gateway_order_id: str | None = None
    gateway_payment_id: str | None = None
    refund_id: str | None = None


class OpenedPayment(BaseModel):
    """Answer of the activity that opens a payment: refused, joined, or what to ask of the gateway."""

    refused: str | None = None
    joined: Checkout | None = None
    """Another payment of the reference is open: its checkout is the answer."""
    amount: int = 0
    currency: str = "INR"
    recurring: bool = False
    mandate_max: int | None = None
    reference_workflow: str = ""
    created_at: AwareDatetime | None = None


class CreateOrder(BaseModel):
    """Asks the gateway for the order of a payment; its receipt is the payment's id."""

    payment_id: str
    user_id: str
    reference_id: str
    amount: int
    currency: str
    mandate_max: int | None = None


class GatewayPayment(BaseModel):
    """A payment as the gateway shows it, read by us. Amounts in paise."""

    id: str
    order_id: str | None = None
    status: str
    amount: int
    captured: bool
    amount_refunded: int = 0
    method: str | None = None
    fee: int | None = None
    tax: int | None = None
    token_id: str | None = None
    customer_id: str | None = None
    error_code: str | None = None
    created_at: int = 0


class ReadOrder(BaseModel):
    payment_id: str
    gateway_order_id: str


class OrderAnswer(BaseModel):
    """Every payment tried on an order, newest first."""

    payments: list[GatewayPayment]


class VerifyCheckout(BaseModel):
    gateway_order_id: str
    callback: ConfirmCheckout


class Advance(BaseModel):
    """Moves a payment to a state, if it may follow the stored one. `source` is what told us."""

    payment_id: str
    status: PaymentStatus
    source: str
    at: AwareDatetime
    gateway_payment_id: str | None = None
    failure_code: str | None = None
    decided_by: str | None = None
    """The officer whose decision this is: a released payment is not reviewed again."""
    note_id: str | None = None
    process: str | None = None
    """The workflow that owns the payment from now on."""


class Advanced(BaseModel):
    """The stored state after an `Advance`, and whether the thing paid for is still wanted."""

    status: PaymentStatus
    wanted: bool
    refused: str | None = None
    """What monitoring says before a capture: the neutral code of a payment that is blocked, or None."""
    review: bool = False
    """Compliance has to decide before the money is taken."""


class CaptureCommand(BaseModel):
    """The irreversible call: capture exactly what was authorised."""

    payment_id: str
    gateway_payment_id: str
    amount: int
    currency: str
    attempt: int
    at: AwareDatetime


class Forestall(BaseModel):
    """Asks whether an attempt has begun, and takes its number where it has not."""

    kind: str
    object_id: str
    number: int
    at: AwareDatetime


class VoidAttempt(BaseModel):
    """Absence is proven: this attempt did not happen, another may follow."""

    kind: str
    object_id: str
    number: int
    code: str
    at: AwareDatetime


class BookCapture(BaseModel):
    """Records a capture that the gateway has confirmed: row, journal, invoice and event, once."""

    payment_id: str
    gateway: GatewayPayment
    source: str
    at: AwareDatetime


class BookedCapture(BaseModel):
    """What stands after the booking, the same however often it is asked for."""

    payment_id: str
    status: PaymentStatus
    captured_at: AwareDatetime
    invoice_id: str
    invoice_number: str
    wanted: bool


class PaymentCaptured(BaseModel):
    """The signal `payment_captured` to the reference's process."""

    payment_id: str
    purpose: Purpose
    reference_id: str
    amount: int
    captured_at: AwareDatetime
    token_id: str | None = None
    gateway_customer_id: str | None = None
    method: str | None = None


class PaymentEnded(BaseModel):
    """The signal `payment_ended`: this payment will never be captured."""

    payment_id: str
    reference_id: str
    status: PaymentStatus


class PaymentRefunded(BaseModel):
    """The signal `payment_refunded`; `full` when nothing of the payment is left."""

    payment_id: str
    reference_id: str
    refund_id: str
    amount: int
    full: bool


class PaymentOutcome(BaseModel):
    """How a payment's process ended."""

    payment_id: str
    status: PaymentStatus | None = None
    refused: str | None = None
    joined: str | None = None
    """The open payment of the same reference whose checkout was answered instead."""
    invoice_id: str | None = None


class RefundInput(BaseModel):
    """Starts `Refund`. `authority` is what the requester may do: customer, support, finance or system."""

    refund_id: str
    payment_id: str
    amount: int | None = None
    """Paise; None for all that is left."""
    requested_by: str
    authority: str
    reason_code: str = "requested"
    note_id: str | None = None
    speed: str = "normal"
    assertion_key: str
    """Public key, PEM in base 64, that staff assertions are checked against."""


class RequestRefund(BaseModel):
    """The update `request`: answers the refund's state, or refuses and ends the run."""


class RefundOpening(BaseModel):
    """Asks for the policy's answer to a refund, and its row."""

    refund: RefundInput
    at: AwareDatetime


class RefundState(BaseModel):
    """Answer of the refund's updates."""

    refund_id: str
    status: RefundStatus


class OpenedRefund(BaseModel):
    """Answer of the activity that opens a refund."""

    refused: str | None = None
    status: RefundStatus = RefundStatus.REQUESTED
    user_id: str = ""
    amount: int = 0
    currency: str = "INR"
    approvals_due: int = 0
    gateway_payment_id: str = ""
    reference_id: str = ""
    reference_workflow: str = ""


class StaffDecision(BaseModel):
    """The updates `approve`, `reject` and `paid_out`: signed for one person, run and action."""

    assertion: SignedAssertion
    note_id: str | None = None
    utr: str | None = None


class SendRefund(BaseModel):
    """The irreversible call: gives money back; the refund's id is the gateway's idempotency key."""

    refund_id: str
    gateway_payment_id: str
    amount: int
    speed: str
    attempt: int
    at: AwareDatetime


class FindRefund(BaseModel):
    """Looks for our refund among the payment's, by the receipt that we sent."""

    refund_id: str
    gateway_payment_id: str


class GatewayRefund(BaseModel):
    """A refund as the gateway shows it."""

    id: str
    status: str
    amount: int
    payment_id: str
    receipt: str | None = None
    arn: str | None = None


class FoundRefund(BaseModel):
    refund: GatewayRefund | None = None


class AdvanceRefund(BaseModel):
    """Moves a refund to a state, with its books where the state has any."""

    refund_id: str
    status: RefundStatus
    at: AwareDatetime
    approver: str | None = None
    note_id: str | None = None
    """What the approver, or who rejects or pays out, wrote."""
    failure_code: str | None = None
    gateway: GatewayRefund | None = None
    utr: str | None = None


class AdvancedRefund(BaseModel):
    """The stored state; `full` when nothing of the payment is left; `user_id`: whose money it is."""

    status: RefundStatus
    user_id: str = ""
    approvals: int = 0
    full: bool = False
    credit_note_id: str | None = None
    credit_note_number: str | None = None
