"""States of a payment and of a refund, which only go forward; signatures."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

LATE_AUTHORISATION = timedelta(days=3)
"""Banks answer for up to three days; a failed payment may become authorized that long (Razorpay)."""


class Purpose(StrEnum):
    COURSE = "course"
    SUBSCRIPTION = "subscription"


class PaymentStatus(StrEnum):
    """As the API shows it."""

    CREATED = "created"
    ACTION_REQUIRED = "action_required"
    REVIEW = "review"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUND_PENDING = "refund_pending"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


S = PaymentStatus
NEXT: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    # The gateway may tell of the end first: webhooks and polls come in no order. An amount that was not asked
    # for is never taken, however it was reached.
    S.CREATED: frozenset(
        {
            *(S.ACTION_REQUIRED, S.AUTHORIZED, S.CAPTURED, S.FAILED, S.EXPIRED, S.REFUND_PENDING, S.REFUNDED),
            # A renewal of which neither bank nor gateway has said anything in all its time.
            S.UNKNOWN,
        }
    ),
    # A renewal that waits for the customer's approval.
    S.ACTION_REQUIRED: frozenset({S.CAPTURED, S.FAILED, S.UNKNOWN}),
    S.AUTHORIZED: frozenset({S.CAPTURED, S.UNKNOWN, S.REFUND_PENDING, S.REVIEW, S.BLOCKED}),
    # The money is held until compliance has decided: released, it is authorized as before.
    S.REVIEW: frozenset({S.AUTHORIZED, S.BLOCKED, S.CAPTURED, S.REFUND_PENDING, S.REFUNDED}),
    # What is blocked is never taken by us; what somebody took at the gateway is booked, and given back.
    S.BLOCKED: frozenset({S.CAPTURED, S.REFUNDED}),
    # Money that comes after the end goes back.
    S.EXPIRED: frozenset({S.REFUND_PENDING}),
    # A late authorisation: the bank said no, then yes.
    S.FAILED: frozenset({S.AUTHORIZED, S.CAPTURED, S.EXPIRED, S.REFUND_PENDING, S.REFUNDED}),
    S.UNKNOWN: frozenset({S.CAPTURED, S.FAILED, S.REFUND_PENDING}),
    S.CAPTURED: frozenset({S.REFUND_PENDING, S.PARTIALLY_REFUNDED, S.REFUNDED, S.DISPUTED}),
    # Held money that was to go back may have been taken at the gateway all the same: booked, and given back.
    S.REFUND_PENDING: frozenset({S.CAPTURED, S.PARTIALLY_REFUNDED, S.REFUNDED, S.DISPUTED}),
    S.PARTIALLY_REFUNDED: frozenset({S.REFUND_PENDING, S.REFUNDED, S.DISPUTED}),
    # A dispute that ends gives back the state that its payment's refunds make.
    S.DISPUTED: frozenset({S.CAPTURED, S.REFUND_PENDING, S.PARTIALLY_REFUNDED, S.REFUNDED}),
    # The customer's bank may return a refund that was processed, and dispute what was refunded.
    S.REFUNDED: frozenset({S.REFUND_PENDING, S.DISPUTED}),
}
"""Every step that a payment takes; held by `store/payments.py`."""

OPEN = frozenset({S.CREATED, S.ACTION_REQUIRED, S.REVIEW, S.AUTHORIZED, S.FAILED, S.UNKNOWN})
"""The checkout still lives; one open payment a reference."""

TERMINAL = frozenset({S.EXPIRED, S.REFUNDED, S.BLOCKED, S.CAPTURED, S.PARTIALLY_REFUNDED})
"""Nothing more happens by itself: a waiting reader is answered."""


def may_follow(before: PaymentStatus, after: PaymentStatus) -> bool:
    """Whether a payment may go from one state to the other; late and repeated news may not."""
    return after in NEXT[before]


_AT_GATEWAY = ("captured", "authorized", "refunded", "created", "failed")


def counts(gateway_status: str) -> int:
    """Rank of a payment among those tried on one order, the one that counts first: money taken, money held,
    money gone back, a try under way, a failure."""
    return _AT_GATEWAY.index(gateway_status) if gateway_status in _AT_GATEWAY else len(_AT_GATEWAY)


class RefundStatus(StrEnum):
    """As the API shows it."""

    REQUESTED = "requested"
    APPROVED = "approved"
    PENDING = "pending"
    PROCESSED = "processed"
    FAILED = "failed"
    MANUAL_PAYOUT = "manual_payout"
    REJECTED = "rejected"


REFUND_NEXT: dict[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.REQUESTED: frozenset({RefundStatus.APPROVED, RefundStatus.REJECTED}),
    # Rejected where the customer's bank has given the money back meanwhile.
    RefundStatus.APPROVED: frozenset(
        {RefundStatus.PENDING, RefundStatus.MANUAL_PAYOUT, RefundStatus.REJECTED}
    ),
    RefundStatus.PENDING: frozenset({RefundStatus.PROCESSED, RefundStatus.MANUAL_PAYOUT}),
    # Rejected where a lost dispute has paid the customer before finance did.
    RefundStatus.MANUAL_PAYOUT: frozenset({RefundStatus.PROCESSED, RefundStatus.REJECTED}),
    # The bank returned what the gateway had paid; what was paid by transfer stays paid.
    RefundStatus.PROCESSED: frozenset({RefundStatus.MANUAL_PAYOUT}),
    RefundStatus.REJECTED: frozenset(),
    # A word of the API that the process does not say: what the gateway cannot pay goes by bank.
    RefundStatus.FAILED: frozenset(),
}
"""Every step that a refund takes; held by `store/refunds.py`."""
REFUND_FIRST = (RefundStatus.REQUESTED, RefundStatus.APPROVED)
"""A refund that nobody has to agree to begins approved."""
REFUND_TERMINAL = frozenset({RefundStatus.PROCESSED, RefundStatus.REJECTED, RefundStatus.FAILED})


def signed(message: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Whether `signature` is the hex HMAC-SHA256 of the message under one of the secrets (constant time).

    Webhooks: the raw body under the current or the previous webhook secret. Checkout: ``order|payment``
    under the API secret (Razorpay).
    """
    given = signature.encode()
    fits = [hmac.compare_digest(hmac.new(s.encode(), message, hashlib.sha256).hexdigest().encode(), given)
            for s in secrets if s]  # fmt: skip
    return any(fits)
