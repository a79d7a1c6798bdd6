"""When a break is overdue, what it is called, and how it may move."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

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
    debit_days,
    decide_by,
    list_price,
    needs_second,
    residuals,
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


def test_two_people_decide_on_a_large_tax_too() -> None:
    assert needs_second(0, 50_000_01)
    assert not needs_second(0, -50_000_00)


@pytest.mark.parametrize(
    ("gaps", "own", "hidden", "left"),
    [
        # The payout is what its lines say, whatever is wrong with them; or what the book says.
        ({"a": 0}, {"a": 500}, [900], {}),
        ({"a": 500}, {"a": 500}, [900], {}),
        ({"a": 900}, {}, [900], {}),
        ({"a": 1400}, {"a": 500}, [900], {}),
        # Two payouts whose lines are missing, and one that is as it should be.
        ({"a": 300, "b": 600, "c": 0}, {"c": 7}, [900], {}),
        ({"a": -100}, {}, [], {"a": -100}),
        ({"a": 890}, {}, [900], {"a": -10}),
        ({"a": 1390}, {"a": 500}, [900], {"a": -10}),
        # Truly missing, and short besides: the lines are not in the payout.
        ({"a": -10}, {}, [900], {"a": -10}),
        # What one payout lacks another has: both differ from their lines.
        ({"a": 100, "b": -100}, {}, [], {"a": 100, "b": -100}),
        # Missing lines explain one payout, not two.
        ({"a": 900, "b": 900}, {}, [900], {"b": 900}),
    ],
)
def test_a_payout_leaves_what_no_line_explains(
    gaps: dict[str, int], own: dict[str, int], hidden: list[int], left: dict[str, int]
) -> None:
    assert residuals(gaps, own, hidden) == left


def test_debits_are_looked_for_when_seven_bank_days_have_passed() -> None:
    # The 24th is a holiday, the 22nd and 29th are Sundays, the 28th is a fourth Saturday.
    _, last = debit_days(date(2026, 12, 1), None)
    assert last == date(2026, 11, 20)
    assert debit_days(date(1999, 1, 1), None)[1] < date(1999, 1, 1)
    # Each is looked for on one day, whatever days were left out.
    days = [date(2026, 11, 20) + timedelta(days=n) for n in (0, 1, 2, 5, 6, 12)]
    spans = [debit_days(day, compared) for compared, day in pairwise(days)]
    assert all(following[0] == span[1] + timedelta(days=1) for span, following in pairwise(spans))
    assert list_price(date(1999, 1, 1)) == list_price(date(2026, 1, 1)) == 200
