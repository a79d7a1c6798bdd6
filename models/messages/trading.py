"""What the trading processes take and give. Ids, codes, quantities and prices; never a person's data."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.trading import (
    Exchange,
    OrderStatus,
    OrderType,
    Product,
    Side,
    Validity,
    Variety,
)
from models.contracts.assertions import SignedAssertion


class OrderTerms(BaseModel):
    """What is to be traded. Prices in rupees; `market_protection` in percent, -1 lets the broker choose."""

    model_config = ConfigDict(frozen=True)

    exchange: Exchange
    symbol: str
    side: Side
    quantity: int
    order_type: OrderType
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    product: Product
    validity: Validity = Validity.DAY
    variety: Variety = Variety.REGULAR
    market_protection: Decimal | None = None
    disclosed_quantity: int | None = None

    def changed(self, change: "Modify") -> "OrderTerms":
        """The terms that a modification leaves: a type without a limit or a trigger has neither."""
        terms = self.model_copy(update=change.model_dump(exclude_none=True))
        gone = {
            "price": terms.order_type not in (OrderType.LIMIT, OrderType.STOP_LIMIT),
            "trigger_price": terms.order_type not in (OrderType.STOP_LIMIT, OrderType.STOP_MARKET),
        }
        dropped = {name: None for name, drop in gone.items() if drop and getattr(change, name) is None}
        return terms.model_copy(update=dropped)


class SignalOrigin(BaseModel):
    """The signal that an order answers, as it stood when the customer said yes."""

    model_config = ConfigDict(frozen=True)

    signal_id: str
    entry_price: Decimal
    published_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    target_price: Decimal | None = None
    stop_price: Decimal | None = None
    """Where both are named, they are kept at the broker once the order has opened a position."""


class OrderProgress(BaseModel):
    """The one state of the Order process; what continue-as-new carries."""

    status: OrderStatus = OrderStatus.QUEUED
    reason_code: str | None = None
    leg: int = 1
    """The slice that is to be sent; beyond `legs` nothing more is."""
    legs: int = 1
    """Slices that the order is cut into."""
    attempt: int = 1
    """Of that slice."""
    broker_order_id: str | None = None
    filled_quantity: int = 0
    average_price: Decimal = Decimal(0)
    version: int = 0
    confirmed: bool = False
    yes_unwritten: bool = False
    """The customer has said yes, and the step that sends the order is to write it down first."""
    cancel_wanted: bool = False
    since: AwareDatetime | None = None
    """When the present state was reached."""
    quiet_readings: int = 0
    told: bool = False
    """Whether the caller who placed it was answered."""
    gone: bool = False
    """Its day at the broker is over and was not read: a person says how it ended."""
    ready_at: AwareDatetime | None = None
    """From when on nothing but a session, a market and a turn was missing for it to leave."""
    trading_day: date | None = None
    """The one day on which it may leave, by the broker's clock, as soon as that was heard."""
    exits_kept: bool = False
    """Whether the process of its target and stop was begun."""


class OrderInput(BaseModel):
    """Starts the Order process."""

    order_id: str
    user_id: str
    account_id: str
    terms: OrderTerms
    origin: SignalOrigin | None = None
    confirmed: bool = True
    """The customer's own recorded yes came with the command; False waits for it."""
    prepared: bool = False
    """The platform made it when a signal was published: no caller awaits an answer."""
    flattens: str | None = None
    """The kill switch that closes a position by this order: it alone passes that switch's block."""
    adopts: str | None = None
    """The broker's id of an order that was made elsewhere: nothing is sent, it is followed."""
    assertion_public_key: str = ""
    progress: OrderProgress | None = None


class Place(BaseModel):
    """The update that creates an order."""


class Confirm(BaseModel):
    """The customer's recorded yes to an order that a strategy made."""

    user_id: str


class Decline(BaseModel):
    """The customer's no."""

    user_id: str


class Cancel(BaseModel):
    """Take the order back, as far as it is not filled."""


class Modify(BaseModel):
    """What is to change of a live order; None leaves as it is."""

    quantity: int | None = Field(default=None, gt=0)
    price: Decimal | None = Field(default=None, gt=0)
    trigger_price: Decimal | None = Field(default=None, gt=0)
    order_type: OrderType | None = None
    validity: Validity | None = None


class PersonDecision(StrEnum):
    """What a person found out at the broker about an order that needs one."""

    FOUND = "found"
    ABSENT = "absent"
    ENDED = "ended"
    """How an order ended that the broker's book shows no longer: with the fill that is stated."""


class Resolve(BaseModel):
    """A member of staff settles an order whose outcome nobody could find out."""

    assertion: SignedAssertion
    decision: PersonDecision
    broker_order_id: str | None = None
    filled_quantity: int | None = Field(default=None, ge=0)
    average_price: Decimal | None = Field(default=None, gt=0)
    """Of the whole fill, in rupees, as the contract note has it."""


class OrderView(BaseModel):
    """The answer of every order command: the state reached by then."""

    order_id: str
    status: OrderStatus
    reason_code: str | None = None
    broker_order_id: str | None = None
    filled_quantity: int = 0
    average_price: str = "0"
    version: int = 0

    @classmethod
    def of(cls, order_id: str, at: Any) -> "OrderView":
        """From whoever knows where the order stands under these names: its process, or the record."""
        known = {name: getattr(at, name) for name in cls.model_fields if name != "order_id"}
        return cls(order_id=order_id, **known | {"average_price": str(at.average_price)})


class BrokerEvent(BaseModel):
    """A postback was stored: a hint to read the broker's book again."""

    event_number: int


class SessionOpened(BaseModel):
    """The account has a live session again: orders that waited for one go on."""

    account_id: str


# What activities take and give


class AdmitOrder(BaseModel):
    order: OrderInput
    as_of: AwareDatetime


class Admission(BaseModel):
    """The order's row stands. `status` is queued, risk_rejected or awaiting_session."""

    status: OrderStatus
    reason_code: str | None = None
    version: int


class SubmitOrder(BaseModel):
    """Send attempt `attempt` of slice `leg` of an admitted order; `terms` are the whole order's."""

    order_id: str
    user_id: str
    account_id: str
    leg: int = 1
    attempt: int
    terms: OrderTerms
    origin: SignalOrigin | None = None
    flattens: str | None = None
    unasked: bool = False
    """Nobody said yes to it: it leaves only while its account is flagged `auto`."""
    said_yes: bool = False
    """The customer has just said yes: that is written down before anything else."""
    ready_at: AwareDatetime | None = None
    trading_day: date | None = None
    """The one day on which it may leave; None: the day that it was ready on."""
    as_of: AwareDatetime


class SubmissionKind(StrEnum):
    SENT = "sent"
    RISK_REJECTED = "risk_rejected"
    """A check of ours refused it; nothing has left."""
    REFUSED = "refused"
    """The broker answered no."""
    MARKET_CLOSED = "market_closed"
    NO_SESSION = "no_session"
    PACED = "paced"
    """The broker's pace limit: nothing has left, try after `wait_seconds`."""
    DAY_OVER = "day_over"
    """The order's own trading day is over: nothing has left, and nothing more will."""
    BROKER_DOWN = "broker_down"
    """The broker does not answer: nothing has left, try after `wait_seconds`."""


class Submission(BaseModel):
    kind: SubmissionKind
    reason_code: str | None = None
    broker_order_id: str | None = None
    wait_seconds: float = 0.0
    legs: int = 1
    """Slices that the order is cut into, as far as that is known."""
    trading_day: date | None = None
    """The order's, where the broker's clock was heard."""
    version: int = 0


class ResolveAttempt(BaseModel):
    order_id: str
    user_id: str
    account_id: str
    leg: int = 1
    attempt: int


class FindingKind(StrEnum):
    FOUND = "found"
    NEVER_LEFT = "never_left"
    """The attempt's row is still queued: the same attempt may go."""
    ABSENT = "absent"
    """Proven absent; the row is void: a new attempt may go."""
    REFUSED = "refused"
    LOOK_AGAIN = "look_again"
    ASK_A_PERSON = "ask_a_person"
    NO_SESSION = "no_session"
    ENDED = "ended"
    """By a person's word, with the fill that was stated."""


class Finding(BaseModel):
    kind: FindingKind
    status: OrderStatus | None = None
    """Where the order stands, for a refused attempt."""
    reason_code: str | None = None
    broker_order_id: str | None = None
    wait_seconds: float = 0.0
    legs: int = 1
    sent_on: date | None = None
    """The broker's day when the attempt was about to leave."""
    version: int = 0


class SettleAttempt(BaseModel):
    """A person's word about an attempt."""

    order_id: str
    user_id: str
    account_id: str
    leg: int = 1
    attempt: int
    decision: PersonDecision
    broker_order_id: str | None = None
    filled_quantity: int = 0
    average_price: Decimal | None = None
    cancel_wanted: bool = False
    as_of: AwareDatetime


class ReadOrder(BaseModel):
    """Read the broker's book about an order and store what it shows."""

    order_id: str
    user_id: str
    account_id: str
    broker_order_id: str
    exchange: Exchange
    cancel_wanted: bool = False
    legs: int = 1
    sending: bool = False
    """A later slice is still on its way: fills are taken, the order's state stays what that slice says."""


class BookReading(BaseModel):
    """What the record holds after a reading; `session_lost`: the broker wants a new login."""

    status: OrderStatus
    reason_code: str | None = None
    filled_quantity: int = 0
    average_price: Decimal = Decimal(0)
    version: int = 0
    session_lost: bool = False
    gone: bool = False
    """The broker's day of the order is over and its end was not read: a person is asked."""
    alive: bool = False
    """Something of it may still trade at the broker, which has no cancel for it under way."""


class CancelAtBroker(BaseModel):
    order_id: str
    user_id: str
    account_id: str
    broker_order_id: str
    variety: Variety
    legs: int = 1


class ModifyAtBroker(BaseModel):
    order_id: str
    user_id: str
    account_id: str
    broker_order_id: str
    variety: Variety
    change: Modify
    legs: int = 1


class RecordStatus(BaseModel):
    """Write a state that we alone decide."""

    order_id: str
    status: OrderStatus
    reason_code: str | None = None
    void_attempt: int | None = None
    """Only if this attempt never left: it is voided in the same transaction."""
    leg: int = 1
    """The slice of that attempt; where earlier ones have left, the order itself goes on."""
    as_of: AwareDatetime


class Recorded(BaseModel):
    version: int
