"""Legs of a trigger: the lower level first, limits on the tick, the stop's beyond the stop."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.exits import EXIT_NEXT, EXIT_OVER, ExitStatus, between, legs, look_pause
from domain.trading import Side

prices = st.integers(1_000, 10_000_000).map(lambda paise: Decimal(paise) / 100)


def test_a_long_position_is_sold_at_its_target_or_below_its_stop() -> None:
    low, high = legs(Side.SELL, Decimal(1600), Decimal(1450), Decimal("0.10"))
    assert (low.trigger, low.price) == (Decimal(1450), Decimal("1435.50"))
    assert (high.trigger, high.price) == (Decimal(1600), Decimal(1600))


def test_a_short_one_is_bought_back_the_other_way_round() -> None:
    low, high = legs(Side.BUY, Decimal(1400), Decimal(1550), Decimal("0.10"))
    assert (low.trigger, low.price) == (Decimal(1400), Decimal(1400))
    assert (high.trigger, high.price) == (Decimal(1550), Decimal("1565.50"))


@given(a=prices, b=prices, side=st.sampled_from(Side), last=prices)
def test_levels_ascend_and_limits_lie_on_the_tick(a: Decimal, b: Decimal, side: Side, last: Decimal) -> None:
    pair = legs(side, a, b, Decimal("0.05"))
    assert pair[0].trigger <= pair[1].trigger
    stop = next(leg for leg in pair if leg.trigger == b)
    assert (stop.price <= b) if side is Side.SELL or a == b else (stop.price >= b)
    assert between(pair, last) == (min(a, b) < last < max(a, b))


def test_what_is_over_never_moves_and_everything_else_can_end() -> None:
    assert all(EXIT_NEXT[status] == frozenset() for status in EXIT_OVER)
    reached, fresh = set(), {ExitStatus.PLACING}
    while fresh:
        reached |= fresh
        fresh = {then for now in fresh for then in EXIT_NEXT[now]} - reached
    assert reached == set(ExitStatus)


def test_a_quiet_trigger_is_looked_at_less_and_less() -> None:
    assert [look_pause(n).total_seconds() for n in (0, 1, 4, 99)] == [1, 2, 30, 30]
