"""What the paper broker may do at a moment of its market's clock. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, time

from domain.market_calendar import INDIA, Calendar, trading_date
from domain.pretrade import intraday_ends
from domain.trading import Exchange, Variety

MIDNIGHT = time()


@dataclass(frozen=True)
class Phase:
    """Exchanges by what may happen at them at `now`; `day` is theirs."""

    day: date
    open: dict[str, datetime]
    """They trade, since when: elsewhere, and by a price of before, nothing is touched."""
    squared: list[str]
    """Intraday positions are closed and intraday orders are over."""
    over: list[str]
    """The day's orders lapse."""


def phase_of(calendar: Calendar, now: datetime) -> Phase:
    day = trading_date(now)
    return Phase(
        day,
        {
            each.value: datetime.combine(day, calendar.hours_of(each, day).opens, INDIA)
            for each in Exchange
            if calendar.is_open(each, now)
        },
        [each.value for each in Exchange if now >= squares_off(calendar, each, day)],
        [each.value for each in Exchange if calendar.is_over(each, day, now)],
    )


def squares_off(calendar: Calendar, exchange: Exchange, day: date) -> datetime:
    """When the exchange's intraday positions of `day` are closed; at its midnight where it does not trade."""
    if not calendar.is_trading_day(day):
        return datetime.combine(day, MIDNIGHT, INDIA)
    ends = intraday_ends(exchange, day) or calendar.hours_of(exchange, day).closes
    return datetime.combine(day, ends, INDIA)


def day_of(calendar: Calendar, exchange: Exchange, variety: Variety, now: datetime) -> date:
    """The day that an order taken at `now` is for: an after-market one's is that of the next opening."""
    if variety is Variety.AFTER_MARKET:
        return trading_date(calendar.next_open(exchange, now))
    return trading_date(now)
