"""When a break is overdue, what it is called, and how it may move."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing_calendar import IST, is_bank_day
from domain.moves import IllegalMove, moved
from domain.reconciliation import (
    BREAK_NEXT,
    DECIDE_WITHIN_DAYS,
    BreakKind,
    BreakStatus,
    break_id,
    decide_by,
    needs_second,
)


def test_a_break_found_on_a_friday_is_overdue_after_wednesday() -> None:
    found = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
    # A third Saturday is a bank day; Sunday is not, nor is Tuesday the 24th (Guru Nanak Jayanti).
    assert decide_by(found).astimezone(IST) == datetime(2026, 11, 26, 0, 0, tzinfo=IST)


@given(st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 12, 1), timezones=st.just(UTC)))
def test_finance_always_has_three_whole_bank_days(found: datetime) -> None:
    first, last = found.astimezone(IST).date(), decide_by(found).astimezone(IST).date()
    between = [first + timedelta(days=n) for n in range(1, (last - first).days)]
    assert sum(is_bank_day(day) for day in between) == DECIDE_WITHIN_DAYS


def test_one_name_a_difference() -> None:
    names = {
        break_id(day, kind, reference)
        for day in (date(2026, 11, 20), date(2026, 11, 21))
        for kind in BreakKind
        for reference in ("pay_1", "pay_2", "pay_1~2")
    }
    assert len(names) == 2 * len(BreakKind) * 3
    assert all(name.startswith("brk_") and name[4:].isalnum() for name in names)


@pytest.mark.parametrize(
    ("paise", "two"), [(50_000_00, False), (50_000_01, True), (-50_000_01, True), (1, False)]
)
def test_two_people_above_fifty_thousand_whoever_owes(paise: int, two: bool) -> None:
    assert needs_second(paise) is two


def test_a_decision_may_be_taken_back_by_the_report_and_never_by_anybody() -> None:
    assert moved(BREAK_NEXT, BreakStatus.AWAITING_SECOND, BreakStatus.OPEN) is BreakStatus.OPEN
    for status in (BreakStatus.OPEN, BreakStatus.AWAITING_SECOND):
        with pytest.raises(IllegalMove):
            moved(BREAK_NEXT, BreakStatus.RESOLVED, status)
