"""An order above the exchange's freeze quantity: cut into slices, and put together again from them. Pure.

Source: SEBI's retail algo framework in force from 1 April 2026 (at most ten slices an order); freeze
quantities are dated data (`domain.pretrade.FREEZE_QUANTITIES`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from domain.trading import BrokerStatus, OrderStatus, status_of

MAX_SLICES = 10


class LegStatus(StrEnum):
    """Where one slice stands."""

    WAITING = "waiting"
    """Nothing of it has left."""
    SENT = "sent"
    """The broker took it; its book was not read yet."""
    ACCEPTING = "accepting"
    TRIGGER_PENDING = "trigger_pending"
    OPEN = "open"
    CANCEL_PENDING = "cancel_pending"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    REFUSED = "refused"
    """A check of ours or the broker itself said no: this slice and those after it do not leave."""
    DROPPED = "dropped"
    """Not sent any more: an earlier slice was refused, the order was taken back, or, where a reason says so,
    its day ended first."""


L = LegStatus
ENDED = frozenset({L.COMPLETE, L.CANCELLED, L.REJECTED, L.REFUSED, L.DROPPED})
FAILED = (L.REFUSED, L.REJECTED, L.CANCELLED, L.DROPPED)
"""What left an order unfilled, the most telling first."""
_SHOWN = frozenset(L) - {L.WAITING, L.SENT, L.REFUSED, L.DROPPED}
LEG_NEXT: dict[LegStatus, frozenset[LegStatus]] = {
    L.WAITING: frozenset({L.SENT, L.REFUSED, L.DROPPED}),
    L.SENT: _SHOWN,
    **{status: _SHOWN - {status} for status in _SHOWN - ENDED},
    **{status: frozenset() for status in ENDED},
}
"""Every step that exists; what ended never moves again. Held by `store/trading_legs.py`."""


@dataclass(frozen=True)
class Leg:
    """One slice as last known; `average` in rupees."""

    number: int
    quantity: int
    status: LegStatus = LegStatus.WAITING
    filled: int = 0
    average: Decimal = Decimal(0)
    reason: str | None = None
    broker_order_id: str | None = None


@dataclass(frozen=True)
class Together:
    """What the slices come to as one order."""

    status: OrderStatus
    filled: int
    average: Decimal
    reason: str | None


def cut(quantity: int, freeze: int | None, lot: int) -> tuple[int, ...]:
    """Slices of whole lots, none above `freeze`; the one quantity where the exchange names no limit.

    Raises ValueError where not even one lot is within the limit.
    """
    if freeze is None or quantity <= freeze:
        return (quantity,)
    largest = freeze - freeze % lot
    if largest <= 0:
        raise ValueError("the freeze quantity is below one lot")
    whole, rest = divmod(quantity, largest)
    return (largest,) * whole + ((rest,) if rest else ())


def together(legs: Sequence[Leg], *, cancel_wanted: bool, day_over: bool) -> Together:
    """One order of its slices: alive while one of them is; filled only if every one of them is.

    An order that ended with less tells by its reason which slice kept it from more.
    """
    filled = sum(leg.filled for leg in legs)
    worth = sum((leg.average * leg.filled for leg in legs), Decimal(0))
    average = (worth / filled).quantize(Decimal("0.0001")) if filled else Decimal(0)
    alive = [leg for leg in legs if leg.status not in ENDED]
    if alive:
        return Together(_alive(alive, filled, cancel_wanted=cancel_wanted), filled, average, None)
    if all(leg.status is L.COMPLETE for leg in legs):
        return Together(OrderStatus.FILLED, filled, average, None)
    worst = next(leg for status in FAILED for leg in legs if leg.status is status)
    if not filled and all(leg.status in (L.REJECTED, L.REFUSED, L.DROPPED) for leg in legs):
        return Together(OrderStatus.REJECTED, filled, average, worst.reason)
    late = day_over or (worst.status is L.DROPPED and worst.reason is not None)
    ended = status_of(BrokerStatus.CANCELLED, filled, cancel_wanted=cancel_wanted, day_over=late)
    if worst.status in (L.REFUSED, L.REJECTED):
        ended = OrderStatus.CANCELLED
    return Together(ended, filled, average, worst.reason)


def _alive(legs: Sequence[Leg], filled: int, *, cancel_wanted: bool) -> OrderStatus:
    if any(leg.status in (L.WAITING, L.SENT, L.ACCEPTING) for leg in legs) and not filled:
        return OrderStatus.CANCEL_PENDING if cancel_wanted else OrderStatus.SUBMITTING
    if cancel_wanted or all(leg.status is L.CANCEL_PENDING for leg in legs):
        return OrderStatus.CANCEL_PENDING
    if filled:
        return OrderStatus.PARTIALLY_FILLED
    if all(leg.status is L.TRIGGER_PENDING for leg in legs):
        return OrderStatus.TRIGGER_PENDING
    return OrderStatus.OPEN
