"""Indicators by TA-Lib: behind `domain.indicators.Indicators`, so that the rules know no library.

Floating point stays here: what comes out is a decimal of six places, which no price or amount is made of
without being rounded to a tick.
"""

from collections.abc import Sequence
from decimal import Decimal

import numpy
import talib

from domain.indicators import Bar, Reading

PLACES = Decimal("0.000001")
SLOPE_BARS = 5
FAST, SLOW, LONG, WILDER = 20, 50, 200, 14


class TaLib:
    """`domain.indicators.Indicators`."""

    def read(self, bars: Sequence[Bar]) -> list[Reading | None]:
        if not bars:
            return []
        high, low, close = (
            numpy.array([float(getattr(bar, name)) for bar in bars]) for name in ("high", "low", "close")
        )
        slow = talib.SMA(close, SLOW)
        before = numpy.concatenate([numpy.full(SLOPE_BARS, numpy.nan), slow])[: len(slow)]
        columns = (
            talib.SMA(close, FAST),
            slow,
            before,
            talib.SMA(close, LONG),
            talib.ATR(high, low, close, WILDER),
            talib.ADX(high, low, close, WILDER),
            talib.MACD(close)[2],
            talib.RSI(close, WILDER),
        )
        return [_reading(row) for row in numpy.column_stack(columns)]


def _reading(row: Sequence[float]) -> Reading | None:
    if any(numpy.isnan(value) for value in row):
        return None
    return Reading(*(Decimal(repr(float(value))).quantize(PLACES) for value in row))
