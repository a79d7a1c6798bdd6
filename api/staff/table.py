"""The only staff actions there are: per kind of run, who may take them and what the process is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.broker_day import Resolution as DayResolution
from domain.reconciliation import Resolution
from models.contracts.assertions import SignedAssertion
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, business_key
from models.messages.billing import StaffDecision
from models.messages.broker_days import ResolveDayBreak
from models.messages.complaints import Resolve as ResolveComplaint
from models.messages.disputes import AcceptDispute
from models.messages.education import GrantAttempt
from models.messages.einvoices import Correct
from models.messages.monitoring import Settlement, SettlePayment
from models.messages.reconciliation import Resolve as ResolveBreak
from models.messages.subscriptions import DebitSettlement, SettleDebit
from models.messages.trading import PersonDecision
from models.messages.trading import Resolve as ResolveOrder

Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-./]+$")]
Note = Annotated[str, Field(min_length=1, max_length=4000)]


class Asked(BaseModel):
    """Body of an action. Free text becomes a note; the run is sent its id."""

    model_config = ConfigDict(extra="forbid")

    note: Note | None = None


class Noted(Asked):
    note: Note


class PaidOut(Asked):
    utr: Word


class Settled(Asked):
    """`ended`, of an order whose day at the broker was not read: with its fill, by the contract note."""

    decision: Literal["found", "absent", "ended"]
    broker_order_id: Word | None = None
    filled_quantity: int | None = Field(default=None, ge=0)
    average_price: Decimal | None = Field(default=None, gt=0)


class SettledPayment(Noted):
    """The note is the evidence: the gateway's case, the bank's words."""

    decision: Literal["captured", "returned"]


class SettledDebit(Noted):
    """As of a payment; `gateway_payment_id` where the gateway could not be read."""

    decision: Literal["captured", "failed"]
    gateway_payment_id: Word | None = None


class BreakDecision(Noted):
    resolution: Literal["accept", "post_adjustment", "claim_gateway", "write_off", "paid_outside"]


class DayBreakDecision(Noted):
    resolution: Literal["adopt_broker", "accept", "claim_broker"]


class MoreAttempts(Asked):
    assessment_id: Word


@dataclass(frozen=True)
class Given:
    """What an argument is built of."""

    signed: SignedAssertion
    note_id: str | None
    command_id: str


@dataclass(frozen=True)
class Action:
    """`roles`, the first that the caller holds being signed for; `update`, the message's name; `signs`, the
    action named in the assertion; `keyed`, whether it needs an ``Idempotency-Key``, as refunds and the
    resolution of breaks do (api.md)."""

    workflow_type: str
    queue: Queue
    roles: tuple[str, ...]
    update: str
    signs: str
    body: type[Asked]
    argument: Callable[[Any, Given], BaseModel]
    keyed: bool = False


def _decision(body: Asked, given: Given) -> BaseModel:
    utr = body.utr if isinstance(body, PaidOut) else None
    return StaffDecision(assertion=given.signed, note_id=given.note_id, utr=utr)


def _refund(name: str, body: type[Asked] = Asked) -> Action:
    return Action("Refund", Queue.BILLING, ("finance",), name, name, body, _decision, keyed=True)


def _review(name: str) -> Action:
    return Action("Payment", Queue.BILLING, ("compliance",), name, name, Asked, _decision)


def _einvoice(name: str) -> Action:
    return Action(
        "EInvoice", Queue.BILLING, ("finance",), name, name, Asked,
        lambda _, given: Correct(signed=given.signed, note_id=given.note_id),
    )  # fmt: skip


ACTIONS: dict[tuple[Kind, str], Action] = {
    (Kind.EINVOICE, "retry"): _einvoice("retry"),
    (Kind.EINVOICE, "reissue"): _einvoice("reissue"),
    (Kind.PAYMENT, "release"): _review("release"),
    (Kind.PAYMENT, "block"): _review("block"),
    (Kind.PAYMENT, "settle"): Action(
        "Payment", Queue.BILLING, ("finance",), "settle", "settle", SettledPayment,
        lambda body, given: SettlePayment(
            assertion=given.signed, settlement=Settlement(body.decision), note_id=given.note_id
        ),
    ),
    (Kind.SUBSCRIPTION, "settle"): Action(
        "Subscription", Queue.BILLING, ("finance",), "settle", "settle", SettledDebit,
        lambda body, given: SettleDebit(
            assertion=given.signed, settlement=DebitSettlement(body.decision), note_id=given.note_id,
            gateway_payment_id=body.gateway_payment_id,
        ),
    ),
    (Kind.REFUND, "approve"): _refund("approve"),
    (Kind.REFUND, "reject"): _refund("reject"),
    (Kind.REFUND, "paid_out"): _refund("paid_out", PaidOut),
    (Kind.DISPUTE, "accept"): Action(
        "Dispute", Queue.BILLING, ("finance",), "accept", "accept", Asked,
        lambda _, given: AcceptDispute(assertion=given.signed, note_id=given.note_id), keyed=True,
    ),
    (Kind.BREAK, "resolve"): Action(
        "ReconciliationBreak", Queue.BILLING, ("finance",), "resolve", "resolve", BreakDecision,
        lambda body, given: ResolveBreak(
            assertion=given.signed, resolution=Resolution(body.resolution), note_id=given.note_id
        ),
        keyed=True,
    ),
    (Kind.COMPLAINT, "resolve"): Action(
        "Complaint", Queue.ONBOARDING, ("support", "compliance"), "resolve", "resolve", Noted,
        lambda _, given: ResolveComplaint(note_id=given.note_id, signed=given.signed),
    ),
    (Kind.ORDER, "resolve_order"): Action(
        "Order", Queue.TRADING, ("support",), "resolve_order", "resolve_order", Settled,
        lambda body, given: ResolveOrder(
            assertion=given.signed,
            decision=PersonDecision(body.decision),
            broker_order_id=body.broker_order_id,
            filled_quantity=body.filled_quantity,
            average_price=body.average_price,
        ),
    ),
    (Kind.BROKER_BREAK, "resolve"): Action(
        "BrokerBreak", Queue.TRADING, ("support", "compliance"), "resolve", "resolve", DayBreakDecision,
        lambda body, given: ResolveDayBreak(
            assertion=given.signed, resolution=DayResolution(body.resolution), note_id=given.note_id or ""
        ),
        keyed=True,
    ),
    (Kind.ENROLLMENT, "grant_attempt"): Action(
        "CourseEnrollment", Queue.EDUCATION, ("support", "instructor"), "grant_attempt", "grant_attempt",
        MoreAttempts,
        lambda body, given: GrantAttempt(
            command_id=given.command_id, assessment_id=body.assessment_id, assertion=given.signed
        ),
    ),
}  # fmt: skip
"""KYC cases are not here: their decision is a call of its own, with two people and the four-eyes rule."""


def find(workflow_id: str, name: str) -> Action | None:
    """The action of that name on a run of that kind; None where there is none."""
    try:
        kind, _ = business_key(workflow_id)
    except ValueError:
        return None
    return ACTIONS.get((kind, name))


def actions_of(workflow_id: str, roles: frozenset[str]) -> list[str]:
    """Names of what holders of `roles` may do to the run."""
    try:
        kind, _ = business_key(workflow_id)
    except ValueError:
        return []
    return [name for (of, name), action in ACTIONS.items() if of is kind and roles & set(action.roles)]
