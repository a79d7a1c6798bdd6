"""Monitoring: each flag above its figure and not at it, its effect by tier, the pattern's score."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kyc import Tier
from domain.monitoring import (
    ADVANCED_EFFECTS,
    CODES,
    EFFECTS,
    Effect,
    Facts,
    Flag,
    Turnover,
    assess,
    deviation,
    figures_of,
    needs_second_factor,
)

DAY = date(2026, 11, 23)
QUIET = Facts(amount=1_999_00, on=DAY, tier=Tier.BASIC, turnover=Turnover(day=0, month=0))
FIGURES = figures_of(DAY)


def spent(day: int, month: int | None = None) -> Turnover:
    return Turnover(day=day, month=day if month is None else month)


@pytest.mark.parametrize(
    ("at", "above", "flags"),
    [
        ({"amount": 50_000_00, "tier": Tier.INTERMEDIATE}, {"amount": 50_000_01}, {Flag.HIGH_VALUE}),
        ({"amount": 50_000_00}, {"amount": 50_000_01}, {Flag.HIGH_VALUE, Flag.SINGLE_LIMIT}),
        ({"turnover": spent(1_98_001_00)}, {"turnover": spent(1_98_001_01)}, {Flag.DAILY_LIMIT}),
        ({"turnover": spent(0, 9_98_001_00)}, {"turnover": spent(0, 9_98_001_01)}, {Flag.MONTHLY_LIMIT}),
        ({"in_the_hour": 9}, {"in_the_hour": 10}, {Flag.VELOCITY}),
        ({"location_risk": 70}, {"location_risk": 71}, {Flag.LOCATION}),
        ({"fraud_score": 80}, {"fraud_score": 81}, {Flag.FRAUD}),
        ({"history": [1_999_00] * 5}, {"history": [600_00] * 5}, {Flag.UNUSUAL}),
    ],
)
def test_a_flag_is_raised_above_its_figure_and_not_at_it(
    at: dict[str, object], above: dict[str, object], flags: set[Flag]
) -> None:
    quiet = replace(QUIET, **at)  # type: ignore[arg-type]
    assert assess(quiet).findings == ()
    seen = assess(replace(quiet, **above))  # type: ignore[arg-type]
    assert {each.flag for each in seen.findings} == flags
    assert all(each.measured > each.allowed and each.effect is EFFECTS[each.flag] for each in seen.findings)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (QUIET, None),
        (replace(QUIET, tier=None), "kyc_tier_required"),
        (replace(QUIET, amount=50_000_01), "kyc_tier_required"),
        (replace(QUIET, turnover=spent(1_99_000_00)), "limit_exceeded"),
        (replace(QUIET, turnover=spent(0, 9_99_000_00)), "limit_exceeded"),
        (replace(QUIET, fraud_score=81), "payment_declined"),
        (replace(QUIET, fraud_score=81, turnover=spent(1_99_000_00)), "limit_exceeded"),
        (replace(QUIET, location_risk=100, in_the_hour=30), None),
        (replace(QUIET, tier=Tier.INTERMEDIATE, amount=5_00_000_01), "kyc_tier_required"),
        (replace(QUIET, tier=Tier.ADVANCED, amount=8_00_000_00, turnover=spent(10**11)), None),
        (replace(QUIET, tier=Tier.ADVANCED, fraud_score=100), "payment_declined"),
    ],
)
def test_a_customer_is_told_a_neutral_code(facts: Facts, code: str | None) -> None:
    assert assess(facts).code == code


def test_the_advanced_tier_is_reviewed_and_never_blocked_by_a_limit() -> None:
    for turnover in (spent(5_00_000_00), spent(0, 10_00_000_00)):
        seen = assess(replace(QUIET, tier=Tier.ADVANCED, turnover=turnover))
        assert [each.effect for each in seen.findings] == [Effect.REVIEW]
        assert (seen.code, seen.reviewed()) == (None, True)
    course = assess(replace(QUIET, tier=Tier.ADVANCED, amount=8_00_000_00))
    assert {each.flag for each in course.findings} == {Flag.HIGH_VALUE, Flag.DAILY_LIMIT}


def test_above_two_lakh_a_payment_without_a_video_call_behind_it_is_reviewed() -> None:
    """Only the advanced tier has had its call: the intermediate one keeps its limit of five lakh."""
    for tier, amount, effect, allowed in (
        (Tier.INTERMEDIATE, 2_00_000_00, Effect.FLAG, 50_000_00),
        (Tier.INTERMEDIATE, 2_00_000_01, Effect.REVIEW, 2_00_000_00),
        (Tier.INTERMEDIATE, 5_00_000_00, Effect.REVIEW, 2_00_000_00),
        (Tier.ADVANCED, 2_00_000_01, Effect.FLAG, 50_000_00),
    ):
        seen = assess(replace(QUIET, tier=tier, amount=amount))
        [found] = seen.findings
        assert (found.flag, found.effect, found.allowed) == (Flag.HIGH_VALUE, effect, Decimal(allowed))
        assert (seen.code, seen.reviewed()) == (None, effect is Effect.REVIEW)
    basic = assess(replace(QUIET, amount=2_00_000_01, turnover=spent(0)))
    assert basic.code == "kyc_tier_required"


def test_more_than_one_flag_is_a_review_also_where_one_came_earlier() -> None:
    one = assess(replace(QUIET, location_risk=90))
    assert not one.reviewed()
    assert not one.reviewed(["LOCATION_RISK"])
    assert one.reviewed(["VELOCITY_EXCEEDED"])
    assert assess(replace(QUIET, location_risk=90, in_the_hour=10)).reviewed()
    assert not assess(QUIET).reviewed(["HIGH_VALUE_TRANSACTION"])


def test_each_flag_has_its_effect_and_each_block_its_code() -> None:
    assert set(EFFECTS) == set(Flag)
    assert {flag for flag, effect in EFFECTS.items() if effect is Effect.BLOCK} == set(CODES)
    assert Effect.BLOCK not in ADVANCED_EFFECTS.values()


@given(st.lists(st.integers(100, 10**9), min_size=5, max_size=30), st.integers(100, 10**9))
def test_the_score_grows_with_the_amount_and_knows_no_order(history: list[int], amount: int) -> None:
    score = deviation(amount, history, FIGURES)
    assert score is not None
    assert score == deviation(amount, history[::-1], FIGURES)
    assert score <= (deviation(amount + 100, history, FIGURES) or Decimal(0))


def test_a_pattern_needs_a_history_and_survives_one_large_payment() -> None:
    assert deviation(10**9, [1_999_00] * 4, FIGURES) is None
    usual = [1_900_00, 1_950_00, 1_999_00, 2_050_00, 2_100_00, 80_000_00]
    assert (deviation(2_200_00, usual, FIGURES) or 0) < 1
    assert (deviation(20_000_00, usual, FIGURES) or 0) > 5
    assert deviation(1_999_00, [1_999_00] * 6, FIGURES) == 0


def test_a_second_factor_is_due_above_fifty_thousand_and_no_figure_is_older_than_the_first() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert [needs_second_factor(amount, now) for amount in (50_000_00, 50_000_01)] == [False, True]
    with pytest.raises(ValueError, match="no figures"):
        figures_of(date(2025, 12, 31))
