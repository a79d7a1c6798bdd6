"""When an exchange takes orders, by its own clock. Days and hours are dated data, passed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.billing_calendar import NATIONAL_HOLIDAYS
from domain.trading import Exchange

INDIA = ZoneInfo("Asia/Kolkata")
SESSION_DIES = time(6, 0)
"""Kite access tokens die at 06:00 of the next day (kite.trade/docs/connect/v3/user)."""


@dataclass(frozen=True)
class Hours:
    """Of the normal market, Asia/Kolkata; `closes` is the first moment at which it is shut."""

    opens: time
    closes: time


@dataclass(frozen=True)
class Calendar:
    """Trading hours by exchange, the weekdays without trading, and the days of special sessions, which have
    hours of their own whatever day of the week they are. `moment` is always aware.

    `holidays` are told to the end of `known_until`. Of later days only weekends and the national holidays are
    known: every other one counts as a trading day, so that an order is not held back from a market that is
    open. Where it is shut after all the broker refuses, and the order ends as `rejected`; what runs by
    schedule finds nothing to do. `domain.dated_tables` has the end told in time.
    """

    hours: Mapping[Exchange, Hours]
    holidays: frozenset[date]
    known_until: date
    special: Mapping[date, Hours] = field(default_factory=dict)

    def is_trading_day(self, day: date) -> bool:
        rests = day.weekday() > 4 or day in self.holidays or (day.month, day.day) in NATIONAL_HOLIDAYS
        return day in self.special or not rests

    def hours_of(self, exchange: Exchange, day: date) -> Hours:
        """Of a trading day."""
        return self.special.get(day, self.hours[exchange])

    def is_open(self, exchange: Exchange, moment: datetime) -> bool:
        local = moment.astimezone(INDIA)
        hours = self.hours_of(exchange, local.date())
        return self.is_trading_day(local.date()) and hours.opens <= local.time() < hours.closes

    def next_open(self, exchange: Exchange, moment: datetime) -> datetime:
        """`moment` itself while the market is open, else when it opens next."""
        if self.is_open(exchange, moment):
            return moment
        local = moment.astimezone(INDIA)
        day = local.date()
        if local.time() >= self.hours_of(exchange, day).opens:
            day += timedelta(days=1)
        while not self.is_trading_day(day):
            day += timedelta(days=1)
        return datetime.combine(day, self.hours_of(exchange, day).opens, INDIA)

    def next_close(self, exchange: Exchange, moment: datetime) -> datetime:
        """When the trading that is on at `moment`, or comes next, ends."""
        day = self.next_open(exchange, moment).astimezone(INDIA).date()
        return datetime.combine(day, self.hours_of(exchange, day).closes, INDIA)

    def is_over(self, exchange: Exchange, day: date, moment: datetime) -> bool:
        """Whether the trading of `day` has ended: its DAY orders lapse."""
        local = moment.astimezone(INDIA)
        closes = self.hours_of(exchange, day).closes
        return local.date() > day or (local.date() == day and local.time() >= closes)


def trading_date(moment: datetime) -> date:
    """The exchange's date at `moment`."""
    return moment.astimezone(INDIA).date()


def session_end(login: datetime) -> datetime:
    """When a broker session that began at `login` dies."""
    return session_ends(trading_date(login))


def session_ends(day: date) -> datetime:
    """When the sessions of `day` die; Kite clears the day's book by then."""
    return datetime.combine(day + timedelta(days=1), SESSION_DIES, INDIA)


EQUITY_HOURS = Hours(time(9, 15), time(15, 30))
INDIA_2026 = Calendar(
    hours={
        Exchange.NSE: EQUITY_HOURS,
        Exchange.BSE: EQUITY_HOURS,
        Exchange.NFO: EQUITY_HOURS,
        Exchange.MCX: Hours(time(9, 0), time(23, 30)),
    },
    holidays=frozenset(
        date(2026, month, day)
        for month, day in (
            *((1, 15), (1, 26), (3, 3), (3, 26), (3, 31), (4, 3), (4, 14), (5, 1)),
            *((5, 28), (6, 26), (9, 14), (10, 2), (10, 20), (11, 10), (11, 24), (12, 25)),
        )
    ),
    known_until=date(2026, 12, 31),
    special={date(2026, 2, 1): EQUITY_HOURS},
)
"""NSE's circulars for 2026: trading holidays, and the special sessions whose hours it has told (the Union
Budget's, on Sunday 1 February; Muhurat trading of 8 November is told shortly before)."""
