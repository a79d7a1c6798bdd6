"""A subscription's states, what may be asked of it in each, and the names of its debits."""

from enum import StrEnum
from hashlib import sha256


class Status(StrEnum):
    """The states of `api.md`."""

    AWAITING_PAYMENT = "awaiting_payment"
    TRIAL = "trial"
    ACTIVE = "active"
    AWAITING_APPROVAL = "awaiting_approval"
    """A renewal above the unattended limit waits for the customer."""
    PAST_DUE = "past_due"
    """A renewal's debit failed and is tried again."""
    HALTED = "halted"
    """Every attempt failed: no access, nothing is debited."""
    PAUSED = "paused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDED = frozenset({Status.CANCELLED, Status.EXPIRED})

UNPAID = frozenset({Status.AWAITING_PAYMENT, Status.TRIAL})
"""States before the first payment."""

COLLECTING = frozenset({Status.ACTIVE, Status.PAST_DUE, Status.AWAITING_APPROVAL})
"""States in which a renewal is or will be debited, and in which the plan may be used."""


S = Status
NEXT: dict[Status, frozenset[Status]] = {
    S.AWAITING_PAYMENT: frozenset({S.TRIAL, S.ACTIVE, S.CANCELLED, S.EXPIRED}),
    # A trial that ends unpaid has no access, and a day for a checkout that was begun at its end.
    S.TRIAL: frozenset({S.ACTIVE, S.AWAITING_PAYMENT, S.CANCELLED}),
    S.ACTIVE: frozenset({S.AWAITING_APPROVAL, S.PAST_DUE, S.PAUSED, S.CANCELLED}),
    S.AWAITING_APPROVAL: frozenset({S.ACTIVE, S.PAST_DUE, S.HALTED, S.CANCELLED}),
    S.PAST_DUE: frozenset({S.ACTIVE, S.AWAITING_APPROVAL, S.HALTED, S.CANCELLED}),
    # Resumed: at once within a period that is paid, else past due until a debit goes through. A bank that
    # says yes late resumes it as well.
    S.HALTED: frozenset({S.ACTIVE, S.PAST_DUE, S.CANCELLED, S.EXPIRED}),
    S.PAUSED: frozenset({S.ACTIVE, S.PAST_DUE, S.CANCELLED, S.EXPIRED}),
    S.CANCELLED: frozenset(),
    S.EXPIRED: frozenset(),
}
"""Every step that a subscription takes; held by `SubscriptionState.move`, the one place that sets it."""


class Action(StrEnum):
    """What a customer may ask for."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    CHANGE_PLAN = "change_plan"


ALLOWED: dict[Action, frozenset[Status]] = {
    Action.CANCEL: frozenset(Status) - ENDED,
    # Razorpay, too, pauses only what is active.
    Action.PAUSE: frozenset({Status.ACTIVE}),
    Action.RESUME: frozenset({Status.PAUSED, Status.HALTED}),
    Action.CHANGE_PLAN: frozenset({Status.ACTIVE, Status.PAST_DUE, Status.PAUSED, Status.HALTED}),
}


class Reason(StrEnum):
    """Why a subscription is paused or halted where its customer did not ask for it."""

    FEE_CAP_REACHED = "fee_cap_reached"
    """The renewal would pass what a family may pay in a year (`domain/fee_cap.py`)."""
    CONSENT_REQUIRED = "consent_required"
    """The consent to the terms of research services was withdrawn: it precedes every fee (SEBI)."""
    KYC_TIER_REQUIRED = "kyc_tier_required"
    """No KYC in force, or a price above its tier's single limit (`domain/monitoring.py`, as the next two)."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """The day's or the month's payments would pass the tier's limit."""
    PAYMENT_DECLINED = "payment_declined"
    """By compliance, or by a score; the customer is told no more."""


def may(action: Action, status: Status) -> bool:
    """Whether the action makes sense in that state."""
    return status in ALLOWED[action]


def debit_payment_id(subscription_id: str, period: int, attempt: int) -> str:
    """The payment id of one debit attempt: the same whoever derives it, so a lost answer can be found.

    It is the gateway order's receipt as well (at most 40 characters).
    """
    return f"pay_{_digest(subscription_id, period, attempt)}"


def notice_message_id(subscription_id: str, period: int, attempt: int) -> str:
    """The id of the message that tells of one debit attempt, so that it goes out once."""
    return f"msg_{_digest('notice', subscription_id, period, attempt)}"


def outcome_message_id(subscription_id: str, period: int, attempt: int) -> str:
    """The id of the message that tells what became of one debit attempt."""
    return f"msg_{_digest('outcome', subscription_id, period, attempt)}"


def trial_message_id(subscription_id: str) -> str:
    """The id of the message that tells that a trial ends."""
    return f"msg_{_digest('trial', subscription_id)}"


def held_message_id(subscription_id: str, period: int, attempt: int) -> str:
    """The id of the message that tells that a renewal is not debited, and why."""
    return f"msg_{_digest('held', subscription_id, period, attempt)}"


def refund_id_of(payment_id: str) -> str:
    """The id of the one refund that a subscription itself asks for a payment: a period is cut short once."""
    return f"rfd_{_digest('refund', payment_id)}"


def _digest(*parts: str | int) -> str:
    return sha256(":".join(map(str, parts)).encode()).hexdigest()[:32]
