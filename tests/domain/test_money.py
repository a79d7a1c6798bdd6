"""Rounding and writing of amounts."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import half_up, in_words, rupees

AMOUNTS = st.integers(min_value=0, max_value=10**13)


@given(AMOUNTS, st.integers(min_value=1, max_value=10**6))
def test_half_up_is_the_nearest_integer_and_ties_go_up(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    assert -Fraction(1, 2) < half_up(numerator, denominator) - exact <= Fraction(1, 2)


def test_half_up_refuses_what_it_cannot_round() -> None:
    with pytest.raises(ValueError, match="half_up"):
        half_up(-1, 2)
    with pytest.raises(ValueError, match="half_up"):
        half_up(1, 0)


@given(AMOUNTS)
def test_rupees_reads_back(paise: int) -> None:
    assert int(rupees(paise).replace(",", "").replace(".", "")) == paise


@pytest.mark.parametrize(
    ("paise", "text"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (99_999, "999.99"),
        (1_00_000_00, "1,00,000.00"),
        (12_34_56_789_01, "12,34,56,789.01"),
        (-1_000_50, "-1,000.50"),
    ],
)
def test_rupees_groups_as_india_does(paise: int, text: str) -> None:
    assert rupees(paise) == text


@pytest.mark.parametrize(
    ("paise", "words"),
    [
        (0, "Rupees Zero Only"),
        (1_999_00, "Rupees One Thousand Nine Hundred Ninety Nine Only"),
        (1_00_000_05, "Rupees One Lakh and Paise Five Only"),
        (
            2_34_05_610_20,
            "Rupees Two Crore Thirty Four Lakh Five Thousand Six Hundred Ten and Paise Twenty Only",
        ),
    ],
)
def test_an_amount_in_words(paise: int, words: str) -> None:
    assert in_words(paise) == words
