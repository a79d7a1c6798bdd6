"""The rules of signals: prices that make sense, states that never go back, returns that leave nothing out."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.signals import (
    CLOSED,
    MOVES,
    Action,
    Levels,
    Status,
    allowance_day,
    allowance_renews,
    counted_return,
    expiry_flaw,
    kept_until,
    price_flaws,
    reached,
    refusal_to_publish,
    risk_reward,
    true_return,
)

prices = st.decimals(min_value="0.05", max_value="100000", places=2)
NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


@given(prices, prices, prices, st.sampled_from([Action.BUY, Action.SELL]))
def test_prices_are_sane_exactly_when_they_stand_in_order(
    entry: Decimal, target: Decimal, stop: Decimal, action: Action
) -> None:
    in_order = stop < entry < target if action is Action.BUY else target < entry < stop
    assert (not price_flaws(Levels(action, entry, target, stop))) is in_order


@pytest.mark.parametrize("action", [Action.HOLD, Action.EXIT])
def test_to_hold_or_to_exit_needs_no_levels(action: Action) -> None:
    assert price_flaws(Levels(action, Decimal(100), None, None)) == []


@given(prices, prices, prices, prices)
def test_a_buy_and_a_sell_mirror_each_other(
    entry: Decimal, target: Decimal, stop: Decimal, price: Decimal
) -> None:
    up, down = Levels(Action.BUY, entry, target, stop), Levels(Action.SELL, entry, stop, target)
    if price_flaws(up):
        return
    seen = reached(up, price)
    assert seen == (Status.TARGET if price >= target else Status.STOP if price <= stop else None)
    mirrored = reached(down, price)
    assert mirrored == (Status.STOP if price >= target else Status.TARGET if price <= stop else None)


@given(prices, prices)
def test_the_true_return_of_both_sides_cancels_out(entry: Decimal, left: Decimal) -> None:
    bought, sold = (true_return(action, entry, left) for action in (Action.BUY, Action.SELL))
    assert bought is not None
    assert sold is not None
    assert bought + sold == 0
    assert (bought > 0) == (left > entry) or abs(bought) < Decimal("0.0001")


def test_what_was_not_seen_has_no_return() -> None:
    assert true_return(Action.BUY, None, Decimal(5)) is None
    assert true_return(Action.BUY, Decimal(5), None) is None
    assert true_return(Action.HOLD, Decimal(5), Decimal(6)) is None


def test_states_never_go_back() -> None:
    order = [Status.DRAFT, Status.PUBLISHED, Status.LIVE]
    for status, later in MOVES.items():
        assert status not in later
        assert not any(order.index(each) < order.index(status) for each in later if each in order)
    assert all(not MOVES[status] for status in CLOSED)
    assert set(MOVES) == set(Status)


@pytest.mark.parametrize(
    ("status", "confidence", "expires", "rationale", "disclosure", "code"),
    [
        (Status.DRAFT, 76, 1, True, True, None),
        (Status.DRAFT, 75, 1, True, True, "confidence_too_low"),
        (Status.DRAFT, 90, 0, True, True, "signal_expired"),
        (Status.DRAFT, 90, 1, False, True, "rationale_required"),
        (Status.DRAFT, 90, 1, True, False, "disclosure_required"),
        (Status.PUBLISHED, 90, 1, True, True, "not_a_draft"),
        (Status.WITHDRAWN, 90, 1, True, True, "not_a_draft"),
    ],
)
def test_who_may_be_published(
    status: Status, confidence: int, expires: int, rationale: bool, disclosure: bool, code: str | None
) -> None:
    at = NOW + timedelta(hours=expires)
    assert refusal_to_publish(status, confidence, at, NOW, rationale=rationale, disclosure=disclosure) == code


def test_a_signal_is_not_published_after_the_move() -> None:
    words = {"rationale": True, "disclosure": True}
    ahead = NOW + timedelta(hours=1)
    assert refusal_to_publish(Status.DRAFT, 90, ahead, NOW, **words, passed=True) == "level_passed"
    assert refusal_to_publish(Status.DRAFT, 90, ahead, NOW, **words, passed=False) is None


@given(prices, prices, prices)
def test_every_published_signal_counts(entry: Decimal, left: Decimal, stop: Decimal) -> None:
    assert counted_return(Action.BUY, None, None, stop) == 0, "nobody could have entered"
    assert counted_return(Action.BUY, entry, left, stop) == true_return(Action.BUY, entry, left)
    assert counted_return(Action.SELL, entry, None, stop) == true_return(Action.SELL, entry, stop)
    assert counted_return(Action.HOLD, entry, left, stop) is None


def test_risk_and_reward() -> None:
    assert risk_reward(Levels(Action.BUY, Decimal(100), Decimal(106), Decimal(98))) == Decimal("3.00")
    assert risk_reward(Levels(Action.HOLD, Decimal(100), None, None)) is None


def test_an_end_lies_ahead() -> None:
    assert expiry_flaw(NOW + timedelta(days=1), NOW) is None
    for end in (NOW, NOW - timedelta(days=1), NOW + timedelta(days=4000)):
        assert expiry_flaw(end, NOW) is not None


def test_kept_for_five_whole_years() -> None:
    assert kept_until(datetime(2028, 2, 29, 9, 0, tzinfo=UTC)) == datetime(2033, 3, 1, 9, 0, tzinfo=UTC)
    assert kept_until(NOW) == datetime(2031, 11, 23, 5, 0, tzinfo=UTC)


def test_an_allowance_renews_at_midnight_in_india() -> None:
    before, after = datetime(2026, 11, 23, 18, 29, tzinfo=UTC), datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
    assert allowance_day(before) < allowance_day(after)
    assert allowance_renews(before) == after
