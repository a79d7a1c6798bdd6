"""The exchange's arithmetic: what an order can trade for against a price or a book. Pure; paise and shares.

An order trades at the other side's price, never worse than its limit. Without a depth the book is as deep
as the order at the last price; with one, the levels are all there is.
"""

from dataclasses import dataclass
from decimal import Decimal

AUTO_PROTECTION_PERCENT = Decimal(3)


@dataclass(frozen=True)
class Interest:
    """What an open order wants: `limit` is None for a market order, prices in paise."""

    buy: bool
    pending: int
    limit: int | None
    protection_percent: Decimal = AUTO_PROTECTION_PERCENT


@dataclass(frozen=True)
class Level:
    """One price of the other side's book."""

    price: int
    quantity: int


@dataclass(frozen=True)
class Fill:
    """A trade: so many at this price."""

    price: int
    quantity: int


def bound(interest: Interest, reference: int) -> int:
    """The worst price at which the order may trade; a market order's comes from its protection."""
    if interest.limit is not None:
        return interest.limit
    span = int(reference * interest.protection_percent / 100)
    return reference + span if interest.buy else reference - span


def accepts(interest: Interest, price: int, reference: int) -> bool:
    """Whether the order may trade at `price`."""
    worst = bound(interest, reference)
    return price <= worst if interest.buy else price >= worst


def match(interest: Interest, last: int, levels: list[Level] | None = None) -> list[Fill]:
    """The trades that happen now, best price first."""
    if levels is None:
        levels = [Level(last, interest.pending)]
    fills: list[Fill] = []
    wanted = interest.pending
    for level in sorted(levels, key=lambda item: item.price, reverse=not interest.buy):
        if wanted == 0 or not accepts(interest, level.price, last):
            break
        taken = min(wanted, level.quantity)
        if taken:
            fills.append(Fill(level.price, taken))
            wanted -= taken
    return fills


def manual_price(interest: Interest, last: int) -> int:
    """The price of a fill made by hand: the last price where it is good enough, else the limit."""
    return last if accepts(interest, last, last) else bound(interest, last)


def triggered(buy: bool, trigger: int, last: int) -> bool:
    """Whether a stop order's trigger has been touched."""
    return last >= trigger if buy else last <= trigger


def average(fills: list[tuple[int, int]]) -> Decimal:
    """Volume-weighted price in paise of (price, quantity) pairs, to four decimals; 0 for none."""
    quantity = sum(q for _, q in fills)
    if quantity == 0:
        return Decimal(0)
    return (Decimal(sum(p * q for p, q in fills)) / quantity).quantize(Decimal("0.0001"))


def slices(quantity: int, freeze: int, lot: int) -> list[int]:
    """How autoslice cuts a quantity: whole lots, none above the freeze quantity."""
    largest = freeze - freeze % lot
    whole, rest = divmod(quantity, largest)
    return [largest] * whole + ([rest] if rest else [])
