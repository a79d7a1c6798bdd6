"""When the paper broker's market does what: by exchange and clock."""

from datetime import date, datetime, timedelta

import pytest

from domain.market_calendar import INDIA, INDIA_2026
from domain.paper_market import day_of, phase_of, squares_off
from domain.trading import Exchange, Variety

DAY = date(2026, 11, 25)
"""A Wednesday after a holiday."""


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=INDIA)


@pytest.mark.parametrize(
    ("clock", "opened", "squared", "over"),
    [
        ("08:59:59", [], [], []),
        ("09:00:00", ["MCX"], [], []),
        ("15:19:59", ["NSE", "BSE", "NFO", "MCX"], [], []),
        ("15:20:00", ["NSE", "BSE", "NFO", "MCX"], ["NSE", "BSE"], []),
        ("15:25:00", ["NSE", "BSE", "NFO", "MCX"], ["NSE", "BSE", "NFO"], []),
        ("15:30:00", ["MCX"], ["NSE", "BSE", "NFO"], ["NSE", "BSE", "NFO"]),
        ("23:15:00", ["MCX"], ["NSE", "BSE", "NFO", "MCX"], ["NSE", "BSE", "NFO"]),
        ("23:30:00", [], ["NSE", "BSE", "NFO", "MCX"], ["NSE", "BSE", "NFO", "MCX"]),
    ],
)
def test_the_day_of_each_exchange(clock: str, opened: list[str], squared: list[str], over: list[str]) -> None:
    phase = phase_of(INDIA_2026, at(clock))
    assert (phase.day, list(phase.open), phase.squared, phase.over) == (DAY, opened, squared, over)
    if "NSE" in phase.open:
        assert phase.open["NSE"] == at("09:15")


def test_what_is_left_on_a_day_without_trading_is_due_at_once() -> None:
    saturday = date(2026, 11, 28)
    assert squares_off(INDIA_2026, Exchange.NSE, saturday) == at("00:00", saturday)


def test_a_special_session_squares_off_by_the_same_table() -> None:
    budget = date(2026, 2, 1)
    assert squares_off(INDIA_2026, Exchange.NSE, budget) == at("15:20", budget)


@pytest.mark.parametrize(
    ("clock", "variety", "days"),
    [
        ("12:00", Variety.REGULAR, 0),
        ("18:00", Variety.AFTER_MARKET, 1),
        ("06:00", Variety.AFTER_MARKET, 0),
    ],
)
def test_the_day_that_an_order_is_for(clock: str, variety: Variety, days: int) -> None:
    assert day_of(INDIA_2026, Exchange.NSE, variety, at(clock)) == DAY + timedelta(days=days)
