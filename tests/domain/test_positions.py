"""Positions are a fold of trades: in any order of arrival the same, and no paisa is lost."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.positions import Position, Trade, after, closing_orders, fold, project
from domain.trading import Side

MORNING = datetime(2026, 11, 23, 4, tzinfo=UTC)

trades_strategy = st.lists(
    st.builds(
        lambda number, side, quantity, price, second: Trade(
            f"{number:08d}", side, quantity, price, MORNING + timedelta(seconds=second)
        ),
        st.integers(0, 10**8 - 1),
        st.sampled_from(Side),
        st.integers(1, 10_000),
        st.decimals("0.05", "9999.95", places=2, allow_nan=False, allow_infinity=False),
        st.integers(0, 60),
    ),
    max_size=30,
    unique_by=lambda trade: trade.trade_id,
)


def trade(side: Side, quantity: int, price: str, second: int) -> Trade:
    return Trade(str(second), side, quantity, Decimal(price), MORNING + timedelta(seconds=second))


@given(trades_strategy, st.randoms(use_true_random=False))
def test_rebuilt_in_any_order_it_is_identical(trades: list[Trade], chance: random.Random) -> None:
    shuffled = list(trades)
    chance.shuffle(shuffled)
    assert fold(shuffled) == fold(trades)


@given(trades_strategy)
def test_folding_one_by_one_is_folding_at_once(trades: list[Trade]) -> None:
    position = Position()
    for each in sorted(trades, key=lambda one: one.order):
        position = after(position, each)
    assert position == fold(trades)


@given(trades_strategy)
def test_no_paisa_is_lost(trades: list[Trade]) -> None:
    """Money in and out equals what was realised and what the open part cost."""
    position = fold(trades)
    cash = sum(each.value if each.side is Side.SELL else -each.value for each in trades)
    signed_cost = position.cost if position.quantity > 0 else -position.cost
    assert cash == position.realised - signed_cost
    assert position.quantity == sum(
        each.quantity if each.side is Side.BUY else -each.quantity for each in trades
    )
    assert (position.cost == 0) if position.quantity == 0 else (position.cost >= 0)


def test_average_cost_and_profit() -> None:
    position = fold([trade(Side.BUY, 10, "100", 1), trade(Side.BUY, 10, "110", 2)])
    assert (position.quantity, position.average_price) == (20, Decimal("105.0000"))
    position = after(position, trade(Side.SELL, 5, "120", 3))
    assert (position.quantity, position.realised, position.cost) == (15, 5 * 15_00, 15 * 105_00)
    assert position.unrealised(Decimal(100)) == -15 * 5_00


def test_one_trade_turns_long_into_short() -> None:
    position = fold([trade(Side.BUY, 10, "100", 1), trade(Side.SELL, 15, "90", 2)])
    assert (position.quantity, position.cost, position.realised) == (-5, 5 * 90_00, -10 * 10_00)
    assert position.average_price == Decimal("90.0000")
    assert position.unrealised(Decimal(80)) == 5 * 10_00


def test_a_late_report_takes_its_place() -> None:
    """The buy before the sale was reported after it: the profit is that of the real order of events."""
    known = [trade(Side.BUY, 10, "100", 1), trade(Side.SELL, 10, "120", 3)]
    late = trade(Side.BUY, 10, "110", 2)
    assert fold([*known, late]) == fold([known[0], late, known[1]])
    assert fold([*known, late]).realised == 10 * 15_00


@given(trades_strategy, st.integers(0, 30))
def test_carried_on_it_is_what_it_is_folded_from_nothing(trades: list[Trade], cut: int) -> None:
    ordered = sorted(trades, key=lambda one: one.order)
    whole = project(ordered)
    assert project(ordered[cut:], project(ordered[:cut])) == whole
    assert (whole.position if whole else Position()) == fold(trades)


def test_the_days_own_profit_is_known() -> None:
    """10 rupees a share were made yesterday and 5 today: today's are 5, whatever was before."""
    day = 24 * 3600
    kept = project(
        [
            trade(Side.BUY, 10, "100", 1),
            trade(Side.SELL, 4, "110", 2),
            trade(Side.SELL, 2, "105", day + 1),
            trade(Side.SELL, 2, "105", day + 2),
        ]
    )
    assert kept is not None
    assert (kept.position.realised, kept.realised_before) == (4 * 10_00 + 4 * 5_00, 4 * 10_00)


@given(st.integers(1, 10**6), st.integers(1, 5000), st.integers(1, 100))
def test_closing_orders_close_all_of_it_in_whole_lots_and_within_ten_slices(
    lots: int, freeze: int, lot: int
) -> None:
    quantity = lots * lot
    orders = closing_orders(quantity, freeze, lot)
    assert sum(orders) == quantity
    if freeze >= lot:
        assert all(order % lot == 0 and order <= 10 * freeze for order in orders)
    assert closing_orders(quantity, None, lot) == [quantity]
