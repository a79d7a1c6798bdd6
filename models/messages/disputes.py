"""What the dispute's process takes and gives, and what it tells others. Ids, codes and amounts only."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel

from domain.disputes import DisputeStatus
from models.contracts.assertions import SignedAssertion


class Dispute(StrEnum):
    """What the process of a disputed purchase is told."""

    OPENED = "opened"
    WON = "won"
    """Also where it ended without a decision: nothing was taken."""
    LOST = "lost"


class PaymentDisputed(BaseModel):
    """The signal `payment_disputed` to the process whose reference was paid for, and to refunds that wait."""

    payment_id: str
    reference_id: str
    dispute_id: str
    state: Dispute


class DisputeInput(BaseModel):
    """Starts `Dispute`; the id is the gateway's. What it is about is read there."""

    dispute_id: str
    assertion_key: str
    """Public key, PEM in base 64, that staff assertions are checked against."""


class GatewayDispute(BaseModel):
    """A dispute as the gateway shows it, read by us. Amounts in paise; `respond_by` in Unix seconds."""

    id: str
    payment_id: str
    amount: int
    amount_deducted: int = 0
    status: DisputeStatus
    phase: str
    reason_code: str
    respond_by: int | None = None


class ReadDispute(BaseModel):
    dispute_id: str


class TakeDispute(BaseModel):
    """Records what the gateway says: opens the dispute's row, or moves it, with its books."""

    dispute: GatewayDispute
    at: AwareDatetime


class TakenDispute(BaseModel):
    """The stored state; nothing is stored where `ready` is false."""

    ready: bool = True
    """Whether the payment is booked, and what it bought has heard of it."""
    status: DisputeStatus = DisputeStatus.OPEN
    user_id: str = ""
    payment_id: str = ""
    amount: int = 0
    approvals_due: int = 1
    reference_id: str = ""
    reference_workflow: str = ""
    waiting_refunds: list[str] = []
    """Refunds of the payment that wait for the dispute's end."""


class AcceptDispute(BaseModel):
    """The update `accept`: finance gives in, signed for one person."""

    assertion: SignedAssertion
    note_id: str | None = None


class DisputeState(BaseModel):
    """Answer of `accept`."""

    dispute_id: str
    status: DisputeStatus
    approvals: int = 0
    approvals_due: int = 0


class ApproveAcceptance(BaseModel):
    """Records that a person of finance agrees to give in."""

    dispute_id: str
    subject: str
    note_id: str | None = None
    at: AwareDatetime


class SendAcceptance(BaseModel):
    """The irreversible call: the dispute is given up and its amount with it."""

    dispute_id: str
    attempt: int
    at: AwareDatetime


class WatchInput(BaseModel):
    """Starts `DisputeWatch`."""

    assertion_key: str


class FindUntold(BaseModel):
    """Asks for disputes opened at the gateway since, of which nothing is on record here."""

    since: AwareDatetime


class Untold(BaseModel):
    dispute_ids: list[str]
