"""The trend strategy over candles and their indicators, and its backtest. Pure: who computes the indicators
stands behind `Indicators`.

The rule: long while a fast average is above a slow one, by a score of seven conditions that must agree;
stop and target in average true ranges (Wilder, 1978). The score is the confidence: how many conditions
agree, weighted; it is no probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Protocol

from domain.signals import DISTRIBUTED_ABOVE, Action, Levels, Status, Timeframe, reached, true_return

STOP_RANGES = Decimal(2)
TARGET_RANGES = Decimal(3)
STRONG_TREND = Decimal(20)
"""ADX from which a trend is held to be one (Wilder)."""
BARS_NEEDED = 260
"""The slowest average needs 200 bars; the rest lets Wilder's smoothing settle."""
BACKTEST_BARS = (30, 90)
LIFE_BARS = 10
STALE_AFTER = timedelta(days=5)
"""Candles whose newest bar is older than this are no market of today: long week-ends are shorter."""

WIDTH: dict[Timeframe, timedelta] = {
    Timeframe.M1: timedelta(minutes=1),
    Timeframe.M5: timedelta(minutes=5),
    Timeframe.M15: timedelta(minutes=15),
    Timeframe.H1: timedelta(hours=1),
    Timeframe.H4: timedelta(hours=4),
    Timeframe.D1: timedelta(days=1),
}


class Bar(Protocol):
    """What the rules read of a candle."""

    @property
    def at(self) -> datetime: ...
    @property
    def open(self) -> Decimal: ...
    @property
    def high(self) -> Decimal: ...
    @property
    def low(self) -> Decimal: ...
    @property
    def close(self) -> Decimal: ...


@dataclass(frozen=True)
class Reading:
    """The indicators at the close of one bar."""

    fast: Decimal
    slow: Decimal
    slow_before: Decimal
    """The slow average five bars earlier."""
    long: Decimal
    range: Decimal
    """Average true range, 14 bars."""
    strength: Decimal
    """Average directional index, 14 bars."""
    momentum: Decimal
    """MACD histogram, 12/26/9."""
    relative: Decimal
    """Relative strength index, 14 bars."""


class Indicators(Protocol):
    def read(self, bars: Sequence[Bar]) -> list[Reading | None]:
        """A reading a bar, None where an indicator has not enough bars behind it."""
        ...


@dataclass(frozen=True)
class Idea:
    """What the rule says at the close of a bar."""

    levels: Levels
    confidence: int
    agreeing: tuple[str, ...]


@dataclass(frozen=True)
class Tested:
    """How the rule did over the last `bars` bars; see `models.messages.signals.Backtest`."""

    bars: int
    trades: int
    wins: int
    open: int
    return_percent: Decimal
    worst_percent: Decimal | None


def conditions(close: Decimal, reading: Reading) -> list[tuple[str, int, bool]]:
    """Name, weight and whether it holds; the weights add up to 100."""
    return [
        ("fast_above_slow", 25, reading.fast > reading.slow),
        ("close_above_fast", 15, close > reading.fast),
        ("slow_rises", 15, reading.slow > reading.slow_before),
        ("strong_trend", 15, reading.strength >= STRONG_TREND),
        ("momentum_up", 10, reading.momentum > 0),
        ("not_overbought", 10, Decimal(45) <= reading.relative <= Decimal(75)),
        ("above_long_average", 10, close > reading.long),
    ]


def to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """The nearest price that the exchange takes."""
    return (price / tick).quantize(Decimal(1), ROUND_HALF_UP) * tick


def idea(bar: Bar, reading: Reading | None, tick: Decimal) -> Idea | None:
    """What the rule says at the bar's close: to buy, or nothing. Only what may be distributed."""
    if reading is None or reading.range <= 0:
        return None
    judged = conditions(bar.close, reading)
    score = sum(weight for _, weight, holds in judged if holds)
    if reading.fast <= reading.slow or score <= DISTRIBUTED_ABOVE:
        return None
    entry = to_tick(bar.close, tick)
    levels = Levels(
        Action.BUY,
        entry,
        to_tick(entry + TARGET_RANGES * reading.range, tick),
        to_tick(entry - STOP_RANGES * reading.range, tick),
    )
    if levels.stop is None or levels.target is None or not 0 < levels.stop < entry < levels.target:
        return None
    return Idea(levels, score, tuple(name for name, _, holds in judged if holds))


def backtest(bars: Sequence[Bar], readings: Sequence[Reading | None], tick: Decimal, span: int) -> Tested:
    """Plays the rule over the last `span` bars: in at the next bar's open, out where stop or target is
    reached (the stop first where one bar holds both, at the open where it opened beyond it).

    No cost, no slippage; one position at a time.
    """
    start = max(0, len(bars) - span)
    levels: Levels | None = None
    waiting: Idea | None = None
    results: list[Decimal] = []
    for number in range(start, len(bars)):
        bar = bars[number]
        if waiting is not None:
            levels = _moved(waiting.levels, bar.open)
            waiting = None
        if levels is not None:
            left = _left_at(levels, bar)
            if left is not None:
                gained = true_return(Action.BUY, levels.entry, left)
                results.append(gained if gained is not None else Decimal(0))
                levels = None
        elif number + 1 < len(bars):
            waiting = idea(bar, readings[number], tick)
    whole = Decimal(1)
    for result in results:
        whole *= 1 + result / 100
    return Tested(
        bars=len(bars) - start,
        trades=len(results),
        wins=sum(result > 0 for result in results),
        open=int(levels is not None),
        return_percent=((whole - 1) * 100).quantize(Decimal("0.01"), ROUND_HALF_UP),
        worst_percent=min(results).quantize(Decimal("0.01"), ROUND_HALF_UP) if results else None,
    )


def _moved(levels: Levels, entry: Decimal) -> Levels:
    """The same distances from the price that was really paid."""
    gap = entry - levels.entry
    target = levels.target + gap if levels.target is not None else None
    stop = levels.stop + gap if levels.stop is not None else None
    return Levels(levels.action, entry, target, stop)


def _left_at(levels: Levels, bar: Bar) -> Decimal | None:
    if levels.stop is None or levels.target is None:
        return None
    if reached(levels, bar.open) is not None:
        return bar.open
    if reached(levels, bar.low) is Status.STOP:
        return levels.stop
    return levels.target if reached(levels, bar.high) is Status.TARGET else None
