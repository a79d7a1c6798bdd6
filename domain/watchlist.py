"""The analysts' watchlist: when a bar of an exchange is complete, how long it is worth a signal,
and how many strategies the house's pace at the broker lets run after one bar. Pure."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from domain.indicators import WIDTH
from domain.market_calendar import INDIA, Calendar, trading_date
from domain.signals import Timeframe
from domain.trading import Exchange


class WatchStatus(StrEnum):
    ON_WATCH = "on_watch"
    OFF = "off"


WATCH_FIRST = (WatchStatus.ON_WATCH,)
WATCH_NEXT: dict[WatchStatus, frozenset[WatchStatus]] = {
    WatchStatus.ON_WATCH: frozenset({WatchStatus.OFF}),
    WatchStatus.OFF: frozenset(),
}
"""Every step of what is on watch; held by `store/signals_watchlist.py`. Put on watch again it is another."""


class RoundStatus(StrEnum):
    RUNNING = "running"
    MARKET_DATA_CLOSED = "market_data_closed"
    """The house is not signed in at the broker: waits for it while the bar is fresh."""
    BROKER_UNAVAILABLE = "broker_unavailable"
    NO_TRADING_DAY = "no_trading_day"
    NO_FRESH_BAR = "no_fresh_bar"
    NOTHING_ON_WATCH = "nothing_on_watch"
    LEFT_OUT = "left_out"
    """The bar grew old before all had run."""
    DONE = "done"


_OVER = frozenset(RoundStatus) - {RoundStatus.RUNNING, RoundStatus.MARKET_DATA_CLOSED}
ROUND_FIRST = (RoundStatus.RUNNING,)
ROUND_NEXT: dict[RoundStatus, frozenset[RoundStatus]] = {
    RoundStatus.RUNNING: _OVER | {RoundStatus.MARKET_DATA_CLOSED},
    RoundStatus.MARKET_DATA_CLOSED: frozenset({RoundStatus.RUNNING, RoundStatus.BROKER_UNAVAILABLE}),
    **{status: frozenset() for status in sorted(_OVER)},
}
"""Every step of a round; held by `workflows/watchlist.py`. One that waits in vain ends where it waits."""

WATCHED: tuple[Timeframe, ...] = (
    Timeframe.M1,
    Timeframe.M5,
    Timeframe.M15,
    Timeframe.H1,
    Timeframe.D1,
)
"""Timeframes whose bars the broker has (`providers.candles.INTERVALS`)."""

RUNS_A_SECOND = 2
"""Of the three history calls a second that Kite takes from the house (kite.trade/docs/connect/v3/exceptions):
one is left for the runs that analysts ask for."""
MOST_ON_WATCH = 200
"""What one round's history of events holds with ease (own rule, 2026)."""


SHORTEST_DAY = timedelta(hours=6, minutes=15)
"""Of a normal market day: the shares', 09:15 to 15:30."""


@dataclass(frozen=True)
class Bar:
    """A complete bar: its stamp at the broker, and when it closed."""

    began: datetime
    closed: datetime


def fresh_for(timeframe: Timeframe) -> timedelta:
    """How long after its close a bar is worth a signal: half of the next one (own rule, 2026)."""
    return WIDTH[timeframe] / 2


def most_on_watch(timeframe: Timeframe) -> int:
    """How many strategies can run while a bar is fresh, after the seconds that a round takes to begin."""
    seconds = int(fresh_for(timeframe).total_seconds()) - 10
    return min(MOST_ON_WATCH, RUNS_A_SECOND * seconds)


def spanning(timeframe: Timeframe, bars: int) -> timedelta:
    """Calendar days in which so many bars of the shares lie for certain: week-ends and a row of holidays are
    counted in, and a day's bar as if it were of 24 hours of trading."""
    return timedelta(days=8 + 2 * -(-bars * WIDTH[timeframe] // SHORTEST_DAY))


def newest_bar(calendar: Calendar, exchange: Exchange, timeframe: Timeframe, moment: datetime) -> Bar | None:
    """The bar that closed last on the exchange's day of `moment`; None before the first, and on a day without
    trading. Bars are counted from the opening, as Kite counts them; the last one ends with the market. A
    day's bar is stamped with its midnight.
    """
    day = trading_date(moment)
    if not calendar.is_trading_day(day):
        return None
    hours = calendar.hours_of(exchange, day)
    opens = datetime.combine(day, hours.opens, INDIA)
    closes = datetime.combine(day, hours.closes, INDIA)
    if timeframe is Timeframe.D1:
        return Bar(datetime.combine(day, time(), INDIA), closes) if moment >= closes else None
    width = WIDTH[timeframe]
    if moment >= closes:
        whole = -((opens - closes) // width)
        return Bar(opens + (whole - 1) * width, closes)
    whole = (moment - opens) // width
    return Bar(opens + (whole - 1) * width, opens + whole * width) if whole > 0 else None


def fresh_bars(calendar: Calendar, timeframe: Timeframe, due: datetime, now: datetime) -> dict[Exchange, Bar]:
    """By exchange, the bar that has closed when a round is `due`, where it is still fresh `now`."""
    found = {exchange: newest_bar(calendar, exchange, timeframe, due) for exchange in calendar.hours}
    return {
        exchange: bar
        for exchange, bar in found.items()
        if bar is not None and now < bar.closed + fresh_for(timeframe)
    }
