"""What the returns take from dated law."""

from datetime import date

import pytest

from domain.gst_returns import large_from


@pytest.mark.parametrize(
    ("day", "limit"),
    [
        (date.min, 2_50_000_00),
        (date(2017, 6, 30), 2_50_000_00),
        (date(2024, 7, 31), 2_50_000_00),
        (date(2024, 8, 1), 1_00_000_00),
        (date.max, 1_00_000_00),
    ],
)
def test_a_large_invoice_is_one_above_the_limit_of_its_day(day: date, limit: int) -> None:
    assert large_from(day) == limit
