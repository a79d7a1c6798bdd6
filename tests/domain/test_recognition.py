"""Whatever happens to what was sold, its price is earned and given back to the paisa."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recognition import Change, Segment, progressed, refunded, stopped

START = date(2026, 1, 31)


def _day(number: int) -> date:
    return START + timedelta(days=number)


@dataclass
class Sold:
    """The segments of one payment as the store keeps them, and what the book got of them."""

    net: int
    days: int
    segments: list[Segment] = field(default_factory=list)
    booked: int = 0
    returned_deferred: int = 0

    def __post_init__(self) -> None:
        self.segments = [Segment(1, self.net, START, _day(self.days))]

    def apply(self, change: Change) -> None:
        for segment in change.changed:
            self.segments[segment.number - 1] = segment
        if change.added is not None:
            assert change.added.number == len(self.segments) + 1
            self.segments.append(change.added)

    def run(self, day: date) -> int:
        due = 0
        for index, segment in enumerate(self.segments):
            if segment.posted_through is None or segment.posted_through < day:
                due += max(segment.earned(day) - segment.recognised, 0)
                self.segments[index] = replace(segment, posted_through=day)
        self.booked += due
        return due

    def rest(self) -> int:
        return sum(segment.rest for segment in self.segments)


@given(st.integers(0, 10**9), st.integers(0, 800))
def test_each_day_earns_its_share_and_the_last_one_brings_the_sum(net: int, days: int) -> None:
    sold = Sold(net, days)
    shares = [sold.run(_day(number)) for number in range(max(days, 1))]
    assert sum(shares) == net
    assert max(shares) - min(shares) <= 1
    assert sold.run(_day(days + 5)) == 0


OPS = st.one_of(
    st.tuples(st.just("run"), st.integers(0, 6)),
    st.tuples(st.just("refund"), st.integers(1, 10**6)),
    st.tuples(st.just("progress"), st.integers(0, 100)),
    st.tuples(st.just("stop"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 40)),
)


@given(st.integers(0, 10**6), st.integers(0, 366), st.lists(OPS, max_size=25))
def test_nothing_is_lost_or_earned_twice_whatever_happens_in_which_order(
    net: int, days: int, events: list[tuple[str, int]]
) -> None:
    sold, today, given_back, deferred_back = Sold(net, days), 0, 0, 0
    for what, number in events:
        before = sold.booked
        match what:
            case "wait":
                today += number
            case "run":  # late by some days, or ahead of today
                sold.run(_day(today + number - 4))
            case "refund":
                amount = min(number, net - given_back)
                deferred, change = refunded(sold.segments, amount, _day(today))
                assert 0 <= deferred <= amount
                assert deferred == min(amount, sold.rest())
                sold.apply(change)
                given_back, deferred_back = given_back + amount, deferred_back + deferred
            case "progress":
                sold.apply(progressed(sold.segments, number, _day(today)))
            case "stop":
                sold.apply(stopped(sold.segments, _day(today)))
                sold.apply(stopped(sold.segments, _day(today)))
        assert sold.booked >= before
        assert sold.booked + sold.rest() + deferred_back == net
        assert all(segment.rest >= 0 for segment in sold.segments)
    sold.run(_day(max(today, days) + 400))
    assert sold.rest() == 0
    assert sold.booked - (given_back - deferred_back) == net - given_back


def test_a_refund_takes_what_is_not_recognised_first_and_reverses_the_rest() -> None:
    sold = Sold(300, 30)
    for number in range(20):
        sold.run(_day(number))
    deferred, change = refunded(sold.segments, 250, _day(20))
    sold.apply(change)
    assert (deferred, sold.booked, sold.rest()) == (100, 200, 0)


def test_a_partial_refund_leaves_less_to_be_earned_over_the_days_that_are_left() -> None:
    sold = Sold(300, 30)
    sold.run(_day(9))
    _, change = refunded(sold.segments, 40, _day(10))
    sold.apply(change)
    assert [sold.run(_day(number)) for number in range(10, 30)] == [8] * 20


def test_a_period_that_is_cut_short_is_earned_at_once() -> None:
    sold = Sold(300, 30)
    sold.run(_day(9))
    sold.apply(stopped(sold.segments, _day(10)))
    assert sold.run(_day(10)) == 200


def test_a_period_that_is_stopped_before_its_refund_gives_back_what_is_not_recognised() -> None:
    sold = Sold(300, 30)
    sold.run(_day(9))
    sold.apply(stopped(sold.segments, _day(10)))
    deferred, change = refunded(sold.segments, 190, _day(10))
    sold.apply(change)
    assert (deferred, sold.run(_day(10))) == (190, 10)


@pytest.mark.parametrize(("percent", "earned"), [(0, 10), (50, 500), (100, 1000)])
def test_a_course_is_earned_by_progress_where_that_is_ahead_of_time(percent: int, earned: int) -> None:
    sold = Sold(1000, 100)
    sold.apply(progressed(sold.segments, percent, _day(0)))
    first = sold.run(_day(0))
    assert earned <= first <= earned + 10
    assert first + sold.run(_day(99)) == 1000


def test_progress_behind_time_changes_nothing() -> None:
    sold = Sold(1000, 100)
    assert progressed(sold.segments, 40, _day(50)) == Change()


def test_progress_earns_its_share_of_what_was_not_given_back() -> None:
    sold = Sold(1000, 100)
    deferred, change = refunded(sold.segments, 500, _day(0))
    sold.apply(change)
    assert deferred == 500
    sold.apply(progressed(sold.segments, 60, _day(0)))
    assert 300 <= sold.run(_day(0)) <= 310


def test_what_a_run_has_covered_already_is_not_changed_afterwards() -> None:
    sold = Sold(300, 30)
    sold.run(_day(14))
    sold.apply(stopped(sold.segments, _day(5)))
    assert (sold.booked, sold.run(_day(14)), sold.run(_day(15))) == (150, 0, 150)
