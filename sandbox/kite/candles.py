"""Candles: the real daily GOOG bars of the `backtesting` package, and marked synthetic series for the rest.

The CSV is read from the package's folder without importing it: its plotting dependencies may be absent.
"""

import csv
import importlib.util
import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

from sandbox.kite.hours import IST, is_trading_day

# Longest span of one call by interval, days (kite.trade/docs/connect/v3/historical).
MAX_DAYS = {
    "minute": 60, "3minute": 100, "5minute": 100, "10minute": 100, "15minute": 200, "30minute": 200,
    "60minute": 400, "day": 2000,
}  # fmt: skip
MINUTES = {
    "minute": 1,
    "3minute": 3,
    "5minute": 5,
    "10minute": 10,
    "15minute": 15,
    "30minute": 30,
    "60minute": 60,
}
OPENS, CLOSES = time(9, 15), time(15, 30)


@dataclass(frozen=True)
class Bar:
    """One day of a series; prices in paise (hundredths of the series' own currency), volume in shares."""

    day: date
    open: int
    high: int
    low: int
    close: int
    volume: int


@cache
def goog() -> tuple[Bar, ...]:
    """Alphabet Inc, daily, 2004-08-19 to 2013-03-01; raises FileNotFoundError without the package."""
    spec = importlib.util.find_spec("backtesting")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the real candles ship in the package `backtesting`, which is not installed")
    path = Path(spec.submodule_search_locations[0]) / "test" / "GOOG.csv"
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))

    def price(row: dict[str, str], column: str) -> int:
        return int(Decimal(row[column]) * 100)

    return tuple(
        Bar(
            date.fromisoformat(row[""]),
            price(row, "Open"),
            price(row, "High"),
            price(row, "Low"),
            price(row, "Close"),
            int(row["Volume"]),
        )
        for row in rows
    )


def synthetic(token: int, base: int, tick: int, moment: datetime, width: timedelta) -> Bar:
    """A made-up bar, the same for everybody: two slow waves around the base price. Never real data."""

    def price(at: datetime) -> int:
        days = at.timestamp() / 86_400
        wave = 0.03 * math.sin(days / 17 + token % 97) + 0.008 * math.sin(days * 2.3 + token % 13)
        value = int(base * (1 + wave))
        return value - value % tick

    opened, closed = price(moment), price(moment + width)
    edge = max(tick, (base // 1000) - (base // 1000) % tick)
    volume = 10_000 + int(moment.timestamp()) // 60 % 5_000
    return Bar(moment.date(), opened, max(opened, closed) + edge, min(opened, closed) - edge, closed, volume)


def _row(moment: datetime, bar: Bar) -> list[str | float | int]:
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S%z")
    return [stamp, bar.open / 100, bar.high / 100, bar.low / 100, bar.close / 100, bar.volume]


def real_rows(start: datetime, end: datetime) -> list[list[str | float | int]]:
    """The real daily bars of the span, as `[time, open, high, low, close, volume]`."""
    rows = []
    for bar in goog():
        moment = datetime.combine(bar.day, time(), IST)
        if start <= moment <= end:
            rows.append(_row(moment, bar))
    return rows


def synthetic_rows(
    token: int, base: int, tick: int, interval: str, start: datetime, end: datetime
) -> list[list[str | float | int]]:
    """Synthetic bars of the trading days and hours in the span, up to `end`."""
    rows = []
    day = start.date()
    while day <= end.date():
        if is_trading_day(day):
            if interval == "day":
                moment = datetime.combine(day, time(), IST)
                if start <= moment <= end:
                    rows.append(_row(moment, synthetic(token, base, tick, moment, timedelta(hours=6))))
            else:
                width = timedelta(minutes=MINUTES[interval])
                moment = datetime.combine(day, OPENS, IST)
                while moment < datetime.combine(day, CLOSES, IST) and moment <= end:
                    if moment >= start:
                        rows.append(_row(moment, synthetic(token, base, tick, moment, width)))
                    moment += width
        day += timedelta(days=1)
    return rows
