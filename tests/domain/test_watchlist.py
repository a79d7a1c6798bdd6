"""When a bar of an exchange has closed, and how long it is worth a signal."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.indicators import WIDTH
from domain.market_calendar import INDIA, INDIA_2026
from domain.signals import Timeframe
from domain.trading import Exchange
from domain.watchlist import WATCHED, fresh_bars, fresh_for, most_on_watch, newest_bar, spanning


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=INDIA)


@pytest.mark.parametrize(
    ("exchange", "timeframe", "moment", "began", "closed"),
    [
        ("NSE", "5m", "2026-11-23T09:20:05", "2026-11-23T09:15", "2026-11-23T09:20"),
        ("NSE", "15m", "2026-11-23T10:00:05", "2026-11-23T09:45", "2026-11-23T10:00"),
        ("NSE", "1h", "2026-11-23T10:15:05", "2026-11-23T09:15", "2026-11-23T10:15"),
        ("NSE", "1h", "2026-11-23T15:30:05", "2026-11-23T15:15", "2026-11-23T15:30"),
        ("MCX", "1h", "2026-11-23T23:30:05", "2026-11-23T23:00", "2026-11-23T23:30"),
        ("NSE", "15m", "2026-11-23T18:00:05", "2026-11-23T15:15", "2026-11-23T15:30"),
        ("NSE", "1d", "2026-11-23T16:00:05", "2026-11-23T00:00", "2026-11-23T15:30"),
        # The Union Budget's special session, on a Sunday.
        ("NSE", "1m", "2026-02-01T09:16:05", "2026-02-01T09:15", "2026-02-01T09:16"),
    ],
)
def test_the_newest_bar_is_counted_from_the_opening(
    exchange: str, timeframe: str, moment: str, began: str, closed: str
) -> None:
    bar = newest_bar(INDIA_2026, Exchange(exchange), Timeframe(timeframe), at(moment))
    assert bar is not None
    assert (bar.began, bar.closed) == (at(began), at(closed))


@pytest.mark.parametrize(
    ("timeframe", "moment"),
    [
        ("5m", "2026-11-23T09:19:59"),
        ("1d", "2026-11-23T15:29:59"),
        ("5m", "2026-11-24T11:00:05"),  # Guru Nanak Jayanti
        ("5m", "2026-11-22T11:00:05"),  # a Sunday
    ],
)
def test_no_bar_before_the_first_has_closed_nor_on_a_day_without_trading(timeframe: str, moment: str) -> None:
    assert newest_bar(INDIA_2026, Exchange.NSE, Timeframe(timeframe), at(moment)) is None


@given(st.sampled_from(WATCHED), st.integers(0, 24 * 3600 - 1))
def test_a_bar_is_over_and_lies_inside_the_trading(timeframe: Timeframe, second: int) -> None:
    moment = at("2026-11-23T00:00") + timedelta(seconds=second)
    bar = newest_bar(INDIA_2026, Exchange.NSE, timeframe, moment)
    if bar is not None:
        assert bar.began < bar.closed <= moment
        assert bar.closed.time() <= INDIA_2026.hours[Exchange.NSE].closes


def test_an_old_bar_is_worth_nothing() -> None:
    due, m5 = at("2026-11-23T10:05:05"), Timeframe.M5
    fresh = due - timedelta(seconds=5) + fresh_for(m5)
    assert Exchange.NSE in fresh_bars(INDIA_2026, m5, due, fresh - timedelta(microseconds=1))
    assert fresh_bars(INDIA_2026, m5, due, fresh) == {}
    evening = at("2026-11-23T17:05:05")
    assert set(fresh_bars(INDIA_2026, m5, evening, evening)) == {Exchange.MCX}


@pytest.mark.parametrize("timeframe", WATCHED)
def test_a_span_holds_the_bars_that_a_rule_looks_at(timeframe: Timeframe) -> None:
    """Back from a Monday after a week of holidays."""
    day, bars = at("2026-11-16T00:00"), 0
    first = day - spanning(timeframe, 420)
    while day > first:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            bars += 1 if timeframe is Timeframe.D1 else int(timedelta(hours=6, minutes=15) / WIDTH[timeframe])
    assert bars - 5 * bars // 420 >= 420


def test_no_more_is_on_watch_than_the_pace_lets_run() -> None:
    for timeframe in WATCHED:
        assert 0 < most_on_watch(timeframe) / 3 < fresh_for(timeframe).total_seconds()
