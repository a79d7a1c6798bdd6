"""What ends is told in time, and what holds after its end is decided."""

from datetime import UTC, date, datetime, timedelta

import pytest

from domain import bank_holidays, fee_cap
from domain.billing_calendar import is_bank_day, on_bank_day
from domain.dated_tables import TABLES, DatedTable, warnings
from domain.market_calendar import INDIA, INDIA_2026
from domain.trading import Exchange


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_an_end_is_told_forty_five_days_before_and_ever_after(table: DatedTable) -> None:
    ahead = table.known_until - timedelta(days=45)
    assert warnings(ahead, [table]) == []
    soon = warnings(ahead + timedelta(days=1), [table])
    late = warnings(table.known_until + timedelta(days=400), [table])
    for line in (*soon, *late):
        assert str(table.known_until) in line
        assert table.next_from in line
    assert (len(soon), len(late)) == (1, 1)
    assert "ended" not in soon[0]
    assert "ended" in late[0]


def test_each_end_is_that_of_its_data() -> None:
    assert {day.year for day in INDIA_2026.holidays} == {INDIA_2026.known_until.year}
    assert {day.year for day in bank_holidays.BANK_HOLIDAYS} == {bank_holidays.KNOWN_UNTIL.year}
    assert fee_cap.CAPS[-1].since.replace(year=fee_cap.CAPS[-1].since.year + 3) == fee_cap.REVIEW_DUE


def test_past_the_end_weekends_and_national_holidays_are_known_and_no_other_day() -> None:
    day = INDIA_2026.known_until + timedelta(days=1)
    shut = []
    while day.year == 2027:
        if not INDIA_2026.is_trading_day(day) and day.weekday() < 5:
            shut.append(day)
        day += timedelta(days=1)
    assert shut == [date(2027, 1, 26)], "15 August and 2 October fall on a weekend in 2027"
    assert INDIA_2026.is_trading_day(date(2027, 3, 22)), "a day that the circular will name: nobody knows yet"


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        (datetime(2027, 1, 4, 10, tzinfo=INDIA), datetime(2027, 1, 4, 10, tzinfo=INDIA)),
        (datetime(2027, 1, 4, 8, tzinfo=INDIA), datetime(2027, 1, 4, 9, 15, tzinfo=INDIA)),
        (datetime(2027, 1, 2, 10, tzinfo=INDIA), datetime(2027, 1, 4, 9, 15, tzinfo=INDIA)),
        (datetime(2027, 1, 26, 10, tzinfo=INDIA), datetime(2027, 1, 27, 9, 15, tzinfo=INDIA)),
    ],
)
def test_an_order_past_the_end_leaves_on_every_day_that_may_be_one_of_trading(
    moment: datetime, opens: datetime
) -> None:
    assert INDIA_2026.next_open(Exchange.NSE, moment) == opens


def test_a_debit_past_the_end_leaves_on_every_day_that_may_be_a_bank_day() -> None:
    assert is_bank_day(date(2027, 3, 22))
    assert not is_bank_day(date(2027, 1, 26))
    due = datetime(2027, 1, 26, 6, tzinfo=UTC)
    assert on_bank_day(due) == due + timedelta(days=1)
