"""States only go forward; limits and grants; signatures."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payments import (
    OPEN,
    PaymentStatus,
    Turnover,
    may_follow,
    refusal,
    signed,
)
from domain.refunds import Authority, approvals_due, subscription_grant

AMOUNTS = st.integers(min_value=100, max_value=10**10)


@dataclass
class Tier:
    single: int | None
    daily: int | None
    monthly: int | None


BASIC = Tier(50_000_00, 2_00_000_00, 10_00_000_00)


@given(st.sampled_from(list(PaymentStatus)), st.lists(st.sampled_from(list(PaymentStatus)), max_size=30))
def test_money_once_taken_is_never_untaken(start: PaymentStatus, news: list[PaymentStatus]) -> None:
    state, was_captured = start, start is PaymentStatus.CAPTURED
    for heard in news:
        state = heard if may_follow(state, heard) else state
        was_captured = was_captured or state is PaymentStatus.CAPTURED
        if was_captured:
            assert state not in OPEN
    assert not may_follow(PaymentStatus.REFUNDED, state)


def test_a_failed_payment_may_still_be_authorized_and_an_expired_one_may_not() -> None:
    assert may_follow(PaymentStatus.FAILED, PaymentStatus.AUTHORIZED)
    assert not any(may_follow(PaymentStatus.EXPIRED, after) for after in PaymentStatus)


@pytest.mark.parametrize(
    ("amount", "limits", "day", "month", "code"),
    [
        (50_000_00, BASIC, 0, 0, None),
        (50_000_01, BASIC, 0, 0, "kyc_tier_required"),
        (1_00, None, 0, 0, "kyc_tier_required"),
        (50_000_00, BASIC, 1_50_000_00, 1_50_000_00, None),
        (50_000_00, BASIC, 1_50_000_01, 1_50_000_01, "limit_exceeded"),
        (50_000_00, BASIC, 0, 9_50_000_01, "limit_exceeded"),
        (8_00_000_00, Tier(None, None, None), 10**12, 10**12, None),
    ],
)
def test_limits(amount: int, limits: Tier | None, day: int, month: int, code: str | None) -> None:
    assert refusal(amount, limits, Turnover(day=day, month=month)) == code


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_current_and_previous_secret_both_sign(message: bytes, current: str, previous: str) -> None:
    for secret in (current, previous):
        good = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        assert signed(message, good, [current, previous])
        assert not signed(message + b"x", good, [current, previous])
        assert not signed(message, good, [])
        assert not signed(message, good[:-1], [current, previous])
    assert not signed(message, "ü", [current])


@given(AMOUNTS, st.integers(min_value=-5, max_value=400))
def test_the_unexpired_part_is_within_the_payment(amount: int, days: int) -> None:
    start = datetime(2026, 11, 23, tzinfo=UTC)
    end = start + timedelta(days=365)
    now = start + timedelta(days=days)
    granted = subscription_grant(amount, amount, start, start, end, "cancelled", now)
    assert 0 <= granted <= amount
    assert (granted == amount) if days <= 0 else (granted < amount)
    assert (granted == 0) == (days >= 365) or granted < 1000
    assert subscription_grant(amount, amount, start, start, end, "active", now) == 0
    last_year = start - timedelta(days=365)
    assert subscription_grant(amount, amount, last_year, start, end, "cancelled", now) == 0


def test_who_has_to_agree() -> None:
    small, large = 50_000_00, 50_000_01
    assert [approvals_due(who, small) for who in Authority] == [0, 1, 0, 0]
    assert [approvals_due(who, large) for who in Authority] == [2, 2, 1, 0]
