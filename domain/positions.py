"""Positions as a fold over trades: rebuilt from nothing they are the same. Money in integer paise."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from domain.market_calendar import trading_date
from domain.slices import MAX_SLICES
from domain.trading import Side


@dataclass(frozen=True)
class Trade:
    """One execution; `price` in rupees. Trades are ordered by the exchange's time, then by their id."""

    trade_id: str
    side: Side
    quantity: int
    price: Decimal
    traded_at: datetime

    @property
    def order(self) -> tuple[datetime, str]:
        return self.traded_at, self.trade_id

    @property
    def value(self) -> int:
        """Paise, half up; exact where the price has two decimals."""
        return int((self.price * self.quantity * 100).to_integral_value(ROUND_HALF_UP))


@dataclass(frozen=True)
class Position:
    """Signed quantity, what it cost (paid for a long one, received for a short one) and what was realised."""

    quantity: int = 0
    cost: int = 0
    realised: int = 0

    @property
    def average_price(self) -> Decimal:
        """Rupees to four decimals; 0 when flat."""
        if self.quantity == 0:
            return Decimal(0)
        return (Decimal(self.cost) / abs(self.quantity) / 100).quantize(Decimal("0.0001"), ROUND_HALF_UP)

    def unrealised(self, last_price: Decimal) -> int:
        """Profit in paise if it were closed at `last_price` (rupees)."""
        worth = int((last_price * abs(self.quantity) * 100).to_integral_value(ROUND_HALF_UP))
        return worth - self.cost if self.quantity > 0 else self.cost - worth


def share(amount: int, part: int, whole: int) -> int:
    """`amount × part / whole` in paise, half up; all of it for the whole."""
    return (2 * amount * part + whole) // (2 * whole)


def after(position: Position, trade: Trade) -> Position:
    """The position once `trade` has happened, at average cost; a trade may turn long into short."""
    signed = trade.quantity if trade.side is Side.BUY else -trade.quantity
    if position.quantity * signed >= 0:
        return Position(position.quantity + signed, position.cost + trade.value, position.realised)
    closed = min(trade.quantity, abs(position.quantity))
    cost_closed = share(position.cost, closed, abs(position.quantity))
    value_closed = share(trade.value, closed, trade.quantity)
    profit = value_closed - cost_closed if position.quantity > 0 else cost_closed - value_closed
    opened = trade.quantity - closed
    cost = trade.value - value_closed if opened else position.cost - cost_closed
    return Position(position.quantity + signed, cost, position.realised + profit)


def fold(trades: Iterable[Trade], start: Position | None = None) -> Position:
    """The position after `trades`, in the exchange's order whatever order they are given in."""
    position = start or Position()
    for trade in sorted(trades, key=lambda each: each.order):
        position = after(position, trade)
    return position


@dataclass(frozen=True)
class Projection:
    """A position as it is kept: with the last trade in it, that trade's day, and what had been realised
    before that day, so that the day's own profit is known without reading trades again."""

    position: Position
    last: tuple[datetime, str]
    day: date
    realised_before: int


def project(trades: Iterable[Trade], start: Projection | None = None) -> Projection | None:
    """Carries a projection on over `trades`, all of which come after it; None for no trades at all."""
    kept = start
    for trade in sorted(trades, key=lambda each: each.order):
        before = kept.position if kept else Position()
        day = trading_date(trade.traded_at)
        same_day = kept is not None and kept.day == day
        realised_before = kept.realised_before if kept and same_day else before.realised
        kept = Projection(after(before, trade), trade.order, day, realised_before)
    return kept


def closing_orders(quantity: int, freeze: int | None, lot: int) -> list[int]:
    """Quantities of the orders that close a position: each at most as many slices of the exchange's freeze
    quantity as one order may have, in whole lots."""
    if freeze is None or freeze < lot:
        return [quantity]
    most = (freeze - freeze % lot) * MAX_SLICES
    whole, rest = divmod(quantity, most)
    return [most] * whole + ([rest] if rest else [])
