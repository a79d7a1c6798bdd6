"""Target and stop of an order that answered a signal, kept at the broker as a trigger. Pure.

Source: kite.trade/docs/connect/v3/gtt: a trigger of two legs lies below and above the last price and fires a
LIMIT order, which can itself fail: a trigger that has fired is no fill.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from domain.trading import Side


class ExitStatus(StrEnum):
    PLACING = "placing"
    """Nothing has left."""
    SENDING = "sending"
    """About to leave, or left without an answer."""
    ACTIVE = "active"
    """The broker watches the market."""
    TRIGGERED = "triggered"
    """A level was touched and an order is at the exchange; it may still fail."""
    UNPROTECTED = "unprotected"
    """The broker would not take it, or what it fired failed: the customer is told, and it is tried again.
    So it is where nobody knows what became of it, and then only once that is known: by the broker's book
    (`TRIGGER_UNKNOWN`), by whoever ends the order that it fired (`FIRED_UNREAD`)."""
    FILLED = "filled"
    CANCELLED = "cancelled"
    """The position was closed otherwise, or the customer took the trigger away."""


X = ExitStatus
EXIT_OVER = frozenset({X.FILLED, X.CANCELLED})
EXIT_NEXT: dict[ExitStatus, frozenset[ExitStatus]] = {
    X.PLACING: frozenset({X.SENDING, X.UNPROTECTED, X.CANCELLED, X.FILLED}),
    X.SENDING: frozenset({X.ACTIVE, X.PLACING, X.UNPROTECTED}),
    X.ACTIVE: frozenset({X.TRIGGERED, X.PLACING, X.UNPROTECTED, X.CANCELLED, X.FILLED}),
    X.TRIGGERED: frozenset({X.FILLED, X.PLACING, X.UNPROTECTED, X.CANCELLED}),
    X.UNPROTECTED: frozenset({X.PLACING, X.ACTIVE, X.CANCELLED}),
    X.FILLED: frozenset(),
    X.CANCELLED: frozenset(),
}
"""Every step that exists; held by `store/trading_exits.py`."""

EXIT_FIRST = (X.PLACING,)

TRIGGER_UNKNOWN = "trigger_unknown"
"""Why unprotected: sent without an answer, and the book has not shown what became of it in time."""
ENTRY_LIVES = "entry_lives"
"""Why placed again: what was filled is closed, and the order that opened it may fill more."""
FIRED_UNREAD = "fired_order_unread"
"""Why unprotected: the day of the order that was fired is over and nobody has read how it ended. Another
trigger might sell what is sold already, so none is placed until that order has ended in our record."""

STOP_SLACK = Decimal("0.01")
"""How far beyond the stop its limit lies, so that it fills in a market that runs away (own rule, 2026)."""
LEAST_DISTANCE = Decimal("0.0025")
"""Part of the last price that each level has to be away from it (kite.trade/docs/connect/v3/gtt)."""
TRY_AGAIN = timedelta(minutes=5)
"""How soon what the broker would not take is tried again."""
LOOK_SECONDS = (1, 2, 5, 10, 30)
"""Waits between readings of a trigger; the last one repeats."""


@dataclass(frozen=True)
class Leg:
    """One leg of a trigger, in rupees: touched at `trigger`, it fires a limit order at `price`."""

    trigger: Decimal
    price: Decimal


def legs(side: Side, target: Decimal, stop: Decimal, tick: Decimal) -> tuple[Leg, Leg]:
    """The two legs, the lower level first. `side` is that of the closing order; the stop's limit lies beyond
    it, the target's on it."""
    beyond = stop * (1 - STOP_SLACK) if side is Side.SELL else stop * (1 + STOP_SLACK)
    rounding = ROUND_FLOOR if side is Side.SELL else ROUND_CEILING
    limit = (beyond / tick).to_integral_value(rounding) * tick
    pair = (Leg(stop, limit), Leg(target, target))
    return pair if stop < target else (pair[1], pair[0])


def between(pair: tuple[Leg, Leg], last: Decimal) -> bool:
    """Whether the market stands between the levels: only then does the broker take the trigger."""
    return pair[0].trigger < last < pair[1].trigger


def too_near(pair: tuple[Leg, Leg], last: Decimal) -> bool:
    """Whether a level lies so near to the last price that Kite refuses the trigger."""
    return any(abs(leg.trigger - last) <= last * LEAST_DISTANCE for leg in pair)


def look_pause(quiet: int) -> timedelta:
    return timedelta(seconds=LOOK_SECONDS[min(quiet, len(LOOK_SECONDS) - 1)])
