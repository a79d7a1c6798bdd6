"""The order's states, the tag, and proof of absence."""

from datetime import UTC, date, datetime, timedelta
from itertools import product

import exchange_calendars
from hypothesis import given
from hypothesis import strategies as st

from domain.market_calendar import INDIA, INDIA_2026, session_end, trading_date
from domain.trading import (
    NEXT,
    PERSON_AFTER,
    TERMINAL,
    Absence,
    BrokerStatus,
    Exchange,
    OrderStatus,
    Search,
    absence,
    may_follow,
    status_of,
    tag_of,
)
from sandbox.kite import hours

TODAY = date(2026, 11, 23)


def test_what_ended_never_moves_and_every_state_can_end() -> None:
    for status in OrderStatus:
        reachable, frontier = {status}, {status}
        while frontier:
            frontier = {then for now in frontier for then in NEXT[now]} - reachable
            reachable |= frontier
        assert (reachable == {status}) if status in TERMINAL else (reachable & TERMINAL)


@given(st.sampled_from(BrokerStatus), st.sampled_from(BrokerStatus), st.integers(0, 5), st.booleans())
def test_what_a_book_shows_later_may_follow(
    before: BrokerStatus, after: BrokerStatus, filled: int, cancel: bool
) -> None:
    """A live order goes to any end; no reading leads where the table has no step."""
    live = {BrokerStatus.ACCEPTING, BrokerStatus.TRIGGER_PENDING, BrokerStatus.OPEN}
    order = [BrokerStatus.ACCEPTING, BrokerStatus.TRIGGER_PENDING, BrokerStatus.OPEN]
    if before not in live or (after in live and order.index(after) < order.index(before)):
        return
    now = status_of(before, 0, cancel_wanted=False, day_over=False)
    then = status_of(after, filled, cancel_wanted=cancel, day_over=False)
    assert may_follow(now, then)


def test_a_day_order_that_lapsed_has_expired_and_one_taken_back_was_cancelled() -> None:
    cancelled = BrokerStatus.CANCELLED
    assert status_of(cancelled, 0, cancel_wanted=False, day_over=True) is OrderStatus.EXPIRED
    assert status_of(cancelled, 0, cancel_wanted=True, day_over=True) is OrderStatus.CANCELLED
    assert status_of(cancelled, 0, cancel_wanted=False, day_over=False) is OrderStatus.CANCELLED


@given(st.text(min_size=1), st.integers(1, 9), st.integers(1, 9))
def test_a_tag_is_what_kite_takes_and_tells_attempts_apart(order_id: str, leg: int, attempt: int) -> None:
    tag = tag_of(order_id, leg, attempt)
    assert len(tag) == 20
    assert tag.isalnum()
    assert tag.isascii()
    assert tag != tag_of(order_id, leg, attempt + 1)
    assert tag == tag_of(order_id, leg, attempt)


def test_absence_is_proven_only_by_two_late_looks_the_same_day_with_the_sender_gone() -> None:
    for looks, gone, same_day, old in product((0, 1, 2, 3), (False, True), (False, True), (False, True)):
        age = PERSON_AFTER if old else timedelta(seconds=10)
        today = TODAY if same_day else TODAY + timedelta(days=1)
        found = absence(Search(age, looks, gone, TODAY, today))
        assert (found is Absence.PROVEN) == (looks >= 2 and gone and same_day)
        if not same_day:
            assert found is Absence.ASK_A_PERSON
        elif found is not Absence.PROVEN:
            assert found is (Absence.ASK_A_PERSON if old else Absence.LOOK_AGAIN)


def test_the_calendar_agrees_with_an_independent_one() -> None:
    """`exchange_calendars` has XBOM, whose holidays NSE shares, to the end of 2026."""
    sessions = {day.date() for day in exchange_calendars.get_calendar("XBOM").sessions_in_range(
        "2026-01-01", "2026-12-31"
    )}  # fmt: skip
    day, mine = date(2026, 1, 1), set()
    while day.year == 2026:
        if INDIA_2026.is_trading_day(day):
            mine.add(day)
        day += timedelta(days=1)
    # What was added to the year by circular: XBOM's file does not have it.
    assert mine ^ sessions == set(INDIA_2026.special)


@given(
    st.datetimes(datetime(2026, 1, 2), datetime(2026, 12, 30)),
    st.sampled_from(Exchange),
    st.dates(date(2026, 1, 2), date(2026, 12, 30)),
)
def test_the_sandboxs_exchange_keeps_the_same_hours(naive: datetime, exchange: Exchange, day: date) -> None:
    moment = naive.replace(tzinfo=UTC)
    assert hours.is_open(exchange, moment) == INDIA_2026.is_open(exchange, moment)
    assert hours.is_over(exchange, day, moment) == INDIA_2026.is_over(exchange, day, moment)
    assert hours.session_expiry(moment) == session_end(moment)


def test_the_sandboxs_exchange_keeps_the_same_days() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    assert [hours.is_trading_day(day) for day in days] == [INDIA_2026.is_trading_day(day) for day in days]


def test_a_special_session_has_hours_of_its_own_and_opens_next() -> None:
    sunday = datetime(2026, 2, 1, 9, 15, tzinfo=INDIA)
    assert INDIA_2026.is_open(Exchange.NSE, sunday)
    assert INDIA_2026.next_open(Exchange.NSE, sunday - timedelta(days=1)) == sunday
    assert INDIA_2026.next_close(Exchange.NSE, sunday) == sunday.replace(hour=15, minute=30)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 20)), st.sampled_from(Exchange))
def test_the_next_opening_is_open_and_nothing_before_it_is(naive: datetime, exchange: Exchange) -> None:
    moment = naive.replace(tzinfo=UTC)
    opens = INDIA_2026.next_open(exchange, moment)
    assert opens >= moment
    assert INDIA_2026.is_open(exchange, opens)
    if opens > moment:
        assert not INDIA_2026.is_open(exchange, moment)
        assert not INDIA_2026.is_open(exchange, opens - timedelta(seconds=1))


def test_the_next_close_ends_the_day_that_is_on_or_comes() -> None:
    friday = datetime(2026, 11, 20, 15, 30, tzinfo=INDIA)
    assert INDIA_2026.next_close(Exchange.NSE, friday - timedelta(seconds=1)) == friday
    assert INDIA_2026.next_close(Exchange.NSE, friday) == friday + timedelta(days=3)


def test_a_session_dies_at_six_the_next_morning() -> None:
    late = datetime(2026, 11, 23, 23, 59, tzinfo=INDIA)
    assert session_end(late) == datetime(2026, 11, 24, 6, tzinfo=INDIA)
    assert trading_date(datetime(2026, 11, 22, 18, 31, tzinfo=UTC)) == TODAY
