"""Workflow ids: a builder and its inverse for each kind. Ids are in the clear: never personal data."""

from enum import StrEnum


class Kind(StrEnum):
    """The first part of a workflow id: what the process is."""

    ONBOARDING = "onboarding"
    ERASURE = "erasure"
    RESCREENING = "rescreening"
    COMPLAINT = "complaint"
    PAYMENT = "payment"
    LATE_PAYMENT = "late-payment"
    SUBSCRIPTION = "subscription"
    REFUND = "refund"
    DISPUTE = "dispute"
    EINVOICE = "einvoice"
    RECONCILIATION = "reconciliation"
    BREAK = "break"
    REVENUE = "revenue"
    CLOSE = "close"
    VOUCHER = "voucher"
    ENROLLMENT = "enrollment"
    COURSE_EDIT = "course-edit"
    SIGNAL_RUN = "signal-run"
    SIGNAL = "signal"
    SIGNAL_ORDERS = "signal-orders"
    MARKET_DATA = "market-data"
    WATCH = "watch"
    ORDER = "order"
    FOREIGN_ORDERS = "foreign-orders"
    EXIT = "exit"
    SESSION = "session"
    KILL_SWITCH = "kill-switch"
    BROKER_DAY = "broker-day"
    BROKER_BREAK = "broker-break"
    MESSAGE = "message"


def workflow_id(kind: Kind, *key: str) -> str:
    """``payment:{payment}``, ``break:{date}:{kind}:{reference}``, …

    Raises:
        ValueError: a part is empty or holds a colon, so that the inverse would be another key.
    """
    if not key or any(not part or ":" in part for part in key):
        raise ValueError(f"a part of a {kind} workflow id is empty or holds a colon")
    return ":".join((kind, *key))


def business_key(identifier: str) -> tuple[Kind, tuple[str, ...]]:
    """The inverse of `workflow_id`.

    Raises:
        ValueError: not an id that `workflow_id` makes.
    """
    kind, *key = identifier.split(":")
    if not key or not all(key):
        raise ValueError("not a Treum workflow id")
    return Kind(kind), tuple(key)


def signal_round(timeframe: str) -> str:
    """The schedule of a timeframe's rounds over the watchlist, and how the ids of its runs begin."""
    return f"signal-round-{timeframe}"
