"""What the `Subscription` workflow and its activities are given and give back. Amounts are paise."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel

from domain.billing_calendar import Cycle
from domain.subscriptions import Status


class PlanTerms(BaseModel):
    """A plan as it was when it was taken."""

    plan_id: str
    name: str
    tier: str
    amount: int
    currency: str
    cycle: Cycle
    research_services: bool
    sac: str


class Mandate(BaseModel):
    """The customer's standing consent to be debited, as the gateway keeps it."""

    token_id: str
    gateway_customer_id: str
    method: str
    """`card`, `upi` or `emandate`."""
    max_amount: int | None = None


class Debit(BaseModel):
    """One attempt to collect a renewal; the customer has been told of it."""

    payment_id: str
    period: int
    attempt: int
    amount: int
    due_at: AwareDatetime
    gateway_order_id: str


class SubscriptionState(BaseModel):
    """All that a run carries to the next one, and what the row in Postgres shows."""

    subscription_id: str
    user_id: str
    plan: PlanTerms | None = None
    next_plan: PlanTerms | None = None
    status: Status = Status.AWAITING_PAYMENT
    opened_at: AwareDatetime | None = None
    mandate: Mandate | None = None
    anchor_at: AwareDatetime | None = None
    """Where the billing calendar starts: the moment of the first payment, or of the one after a lapse."""
    anchor_period: int = 1
    """The number of the period that starts at the anchor."""
    period: int = 0
    period_start: AwareDatetime | None = None
    period_end: AwareDatetime | None = None
    cancel_at: AwareDatetime | None = None
    attempt: int = 0
    """Debit attempts made for the period that is due."""
    first_due_at: AwareDatetime | None = None
    """When the first debit of the period that is due was due."""
    debit: Debit | None = None
    since: AwareDatetime | None = None
    """When the present status began."""
    version: int = 0


class SubscriptionInput(BaseModel):
    """Input of `Subscription`: who takes which plan, or a state to go on from."""

    subscription_id: str
    user_id: str
    plan_id: str
    state: SubscriptionState | None = None


class SubscriptionView(BaseModel):
    """What a caller is answered; the same fields as a read of the row."""

    subscription_id: str
    plan_id: str
    status: Status
    amount: int
    currency: str
    current_period_start: AwareDatetime | None = None
    current_period_end: AwareDatetime | None = None
    next_debit_at: AwareDatetime | None = None
    cancel_at: AwareDatetime | None = None
    next_plan_id: str | None = None
    version: int


class Subscribe(BaseModel):
    """Update `subscribe`: made with the start; its answer is the new subscription."""


class Cancel(BaseModel):
    """Update `cancel`. At period end nothing more is debited; at once, access ends now."""

    at_period_end: bool = True


class Pause(BaseModel):
    """Update `pause`: no debit until it is resumed; what is paid for stays usable."""


class Resume(BaseModel):
    """Update `resume`: of a pause, or of a halt after failed debits."""


class ChangePlan(BaseModel):
    """Update `change_plan`: to another plan from the next period on."""

    plan_id: str


class Opened(BaseModel):
    """Answer of `subscriptions.open`."""

    plan: PlanTerms
    version: int


class Save(BaseModel):
    """Input of `subscriptions.save`: the state whose projection is to be stored."""

    state: SubscriptionState
    next_debit_at: AwareDatetime | None = None
    as_of: AwareDatetime


class Start(BaseModel):
    """Input of `subscriptions.begin`: the first payment is in, the first period starts."""

    state: SubscriptionState
    payment_id: str
    next_debit_at: AwareDatetime
    as_of: AwareDatetime


class Notice(BaseModel):
    """Input of `subscriptions.notify`: tell the customer of a debit and open its gateway order."""

    state: SubscriptionState
    period: int
    attempt: int
    amount: int
    due_at: AwareDatetime
    as_of: AwareDatetime


class Collect(BaseModel):
    """Input of `subscriptions.debit` and `subscriptions.look`."""

    subscription_id: str
    user_id: str
    debit: Debit
    mandate: Mandate
    as_of: AwareDatetime


class DebitStatus(StrEnum):
    """What is known of a debit."""

    CAPTURED = "captured"
    FAILED = "failed"
    PENDING = "pending"
    """The gateway has it and the bank or the customer has not decided."""
    WITHDRAWN = "withdrawn"
    """It never left: a cancel or a pause was first."""
    ABSENT = "absent"
    """The gateway does not know of it."""


class DebitResult(BaseModel):
    """What a debit came to; `payment_id` names an earlier attempt where that one went through after all."""

    status: DebitStatus
    payment_id: str
    gateway_payment_id: str | None = None
    method: str | None = None
    captured_at: AwareDatetime | None = None
    fee: int | None = None
    tax: int | None = None
    failure_code: str | None = None


class Renew(BaseModel):
    """Input of `subscriptions.renew`: book a captured debit and begin its period, in one transaction."""

    state: SubscriptionState
    """As it is in the new period."""
    result: DebitResult
    amount: int
    gateway_order_id: str
    next_debit_at: AwareDatetime
    as_of: AwareDatetime


class Miss(BaseModel):
    """Input of `subscriptions.miss`: a debit failed; the row and the attempt say so."""

    state: SubscriptionState
    result: DebitResult
    next_debit_at: AwareDatetime | None
    as_of: AwareDatetime


class Withdraw(BaseModel):
    """Input of `subscriptions.withdraw`: take back a debit that has not left."""

    payment_id: str
