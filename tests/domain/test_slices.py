"""Slices add up, none is above the freeze quantity, and together they never say more than happened."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.slices import ENDED, LEG_NEXT, Leg, LegStatus, cut, together
from domain.trading import TERMINAL, OrderStatus

L, S = LegStatus, OrderStatus


@given(
    lots=st.integers(1, 500), lot=st.integers(1, 100), freeze_lots=st.integers(1, 50), odd=st.integers(0, 99)
)
def test_slices_add_up_and_keep_to_the_limit(lots: int, lot: int, freeze_lots: int, odd: int) -> None:
    freeze = freeze_lots * lot + odd % lot
    slices = cut(lots * lot, freeze, lot)
    assert sum(slices) == lots * lot
    assert all(0 < quantity <= freeze and quantity % lot == 0 for quantity in slices)
    assert len(set(slices[:-1])) <= 1


def test_without_a_limit_nothing_is_cut() -> None:
    assert cut(10**6, None, 65) == (10**6,)
    assert cut(1755, 1800, 65) == (1755,)
    assert cut(3900, 1800, 65) == (1755, 1755, 390)


def test_a_limit_below_one_lot_is_no_limit_to_trade_within() -> None:
    with pytest.raises(ValueError, match="below one lot"):
        cut(130, 60, 65)


def legs(*given: tuple[LegStatus, int]) -> list[Leg]:
    return [Leg(n, 10, status, filled, Decimal(100 + n)) for n, (status, filled) in enumerate(given, 1)]


@pytest.mark.parametrize(
    ("given", "cancel", "day_over", "status", "filled"),
    [
        ([(L.OPEN, 0), (L.WAITING, 0)], False, False, S.SUBMITTING, 0),
        ([(L.OPEN, 0), (L.OPEN, 0)], False, False, S.OPEN, 0),
        ([(L.TRIGGER_PENDING, 0), (L.TRIGGER_PENDING, 0)], False, False, S.TRIGGER_PENDING, 0),
        ([(L.COMPLETE, 10), (L.OPEN, 0)], False, False, S.PARTIALLY_FILLED, 10),
        ([(L.COMPLETE, 10), (L.WAITING, 0)], False, False, S.PARTIALLY_FILLED, 10),
        ([(L.COMPLETE, 10), (L.OPEN, 4)], True, False, S.CANCEL_PENDING, 14),
        ([(L.OPEN, 0), (L.WAITING, 0)], True, False, S.CANCEL_PENDING, 0),
        ([(L.COMPLETE, 10), (L.COMPLETE, 10)], True, False, S.FILLED, 20),
        ([(L.COMPLETE, 10), (L.CANCELLED, 3)], True, False, S.CANCELLED, 13),
        ([(L.COMPLETE, 10), (L.CANCELLED, 3)], False, True, S.EXPIRED, 13),
        ([(L.COMPLETE, 10), (L.REFUSED, 0)], False, True, S.CANCELLED, 10),
        ([(L.COMPLETE, 10), (L.REJECTED, 0), (L.DROPPED, 0)], False, False, S.CANCELLED, 10),
        ([(L.REJECTED, 0), (L.DROPPED, 0)], False, False, S.REJECTED, 0),
    ],
)
def test_together_they_are_one_order(
    given: list[tuple[LegStatus, int]], cancel: bool, day_over: bool, status: OrderStatus, filled: int
) -> None:
    whole = together(legs(*given), cancel_wanted=cancel, day_over=day_over)
    assert (whole.status, whole.filled) == (status, filled)


def test_the_average_is_weighed_by_what_was_filled() -> None:
    whole = together(legs((L.COMPLETE, 10), (L.CANCELLED, 5)), cancel_wanted=True, day_over=False)
    assert whole.average == Decimal("101.3333")


@given(st.lists(st.sampled_from([*L]), min_size=2, max_size=10), st.booleans(), st.booleans())
def test_it_is_over_only_when_every_slice_is(statuses: list[LegStatus], cancel: bool, day_over: bool) -> None:
    made = legs(*((status, 10 if status is L.COMPLETE else 0) for status in statuses))
    whole = together(made, cancel_wanted=cancel, day_over=day_over)
    assert (whole.status in TERMINAL) == all(status in ENDED for status in statuses)
    assert (whole.status is S.FILLED) == all(status is L.COMPLETE for status in statuses)


def test_what_ended_never_moves() -> None:
    assert all(LEG_NEXT[status] == frozenset() for status in ENDED)
