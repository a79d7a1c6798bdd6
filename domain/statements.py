"""An account's day in figures: what it held, traded, earned and paid. Pure; money in paise."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from domain.positions import Position, Trade, fold
from domain.trading import Side


@dataclass(frozen=True)
class DatedTrade:
    """A trade with its trading day, which is the exchange's and not the date of its booking."""

    day: date
    trade: Trade


@dataclass(frozen=True)
class Line:
    """One instrument and product on a day. `realised`: on that day alone, before charges."""

    opening_quantity: int
    bought: int
    sold: int
    closing: Position
    realised: int


def line_of(trades: Iterable[DatedTrade], day: date) -> Line:
    """The day's line by all trades up to it; days add up: the lines of all days realise what the position
    has realised."""
    until = [each for each in trades if each.day <= day]
    before = fold(each.trade for each in until if each.day < day)
    closing = fold(each.trade for each in until)
    of_day = [each.trade for each in until if each.day == day]
    return Line(
        opening_quantity=before.quantity,
        bought=sum(each.quantity for each in of_day if each.side is Side.BUY),
        sold=sum(each.quantity for each in of_day if each.side is Side.SELL),
        closing=closing,
        realised=closing.realised - before.realised,
    )
