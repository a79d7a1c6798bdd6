"""Two books of a day: what agrees is no break, what differs is told once, what was done elsewhere counts."""

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.broker_day import (
    BREAK_NEXT,
    DAY_NEXT,
    BreakKind,
    Difference,
    Execution,
    OurOrder,
    Ours,
    Place,
    Resolution,
    TheirOrder,
    Theirs,
    by_order,
    differences,
    may_be,
)
from domain.trading import BrokerStatus, OrderStatus

INFY = Place("NSE", "INFY", "MIS")
FILL = Execution("NSE", "t1", "b1", 10, Decimal("1500.00"))
MINE = OurOrder("ord_1", frozenset({"b1"}), OrderStatus.FILLED, 10)
SHOWN = TheirOrder("b1", BrokerStatus.COMPLETE, 10, "TAG1")


def ours(**different: object) -> Ours:
    given = {"orders": (MINE,), "tags": {"TAG1": "b1"}, "trades": (FILL,), "positions": {INFY: 10}}
    return Ours(**{**given, **different})  # type: ignore[arg-type]


def theirs(**different: object) -> Theirs:
    given = {"orders": (SHOWN,), "trades": (FILL,), "positions": {INFY: 10}}
    return Theirs(**{**given, **different})  # type: ignore[arg-type]


def kinds(mine: Ours, shown: Theirs) -> list[BreakKind]:
    return [each.kind for each in differences(mine, shown)]


def test_books_that_agree_have_no_difference_however_prices_are_written() -> None:
    shown = Execution("NSE", "t1", "b1", 10, Decimal("1500"))
    assert differences(ours(), theirs(trades=(shown,))) == []


@pytest.mark.parametrize(
    ("mine", "shown", "kind"),
    [
        (ours(), theirs(orders=()), BreakKind.ORDER_MISSING),
        (ours(tags={"TAG1": None}, orders=(), trades=(), positions={}), theirs(trades=(), positions={}),
         BreakKind.ORDER_UNACCOUNTED),
        (ours(orders=(OurOrder("ord_1", frozenset({"b1"}), OrderStatus.OPEN, 10),)), theirs(),
         BreakKind.STATUS_DIFFERS),
        (ours(), theirs(orders=(TheirOrder("b1", BrokerStatus.OPEN, 10),)), BreakKind.STATUS_DIFFERS),
        (ours(orders=(OurOrder("ord_1", frozenset({"b1"}), OrderStatus.FILLED, 9),)), theirs(),
         BreakKind.FILL_DIFFERS),
        (ours(), theirs(trades=()), BreakKind.TRADE_MISSING),
        (ours(trades=()), theirs(), BreakKind.TRADE_UNBOOKED),
        (ours(), theirs(trades=(Execution("NSE", "t1", "b1", 10, Decimal(1501)),)),
         BreakKind.TRADE_DIFFERS),
        (ours(positions={}), theirs(), BreakKind.POSITION_DIFFERS),
        (ours(), theirs(positions={INFY: 9}), BreakKind.POSITION_DIFFERS),
    ],
)  # fmt: skip
def test_each_difference_is_told_as_what_it_is(mine: Ours, shown: Theirs, kind: BreakKind) -> None:
    assert kinds(mine, shown) == [kind]


def test_what_was_done_elsewhere_is_taken_over_and_no_difference() -> None:
    foreign = Execution("NSE", "t9", "b9", 5, Decimal(1490))
    shown = theirs(orders=(SHOWN, TheirOrder("b9", BrokerStatus.COMPLETE, 5)), trades=(FILL, foreign))
    assert shown.elsewhere(ours()) == [foreign]
    assert differences(ours(), shown) == []


def test_an_order_under_a_tag_of_ours_is_never_taken_for_the_customers_own() -> None:
    lost = TheirOrder("b7", BrokerStatus.COMPLETE, 5, "TAG2")
    trade = Execution("NSE", "t7", "b7", 5, Decimal(1490))
    shown, mine = theirs(orders=(SHOWN, lost), trades=(FILL, trade)), ours(tags={"TAG1": "b1", "TAG2": None})
    assert shown.elsewhere(mine) == []
    assert kinds(mine, shown) == [BreakKind.ORDER_UNACCOUNTED]


def test_a_sliced_order_is_the_sum_of_its_slices() -> None:
    mine = OurOrder("ord_1", frozenset({"b1", "b2"}), OrderStatus.CANCELLED, 12)
    slices = (SHOWN, TheirOrder("b2", BrokerStatus.CANCELLED, 2, "TAG2"))
    assert differences(ours(orders=(mine,)), theirs(orders=slices)) == []
    live = (SHOWN, TheirOrder("b2", BrokerStatus.OPEN, 2, "TAG2"))
    assert kinds(ours(orders=(mine,)), theirs(orders=live)) == [BreakKind.STATUS_DIFFERS]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(-5, 5)), max_size=6),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(-5, 5)), max_size=6),
    st.randoms(use_true_random=False),
)
def test_the_order_of_reading_changes_nothing_and_adopting_ends_every_position_break(
    mine: list[tuple[str, int]], shown: list[tuple[str, int]], chance: random.Random
) -> None:
    held, there = dict(mine), dict(shown)
    a = ours(positions={Place("NSE", name, "MIS"): quantity for name, quantity in held.items()})
    b = theirs(positions={Place("NSE", name, "MIS"): quantity for name, quantity in there.items()})
    found = differences(a, b)
    again = list(b.positions.items())
    chance.shuffle(again)
    assert differences(a, theirs(positions=dict(again))) == found
    for each in found:
        name = each.reference.split("/")[1]
        held[name] = held.get(name, 0) + int(each.theirs) - int(each.ours)
    after = ours(positions={Place("NSE", name, "MIS"): quantity for name, quantity in held.items()})
    assert differences(after, b) == []


def test_a_break_has_one_id_and_a_position_that_still_differs_keeps_it() -> None:
    position = Difference(BreakKind.POSITION_DIFFERS, "NSE/INFY/MIS", "1", "2")
    fill = Difference(BreakKind.FILL_DIFFERS, "ord_1", "1", "2")
    assert position.break_id("acc", "2026-11-23") == position.break_id("acc", "2026-11-24")
    assert fill.break_id("acc", "2026-11-23") != fill.break_id("acc", "2026-11-24")
    assert fill.break_id("acc", "2026-11-23") != fill.break_id("other", "2026-11-23")


def test_only_a_position_can_be_set_to_what_the_broker_says() -> None:
    assert [kind for kind in BreakKind if may_be(kind, Resolution.ADOPT_BROKER)] == [
        BreakKind.POSITION_DIFFERS
    ]
    assert not any(may_be(kind, Resolution.AGREED) for kind in BreakKind)
    assert all(may_be(kind, Resolution.ACCEPT) for kind in BreakKind)


def test_charges_are_asked_on_what_an_order_really_traded() -> None:
    more = Execution("NSE", "t2", "b1", 5, Decimal(1503))
    trades = [FILL, more, Execution("NSE", "t3", "b2", 1, Decimal(7))]
    assert by_order(trades) == {"b1": (15, Decimal("1501.0000")), "b2": (1, Decimal("7.0000"))}


def test_every_state_of_day_and_break_is_in_its_table() -> None:
    for table in (DAY_NEXT, BREAK_NEXT):
        states = type(next(iter(table)))
        assert set(table) == set(states)
        assert all(now not in following for now, following in table.items())
