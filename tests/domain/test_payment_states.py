"""States only go forward; limits and grants; signatures."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.payments import NEXT, OPEN, PaymentStatus, may_follow, signed
from domain.refunds import Authority, approvals_due, subscription_grant

AMOUNTS = st.integers(min_value=100, max_value=10**10)


@given(st.sampled_from(list(PaymentStatus)), st.lists(st.sampled_from(list(PaymentStatus)), max_size=30))
def test_money_once_taken_is_never_untaken(start: PaymentStatus, news: list[PaymentStatus]) -> None:
    state, was_captured = start, start is PaymentStatus.CAPTURED
    for heard in news:
        state = heard if may_follow(state, heard) else state
        was_captured = was_captured or state is PaymentStatus.CAPTURED
        if was_captured:
            assert state not in OPEN
    assert not OPEN & NEXT[PaymentStatus.REFUNDED]


def test_a_failed_payment_may_still_be_authorized_and_an_expired_one_may_not() -> None:
    assert may_follow(PaymentStatus.FAILED, PaymentStatus.AUTHORIZED)
    assert NEXT[PaymentStatus.EXPIRED] == {PaymentStatus.REFUND_PENDING}


def test_what_is_in_review_or_blocked_is_held_or_given_back() -> None:
    assert not may_follow(PaymentStatus.BLOCKED, PaymentStatus.AUTHORIZED)
    assert not OPEN & NEXT[PaymentStatus.BLOCKED]
    assert all(
        PaymentStatus.REVIEW not in NEXT[after] for after in set(PaymentStatus) - {PaymentStatus.AUTHORIZED}
    )


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
    # The day on which it is cancelled counts as used.
    assert (granted == amount) if days < 0 else (granted < amount)
    assert (granted == 0) == (days >= 365) or granted < 1000
    assert subscription_grant(amount, amount, start, start, end, "active", now) == 0
    last_year = start - timedelta(days=365)
    assert subscription_grant(amount, amount, last_year, start, end, "cancelled", now) == 0


def test_who_has_to_agree() -> None:
    small, large = 50_000_00, 50_000_01
    assert [approvals_due(who, small) for who in Authority] == [0, 1, 0, 0]
    assert [approvals_due(who, large) for who in Authority] == [2, 2, 1, 0]
