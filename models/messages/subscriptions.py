"""What the `Subscription` workflow and its activities are given and give back. Amounts are paise."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel

from models.contracts.assertions import SignedAssertion
from models.messages.billing import GatewayPayment
from models.messages.subscription_state import Cut, Debit, Mandate, PlanTerms, SubscriptionState


class SubscriptionInput(BaseModel):
    """Input of `Subscription`: who takes which plan, or a state to go on from."""

    subscription_id: str
    user_id: str
    plan_id: str
    trial: bool = False
    """To be tried before it is paid, as long as the plan allows."""
    assertion_key: str = ""
    """Public key of staff assertions, handed on to a refund that this subscription may owe."""
    state: SubscriptionState | None = None


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
    """Update `change_plan`: to a plan that costs no more a month from the next period on, to another one as
    soon as its checkout is paid."""

    plan_id: str


class Quote(BaseModel):
    """Input of `subscriptions.quote`: may this subscription be changed to that plan?"""

    state: SubscriptionState
    plan_id: str
    as_of: AwareDatetime


class Open(BaseModel):
    """Input of `subscriptions.open`."""

    given: SubscriptionInput
    as_of: AwareDatetime


class Begun(BaseModel):
    """Answer of `subscriptions.begin`."""

    version: int
    mandate_max: int | None = None
    credit: int = 0
    """Paise owed for the unexpired part of the period that was cut short."""


class Opened(BaseModel):
    """Answer of `subscriptions.open`."""

    plan: PlanTerms
    version: int
    trial: bool = False


class Save(BaseModel):
    """Input of `subscriptions.save`: the state whose projection is to be stored."""

    state: SubscriptionState
    next_debit_at: AwareDatetime | None = None
    as_of: AwareDatetime
    cut: Cut | None = None


class Saved(BaseModel):
    """Answer of `subscriptions.save`."""

    version: int
    credit: int = 0
    """Paise owed for the unexpired part of a period that was cut short."""


class Topic(StrEnum):
    """What a customer is told besides notices of debits and their failures."""

    TRIAL_ENDS = "trial_ends"
    FEE_CAP_REACHED = "fee_cap_reached"
    CONSENT_REQUIRED = "consent_required"
    KYC_TIER_REQUIRED = "kyc_tier_required"
    LIMIT_EXCEEDED = "limit_exceeded"
    PAYMENT_DECLINED = "payment_declined"


class Tell(BaseModel):
    """Input of `subscriptions.tell`: a mail, once a topic and occasion."""

    state: SubscriptionState
    topic: Topic


class Start(BaseModel):
    """Input of `subscriptions.begin`: a checkout is paid, and its period starts."""

    state: SubscriptionState
    payment_id: str
    next_debit_at: AwareDatetime | None
    as_of: AwareDatetime
    cut: Cut | None = None
    """The period of another plan that ends with it."""


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
    terms: PlanTerms
    gateway_payment_id: str | None = None
    """What a person says that the gateway has taken."""
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
    UNSENT = "unsent"
    """It certainly has not left, by our own row: the same attempt may go."""


class DebitResult(BaseModel):
    """What a debit came to; `payment_id` names an earlier attempt where that one went through after all."""

    status: DebitStatus
    payment_id: str
    gateway: GatewayPayment | None = None
    at: AwareDatetime
    failure_code: str | None = None
    settled_by: str | None = None
    """Who of finance said so, where nobody else would; `note_id` names the evidence."""
    note_id: str | None = None


class DebitSettlement(StrEnum):
    """What became of a debit, as a person learnt it from the gateway's support."""

    CAPTURED = "captured"
    FAILED = "failed"


class SettleDebit(BaseModel):
    """Update `settle`: signed for one person; `note_id` names the evidence."""

    assertion: SignedAssertion
    settlement: DebitSettlement
    note_id: str | None = None
    gateway_payment_id: str | None = None
    """Of money that was taken, where the gateway could not be read to tell it."""


class Late(BaseModel):
    """Input of `subscriptions.late`: a webhook spoke of an order that is not the present debit's."""

    subscription_id: str
    gateway_order_id: str
    as_of: AwareDatetime


class LateDebit(BaseModel):
    """An earlier debit that went through after all, or nothing."""

    debit: Debit | None = None
    result: DebitResult | None = None


class Renew(BaseModel):
    """Input of `subscriptions.renew`: book a captured debit and begin its period, in one transaction."""

    state: SubscriptionState
    """As it is in the new period, or ended where a cancel came while the debit was on its way."""
    result: DebitResult
    wanted: bool
    """False where the money is booked only to be given back: it came after a cancel, or a second time."""
    amount: int
    """What the gateway took."""
    terms: PlanTerms | None = None
    """The plan that the debit was for, where it is known; else that of the state."""
    next_debit_at: AwareDatetime | None
    as_of: AwareDatetime


class Renewed(BaseModel):
    """Answer of `subscriptions.renew`."""

    version: int
    invoice_number: str


class Miss(BaseModel):
    """Input of `subscriptions.miss`: a debit failed; the row and the attempt say so."""

    state: SubscriptionState
    result: DebitResult
    told: bool = True
    """The customer hears of it: it is the renewal of the present period."""
    next_debit_at: AwareDatetime | None
    as_of: AwareDatetime


class Withdraw(BaseModel):
    """Input of `subscriptions.withdraw`: take back a debit that has not left."""

    payment_id: str


class EndMandate(BaseModel):
    """Input of `subscriptions.end_mandate`: nothing is debited under it any more."""

    mandate: Mandate
    as_of: AwareDatetime
