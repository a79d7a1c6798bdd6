"""The order's states and how they follow one another; what a broker's word means; proof of absence."""

import hashlib
from base64 import b32encode
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_LIMIT = "SL"
    STOP_MARKET = "SL-M"


class Product(StrEnum):
    DELIVERY = "CNC"
    INTRADAY = "MIS"
    CARRY_FORWARD = "NRML"


class Validity(StrEnum):
    DAY = "DAY"
    IOC = "IOC"


class Variety(StrEnum):
    REGULAR = "regular"
    AFTER_MARKET = "amo"


class Exchange(StrEnum):
    NSE = "NSE"
    BSE = "BSE"
    NFO = "NFO"
    MCX = "MCX"


DELIVERING = (Exchange.NSE, Exchange.BSE)
"""Where shares are bought and delivered; the others trade contracts."""


class BrokerName(StrEnum):
    KITE = "kite"
    PAPER = "paper"


class OrderStatus(StrEnum):
    """What a customer sees; the words of the API."""

    AWAITING_CONFIRMATION = "awaiting_confirmation"
    RISK_REJECTED = "risk_rejected"
    AWAITING_SESSION = "awaiting_session"
    AWAITING_MARKET = "awaiting_market"
    QUEUED = "queued"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    NEEDS_PERSON = "needs_person"
    TRIGGER_PENDING = "trigger_pending"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    CANCEL_PENDING = "cancel_pending"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


S = OrderStatus
TERMINAL = frozenset({S.RISK_REJECTED, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED})
UNSENT = frozenset({S.AWAITING_CONFIRMATION, S.AWAITING_SESSION, S.AWAITING_MARKET, S.QUEUED})
"""Nothing has gone to the broker: the order can be dropped by us alone."""
AT_BROKER = frozenset({S.TRIGGER_PENDING, S.OPEN, S.PARTIALLY_FILLED, S.CANCEL_PENDING})

_SHOWN = AT_BROKER | {S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED}
"""What the broker's book may show of an order that it took."""
_BEFORE = frozenset(
    {
        *(S.AWAITING_SESSION, S.AWAITING_MARKET, S.QUEUED, S.SUBMITTING, S.UNKNOWN, S.NEEDS_PERSON),
        # A day's order that nobody signs in for ends with its day.
        *(S.RISK_REJECTED, S.REJECTED, S.CANCELLED, S.EXPIRED),
    }
)
"""What an attempt to send may come to, until the broker has it."""
_STEPS: dict[OrderStatus, frozenset[OrderStatus]] = {
    S.AWAITING_CONFIRMATION: frozenset({S.QUEUED, S.CANCELLED, S.EXPIRED}),
    S.AWAITING_SESSION: _BEFORE,
    S.AWAITING_MARKET: _BEFORE,
    S.QUEUED: _BEFORE,
    # A sender that was slow to answer may have written `submitting` while its loss was being noted.
    S.SUBMITTING: _SHOWN | {S.UNKNOWN, S.NEEDS_PERSON},
    S.UNKNOWN: _SHOWN | _BEFORE,
    S.NEEDS_PERSON: _SHOWN | _BEFORE,
    # Its day is over and the book was not read in it: how it ended nobody can look up any more.
    S.TRIGGER_PENDING: _SHOWN | {S.NEEDS_PERSON},
    S.OPEN: _SHOWN | {S.NEEDS_PERSON},
    S.PARTIALLY_FILLED: (_SHOWN | {S.NEEDS_PERSON}) - {S.TRIGGER_PENDING, S.OPEN},
    S.CANCEL_PENDING: _SHOWN | {S.NEEDS_PERSON},
    **{status: frozenset() for status in TERMINAL},
}
NEXT = {status: following - {status} for status, following in _STEPS.items()}
"""Every step that exists; what ended never moves again. Held by `store/trading.py`."""


FIRST = (S.AWAITING_CONFIRMATION, S.AWAITING_SESSION, S.QUEUED, S.RISK_REJECTED, S.SUBMITTING)
"""What an order may be when it is made; `submitting` where it was made elsewhere and is at the broker."""


def may_follow(now: OrderStatus, then: OrderStatus) -> bool:
    return now == then or then in NEXT[now]


class BrokerStatus(StrEnum):
    """What a broker says of an order, in one vocabulary (Kite's many transitional words fold into three)."""

    ACCEPTING = "accepting"
    """Taken by the broker's order management, not yet at the exchange."""
    TRIGGER_PENDING = "trigger_pending"
    OPEN = "open"
    CANCEL_PENDING = "cancel_pending"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


def status_of(broker: BrokerStatus, filled: int, *, cancel_wanted: bool, day_over: bool) -> OrderStatus:
    """Our word for what the broker's book shows.

    A DAY order that the exchange cancelled after its close, without our asking, has expired.
    """
    match broker:
        case BrokerStatus.COMPLETE:
            return S.FILLED
        case BrokerStatus.REJECTED:
            return S.REJECTED
        case BrokerStatus.CANCELLED:
            return S.EXPIRED if day_over and not cancel_wanted else S.CANCELLED
        case BrokerStatus.CANCEL_PENDING:
            return S.CANCEL_PENDING
        case _ if cancel_wanted:
            return S.CANCEL_PENDING
        case _ if filled:
            return S.PARTIALLY_FILLED
        case BrokerStatus.TRIGGER_PENDING:
            return S.TRIGGER_PENDING
        case BrokerStatus.OPEN:
            return S.OPEN
        case _:
            return S.SUBMITTING


TAG_LENGTH = 20
"""Kite's limit (kite.trade/docs/connect/v3/orders); 20 base-32 characters are 100 bits."""
MAX_MODIFICATIONS = 25
"""Kite refuses the 26th: "Maximum allowed order modifications exceeded"."""


def tag_of(order_id: str, leg: int, attempt: int) -> str:
    """The key by which an attempt is found at the broker when the answer was lost.

    A hash, not a prefix of the id: the first 20 characters of a UUIDv7 are mostly clock.
    """
    digest = hashlib.sha256(f"{order_id}/{leg}/{attempt}".encode()).digest()
    return b32encode(digest).decode()[:TAG_LENGTH]


class AttemptStatus(StrEnum):
    """The row of one attempt to send. Each step is a compare-and-set."""

    QUEUED = "queued"
    """Nothing has left."""
    SENDING = "sending"
    """About to leave, or left; its sender has not come back."""
    UNANSWERED = "unanswered"
    """Its sender came back without an answer: nothing more will leave under it."""
    SENT = "sent"
    """The broker took it."""
    REFUSED = "refused"
    """The broker refused it."""
    VOID = "void"
    """Proven absent: never to be sent again."""


CLIENT_DEADLINE = timedelta(seconds=7)
"""How long our client waits for the broker's answer: its default (pykiteconnect)."""
ABSENCE_MARGIN = timedelta(seconds=2)
"""How long after that deadline a request may still be on its way into the broker's book."""
LOOK_AGAIN = timedelta(seconds=1)
"""Between the two readings that prove absence, and between earlier searches."""
LOOKS_TO_PROVE = 2
PERSON_AFTER = timedelta(seconds=60)
"""A sender that has not come back by then: a person is asked."""


@dataclass(frozen=True)
class Search:
    """What is known after the book was read and held no order under the tag.

    `age` is the time since the attempt was marked `sending`, by the record's clock. `sender_gone`: the
    sender answered, or its database session has ended on the same server start, so that a paused worker
    cannot send it yet. `looks`: readings without a find after the deadline, this one included.
    """

    age: timedelta
    looks: int
    sender_gone: bool
    sent_on: date
    today: date


class Absence(StrEnum):
    PROVEN = "proven"
    LOOK_AGAIN = "look_again"
    ASK_A_PERSON = "ask_a_person"


def absence(search: Search) -> Absence:
    """Whether the order is proven absent from the broker's book, which was just read in a live session."""
    if search.today != search.sent_on:
        return Absence.ASK_A_PERSON
    if search.sender_gone and search.looks >= LOOKS_TO_PROVE:
        return Absence.PROVEN
    return Absence.ASK_A_PERSON if search.age >= PERSON_AFTER else Absence.LOOK_AGAIN


def counts_as_look(age: timedelta) -> bool:
    """A reading proves something only once nothing can be on its way any more."""
    return age >= CLIENT_DEADLINE + ABSENCE_MARGIN


POLL_SECONDS = (0.25, 1, 2, 5, 10, 20, 30)
"""Waits between readings of a live order that no postback told about; the last one repeats."""


def poll_pause(quiet_readings: int) -> timedelta:
    return timedelta(seconds=POLL_SECONDS[min(quiet_readings, len(POLL_SECONDS) - 1)])


SIGNAL_MAX_DRIFT = Decimal("0.02")
"""How far the market may have moved from a signal's entry price when its order leaves (own rule, 2026)."""


def drifted(entry: Decimal, last: Decimal) -> bool:
    return entry <= 0 or abs(last - entry) / entry > SIGNAL_MAX_DRIFT


def stale(now: datetime, expires_at: datetime | None) -> bool:
    return expires_at is not None and now >= expires_at
