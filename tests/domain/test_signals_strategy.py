"""The trend rule and its backtest, on the real bars that the sandbox replays and on bars made for a point."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.indicators import Reading, backtest, conditions, idea, to_tick
from domain.signals import price_flaws
from providers.indicators import TaLib
from sandbox.kite.candles import goog

TICK = Decimal("0.01")
START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Bar:
    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


UP = Reading(
    fast=Decimal(110),
    slow=Decimal(100),
    slow_before=Decimal(99),
    long=Decimal(90),
    range=Decimal(2),
    strength=Decimal(30),
    momentum=Decimal(1),
    relative=Decimal(60),
)


def bars(*rows: tuple[int, int, int, int]) -> list[Bar]:
    return [Bar(START + timedelta(days=n), *(Decimal(x) for x in row)) for n, row in enumerate(rows)]


def real() -> list[Bar]:
    rows = []
    for day in goog()[-500:]:
        at = datetime.combine(day.day, datetime.min.time(), UTC)
        rows.append(Bar(at, *(Decimal(x) / 100 for x in (day.open, day.high, day.low, day.close))))
    return rows


def test_the_weights_add_up_to_a_hundred() -> None:
    assert sum(weight for _, weight, _ in conditions(Decimal(112), UP)) == 100


def test_a_trend_is_bought_with_stop_and_target_in_ranges() -> None:
    found = idea(bars((111, 113, 110, 112))[0], UP, TICK)
    assert found is not None
    assert (found.levels.entry, found.levels.stop, found.levels.target) == (112, 108, 118)
    assert found.confidence == 100
    assert price_flaws(found.levels) == []


@pytest.mark.parametrize(
    "change",
    [
        {"fast": Decimal(99)},
        {"strength": Decimal(10), "momentum": Decimal(-1)},
        {"range": Decimal(0)},
        {"range": Decimal(60)},
    ],
)
def test_what_is_not_a_trend_is_not_proposed(change: dict[str, Decimal]) -> None:
    assert idea(bars((111, 113, 110, 112))[0], replace(UP, **change), TICK) is None


def test_a_backtest_enters_at_the_next_open_and_takes_the_stop_first() -> None:
    series = bars((100, 101, 99, 100), (100, 110, 90, 105), (105, 106, 104, 105))
    tested = backtest(series, [UP, UP, None], TICK, 30)
    assert (tested.trades, tested.wins) == (1, 0), "one bar held both levels: the stop counts"
    assert tested.worst_percent == Decimal("-4.00")


def test_a_backtest_leaves_at_the_open_that_gapped_beyond_the_stop() -> None:
    series = bars((100, 101, 99, 100), (100, 101, 99, 100), (80, 81, 79, 80))
    tested = backtest(series, [UP, None, None], TICK, 30)
    assert (tested.trades, tested.return_percent) == (1, Decimal("-20.00"))


def test_a_position_still_held_is_counted_as_open_not_as_won() -> None:
    series = bars((100, 101, 99, 100), (100, 101, 99, 100))
    tested = backtest(series, [UP, None], TICK, 30)
    assert (tested.trades, tested.open, tested.return_percent) == (0, 1, Decimal("0.00"))


def test_a_rule_may_not_see_the_bars_to_come() -> None:
    series = real()
    whole, cut = TaLib().read(series), TaLib().read(series[:-40])
    assert whole[: len(cut)] == cut
    assert whole[-1] is not None


def test_indicators_need_bars_behind_them() -> None:
    readings = TaLib().read(real())
    assert readings[:199] == [None] * 199
    assert readings[199] is not None
    assert TaLib().read([]) == []


@given(st.decimals(min_value="0.05", max_value="99999", places=4), st.sampled_from(["0.01", "0.05", "0.1"]))
def test_a_price_on_the_tick_is_near_and_on_it(price: Decimal, tick: str) -> None:
    rounded = to_tick(price, Decimal(tick))
    assert rounded % Decimal(tick) == 0
    assert abs(rounded - price) <= Decimal(tick) / 2
