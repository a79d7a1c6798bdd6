"""How a trading day's book is compared with the broker's, and what may become of what does not agree. Pure.

Both sides are told in ids, words and quantities. What the customer did at the broker's own desk is no
difference: it is taken over (`Theirs.elsewhere`), so that positions agree all the same.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from domain.trading import TERMINAL, BrokerStatus, OrderStatus


class DayStatus(StrEnum):
    """Where the comparison of an account's trading day stands."""

    WAITING = "waiting"
    """Not compared yet: the account has no session."""
    BALANCED = "balanced"
    OPEN = "open"
    """A break of the day waits for a person."""
    RESOLVED = "resolved"
    """Every break of the day was decided."""
    UNREAD = "unread"
    """The broker's book of the day was gone before it could be read."""


D = DayStatus
DAY_NEXT: dict[DayStatus, frozenset[DayStatus]] = {
    D.WAITING: frozenset({D.BALANCED, D.OPEN, D.RESOLVED, D.UNREAD}),
    # The day may be compared again as long as the broker shows it.
    D.BALANCED: frozenset({D.OPEN}),
    D.OPEN: frozenset({D.BALANCED, D.RESOLVED}),
    D.RESOLVED: frozenset({D.OPEN, D.BALANCED}),
    D.UNREAD: frozenset({D.RESOLVED}),
}
"""Every step that a day takes; held by `store/broker_days.py`."""


class BreakStatus(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


BREAK_NEXT: dict[BreakStatus, frozenset[BreakStatus]] = {
    BreakStatus.OPEN: frozenset({BreakStatus.RESOLVED}),
    # Only where nobody decided: what had agreed meanwhile differs once more.
    BreakStatus.RESOLVED: frozenset({BreakStatus.OPEN}),
}
"""Held by `store/broker_breaks.py`."""


class BreakKind(StrEnum):
    ORDER_MISSING = "order_missing"
    """We hold it as sent; the broker's book of the day does not have it."""
    ORDER_UNACCOUNTED = "order_unaccounted"
    """The broker has an order under a tag of ours that our record does not hold as sent."""
    STATUS_DIFFERS = "status_differs"
    FILL_DIFFERS = "fill_differs"
    TRADE_MISSING = "trade_missing"
    """We booked it; the broker shows no such trade."""
    TRADE_UNBOOKED = "trade_unbooked"
    """The broker shows a trade of an order of ours that we have not booked."""
    TRADE_DIFFERS = "trade_differs"
    POSITION_DIFFERS = "position_differs"
    DAY_UNREAD = "day_unread"
    """The book of the day was gone before it could be read: nothing was compared."""


class Resolution(StrEnum):
    ADOPT_BROKER = "adopt_broker"
    """The broker is right: a position is set to what it says by an adjusting trade event of its own."""
    ACCEPT = "accept"
    """The difference is known and stays."""
    CLAIM_BROKER = "claim_broker"
    """We are right: it is claimed at the broker."""
    AGREED = "agreed"
    """A later comparison found no such difference: nobody had to decide."""


def may_be(kind: BreakKind, resolution: Resolution) -> bool:
    """Whether a person may resolve a break of `kind` so."""
    if resolution is Resolution.ADOPT_BROKER:
        return kind is BreakKind.POSITION_DIFFERS
    return resolution is not Resolution.AGREED


@dataclass(frozen=True, order=True)
class Difference:
    """What one side says and the other does not; the same in every reading of the day."""

    kind: BreakKind
    reference: str
    ours: str
    theirs: str

    def break_id(self, account_id: str, day: str) -> str:
        """Opaque, safe in a URL; other figures are another break. A position that differs as it did the day
        before is still the same one."""
        of_day = "" if self.kind is BreakKind.POSITION_DIFFERS else day
        key = ":".join((account_id, of_day, self.kind, self.reference, self.ours, self.theirs))
        return f"brk_{sha256(key.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class OurOrder:
    """An order that went to the broker that day; one broker id a slice."""

    order_id: str
    broker_ids: frozenset[str]
    status: OrderStatus
    filled: int


@dataclass(frozen=True)
class TheirOrder:
    broker_order_id: str
    status: BrokerStatus
    filled: int
    tag: str | None = None


@dataclass(frozen=True, order=True)
class Execution:
    """One trade, on either side."""

    exchange: str
    trade_id: str
    broker_order_id: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, order=True)
class Place:
    """Where something is held."""

    exchange: str
    symbol: str
    product: str

    @property
    def reference(self) -> str:
        return f"{self.exchange}/{self.symbol}/{self.product}"


@dataclass(frozen=True)
class Ours:
    """Our record of the day. `tags`: every tag of ours to the broker id under which it is held as sent.
    `positions`: signed quantities; of delivery what was traded that day, since the rest is a holding."""

    orders: tuple[OurOrder, ...]
    tags: Mapping[str, str | None]
    trades: tuple[Execution, ...]
    positions: Mapping[Place, int]


@dataclass(frozen=True)
class Theirs:
    """The broker's book of the day."""

    orders: tuple[TheirOrder, ...]
    trades: tuple[Execution, ...]
    positions: Mapping[Place, int]

    def elsewhere(self, ours: Ours) -> list[Execution]:
        """Trades of orders that were made at the broker's own desk, or by the broker itself."""
        known = {each for order in ours.orders for each in order.broker_ids}
        tagged = {order.broker_order_id for order in self.orders if order.tag in ours.tags}
        return [trade for trade in self.trades if trade.broker_order_id not in known | tagged]


ENDED = {
    BrokerStatus.COMPLETE: {OrderStatus.FILLED},
    BrokerStatus.CANCELLED: {OrderStatus.CANCELLED, OrderStatus.EXPIRED},
    BrokerStatus.REJECTED: {OrderStatus.REJECTED},
}


def differences(ours: Ours, theirs: Theirs) -> list[Difference]:
    """Every difference of the day, in order; the same two books give the same list."""
    found = [*_orders(ours, theirs), *_trades(ours, theirs), *_positions(ours, theirs)]
    return sorted(found)


def _orders(ours: Ours, theirs: Theirs) -> Iterator[Difference]:
    book = {order.broker_order_id: order for order in theirs.orders}
    for mine in ours.orders:
        missing = sorted(mine.broker_ids - book.keys())
        if missing:
            yield Difference(BreakKind.ORDER_MISSING, mine.order_id, ",".join(missing), "none")
            continue
        parts = [book[each] for each in mine.broker_ids]
        if not _fits(mine.status, parts):
            said = ",".join(sorted({part.status for part in parts}))
            yield Difference(BreakKind.STATUS_DIFFERS, mine.order_id, mine.status, said)
        filled = sum(part.filled for part in parts)
        if filled != mine.filled:
            yield Difference(BreakKind.FILL_DIFFERS, mine.order_id, str(mine.filled), str(filled))
    for each in theirs.orders:
        tag = each.tag or ""
        if tag in ours.tags and ours.tags[tag] != each.broker_order_id:
            held = ours.tags[tag] or "none"
            yield Difference(BreakKind.ORDER_UNACCOUNTED, tag, held, each.broker_order_id)


def _fits(status: OrderStatus, parts: Iterable[TheirOrder]) -> bool:
    """Whether our word for an order can stand beside the broker's for its slices."""
    words = [part.status for part in parts]
    if not all(word in ENDED for word in words):
        return status not in TERMINAL
    if len(words) == 1:
        return status in ENDED[words[0]]
    return status in TERMINAL


def _trades(ours: Ours, theirs: Theirs) -> Iterator[Difference]:
    """Of our own orders; the others are taken over."""
    known = {each for order in ours.orders for each in order.broker_ids}
    mine = {(each.exchange, each.trade_id): each for each in ours.trades}
    shown = {(each.exchange, each.trade_id): each for each in theirs.trades}
    for key, trade in mine.items():
        reference = "/".join(key)
        if key not in shown:
            yield Difference(BreakKind.TRADE_MISSING, reference, _told(trade), "none")
        elif _told(trade) != _told(shown[key]):
            yield Difference(BreakKind.TRADE_DIFFERS, reference, _told(trade), _told(shown[key]))
    for key, trade in shown.items():
        if key not in mine and trade.broker_order_id in known:
            yield Difference(BreakKind.TRADE_UNBOOKED, "/".join(key), "none", _told(trade))


def _told(trade: Execution) -> str:
    return f"{trade.quantity} at {trade.price.normalize():f}"


def _positions(ours: Ours, theirs: Theirs) -> Iterator[Difference]:
    mine, shown = _merged(ours.positions), _merged(theirs.positions)
    for place in sorted(mine.keys() | shown.keys()):
        if mine[place] != shown[place]:
            yield Difference(BreakKind.POSITION_DIFFERS, place.reference, str(mine[place]), str(shown[place]))


def _merged(positions: Mapping[Place, int]) -> Counter[Place]:
    counted: Counter[Place] = Counter()
    for place, quantity in positions.items():
        counted[place] += quantity
    return counted


def by_order(trades: Iterable[Execution]) -> dict[str, tuple[int, Decimal]]:
    """Quantity and average price (four decimals) of each broker order's trades."""
    quantities: Counter[str] = Counter()
    values: defaultdict[str, Decimal] = defaultdict(Decimal)
    for trade in trades:
        quantities[trade.broker_order_id] += trade.quantity
        values[trade.broker_order_id] += trade.quantity * trade.price
    return {
        order: (quantity, (values[order] / quantity).quantize(Decimal("0.0001")))
        for order, quantity in quantities.items()
    }
