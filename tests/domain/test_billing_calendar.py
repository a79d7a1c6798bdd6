"""Periods true to the Indian calendar, notices early enough, retries no sooner than the law lets them."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import billing_calendar as calendar
from domain.billing_calendar import IST, Cycle
from domain.reconciliation import capture_days

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2034, 12, 31), timezones=st.just(UTC))
CYCLES = st.sampled_from(list(Cycle))
METHODS = st.sampled_from(["card", "upi", "emandate"])
DAYS = st.dates(date(2025, 1, 1), date(2032, 12, 31))


def indian(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


@pytest.mark.parametrize(
    ("anchor", "cycle", "number", "expected"),
    [
        ("2027-01-31T10:00", Cycle.MONTHLY, 1, "2027-02-28T10:00"),
        ("2027-01-31T10:00", Cycle.MONTHLY, 2, "2027-03-31T10:00"),
        ("2028-01-31T10:00", Cycle.MONTHLY, 1, "2028-02-29T10:00"),
        ("2028-02-29T10:00", Cycle.YEARLY, 1, "2029-02-28T10:00"),
        ("2028-02-29T10:00", Cycle.YEARLY, 4, "2032-02-29T10:00"),
        ("2027-11-30T10:00", Cycle.QUARTERLY, 1, "2028-02-29T10:00"),
        # Half past midnight in India is still the day before in UTC.
        ("2027-01-31T00:30", Cycle.MONTHLY, 1, "2027-02-28T00:30"),
        ("2027-12-31T23:59", Cycle.MONTHLY, 2, "2028-02-29T23:59"),
    ],
)
def test_boundaries_fall_on_the_day_that_the_calendar_has(
    anchor: str, cycle: Cycle, number: int, expected: str
) -> None:
    assert calendar.boundary(indian(anchor), cycle, number) == indian(expected)


@given(MOMENTS, CYCLES, st.integers(0, 60))
def test_periods_follow_each_other_without_gap_and_keep_day_and_clock(
    anchor: datetime, cycle: Cycle, number: int
) -> None:
    start, end = (calendar.boundary(anchor, cycle, n).astimezone(IST) for n in (number, number + 1))
    began = anchor.astimezone(IST)
    assert start < end
    assert start.time() == end.time() == began.time()
    months = (end.year - start.year) * 12 + end.month - start.month
    assert months == cycle.months
    assert end.day == min(began.day, monthrange(end.year, end.month)[1])
    assert calendar.boundary(anchor, cycle, 0) == anchor


@given(MOMENTS, MOMENTS, METHODS)
def test_no_debit_is_due_within_a_day_of_its_notice(
    planned: datetime, noticed_at: datetime, method: str
) -> None:
    due = calendar.due_after(planned, noticed_at, method)
    assert due >= planned
    assert due - noticed_at > calendar.NOTICE_LEAD[method] >= timedelta(hours=24)


@given(MOMENTS, METHODS, st.lists(st.integers(0, 7200), min_size=4, max_size=4))
def test_retries_come_at_t_plus_n_or_a_fresh_lead_later_and_then_stop(
    first_due: datetime, method: str, delays: list[int]
) -> None:
    due: datetime | None = first_due
    for attempts, delay in enumerate(delays, start=1):
        assert due is not None
        failed_at = due + timedelta(seconds=delay)
        following = calendar.retry_due(first_due, attempts, failed_at, method)
        if attempts == calendar.DEBIT_ATTEMPTS:
            assert following is None
            break
        assert following is not None
        assert following >= first_due + timedelta(days=attempts)
        assert following - failed_at >= calendar.NOTICE_LEAD[method]
        due = following
        # Whoever pays at the last attempt has had access until then.
        assert due < first_due + calendar.ACCESS_GRACE


@given(MOMENTS, st.integers(0, 400), CYCLES)
def test_no_upi_debit_falls_on_the_last_day_of_its_cycle(
    mandate_from: datetime, days: int, cycle: Cycle
) -> None:
    due = mandate_from + timedelta(days=days)
    moved = calendar.off_last_day(due, mandate_from, cycle)
    assert moved - due in (timedelta(), timedelta(days=1))
    starts = {calendar.ist_date(calendar.boundary(mandate_from, cycle, n)) for n in range(450)}
    assert calendar.ist_date(moved) + timedelta(days=1) not in starts


@pytest.mark.parametrize(
    ("amount", "method", "asked"),
    [
        (15_000_00, "card", False),
        (15_000_01, "card", True),
        (15_000_01, "upi", True),
        (15_000_01, "wallet", True),
        # Not under RBI's framework of cards, prepaid instruments and UPI.
        (1_00_000_00, "emandate", False),
    ],
)
def test_above_the_limit_the_customer_is_asked_by_the_methods_of_the_framework(
    amount: int, method: str, asked: bool
) -> None:
    assert calendar.needs_approval(amount, method) is asked


@given(MOMENTS, st.frozensets(DAYS, max_size=5))
def test_bank_mandates_move_to_the_next_day_on_which_banks_work(
    due: datetime, holidays: frozenset[date]
) -> None:
    moved = calendar.on_bank_day(due, holidays)
    assert calendar.is_bank_day(calendar.ist_date(moved), holidays)
    between = [
        calendar.ist_date(due) + timedelta(days=n)
        for n in range((calendar.ist_date(moved) - calendar.ist_date(due)).days)
    ]
    assert not any(calendar.is_bank_day(day, holidays) for day in between)
    assert moved.astimezone(IST).time() == due.astimezone(IST).time()


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-11-23", True),
        ("2026-11-22", False),
        ("2026-11-14", False),
        ("2026-11-28", False),
        ("2026-11-07", True),
        ("2027-01-26", False),
    ],
)
def test_banks_rest_on_sundays_second_and_fourth_saturdays_and_national_days(day: str, works: bool) -> None:
    assert calendar.is_bank_day(date.fromisoformat(day)) is works


@given(st.dates(date(2026, 1, 1), date(2029, 12, 1)), st.integers(1, 3))
def test_every_day_of_capture_is_settled_on_exactly_one_day(captured: date, lag: int) -> None:
    settled_on = [
        day
        for n in range(20)
        if capture_days(day := captured + timedelta(days=n), lag)[0] <= captured <= capture_days(day, lag)[1]
    ]
    assert len(settled_on) == 1
    assert calendar.is_bank_day(settled_on[0])
    assert settled_on[0] > captured
