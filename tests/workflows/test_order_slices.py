"""An order above the freeze quantity leaves in slices: each once, together one order."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from activities.broker_book import BrokerBook
from activities.brokers import Brokers
from cli.embedded import EmbeddedEngines
from models.messages.trading import FindingKind, ResolveAttempt
from tests.workflows.traders import Floor, Trader, eventually, floor_of, working
from workers.parts import assemble

LOT = 65
FUTURE = {
    "exchange": "NFO",
    "symbol": "NIFTY26NOVFUT",
    "product": "NRML",
    "price": Decimal(26130),
    "quantity": 60 * LOT,
}
SLICES = [27 * LOT, 27 * LOT, 6 * LOT]
ORDERS = "/kite/orders/regular"


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


@pytest.fixture
async def by_hand(floor: Floor) -> AsyncIterator[Floor]:
    await floor.market("NIFTY26NOVFUT", manual=True)
    yield floor
    await floor.market("NIFTY26NOVFUT", manual=False)


async def rich(floor: Floor) -> Trader:
    """A customer whose limits let a slice and more through."""
    trader = await floor.trader(tier="advanced")
    await floor.control("/kite/account", user_id=trader.broker_user, cash=900_000_000)
    async with floor.database.transaction() as connection:
        await connection.execute(
            """UPDATE trading.accounts SET max_order_value = 10^14::bigint,
                   max_symbol_exposure = 10^14::bigint WHERE account_id = %s""",
            (trader.account_id,),
        )
        await connection.execute(
            "UPDATE user_management.kyc_status SET tier = 'advanced' WHERE user_id = %s", (trader.user_id,)
        )
    return trader


async def slices(floor: Floor, order_id: str) -> list[tuple[int, str, int]]:
    rows = await floor.rows("SELECT * FROM trading.order_legs WHERE order_id = %s ORDER BY leg", order_id)
    return [(row["quantity"], row["status"], row["filled_quantity"]) for row in rows]


async def at_broker(floor: Floor, order_id: str) -> list[int]:
    """Quantities of what the sandbox's journal says was placed, in order."""
    return [int(field_of(call, "quantity")) for call in await floor.placed(order_id)]


def field_of(call: dict[str, Any], name: str) -> str:
    body = call["body"]
    return str(body[name] if isinstance(body, dict) else dict(p.split("=") for p in body.split("&"))[name])


async def test_each_slice_leaves_once_and_their_fills_add_up(floor: Floor) -> None:
    trader = await rich(floor)
    answer = await floor.place(trader, **FUTURE)
    row = await floor.reaches(answer["order_id"], "filled", "risk_rejected", "rejected", "cancelled")
    assert (row["status"], row["filled_quantity"]) == ("filled", 60 * LOT), row["reason_code"]
    assert await at_broker(floor, answer["order_id"]) == SLICES
    assert await slices(floor, answer["order_id"]) == [(q, "complete", q) for q in SLICES]
    assert (await floor.position(trader))["quantity"] == 60 * LOT


async def test_a_slice_whose_answer_is_lost_is_found_by_its_own_tag(floor: Floor) -> None:
    trader = await rich(floor)
    await floor.fault(ORDERS, "slow", times=1, seconds=0.01)
    await floor.fault(ORDERS, "timeout_after", times=1, seconds=0.1)
    answer = await floor.place(trader, **FUTURE)
    await floor.reaches(answer["order_id"], "filled")
    assert await at_broker(floor, answer["order_id"]) == SLICES
    attempts = await floor.rows(
        "SELECT leg, attempt, status FROM trading.order_attempts WHERE order_id = %s ORDER BY leg",
        answer["order_id"],
    )
    assert [tuple(row.values()) for row in attempts] == [(1, 1, "sent"), (2, 1, "sent"), (3, 1, "sent")]


@pytest.mark.campaign
async def test_a_slice_that_never_left_is_sent_anew_on_proof_of_absence(by_hand: Floor) -> None:
    """Meanwhile the first slice trades, and its fills are in the book."""
    trader = await rich(by_hand)
    await by_hand.fault(ORDERS, "slow", times=1, seconds=0.01)
    await by_hand.fault(ORDERS, "timeout_before", times=1, seconds=0.1)
    answer = await by_hand.place(trader, **FUTURE)
    row = await by_hand.reaches(answer["order_id"], "unknown", "submitting")
    await by_hand.fill(row["broker_order_id"], 27 * LOT)
    await by_hand.reaches(answer["order_id"], "partially_filled")
    assert await at_broker(by_hand, answer["order_id"]) == SLICES
    attempts = await by_hand.rows(
        "SELECT leg, attempt, status FROM trading.order_attempts WHERE order_id = %s ORDER BY leg, attempt",
        answer["order_id"],
    )
    assert [tuple(row.values()) for row in attempts] == [
        (1, 1, "sent"),
        (2, 1, "void"),
        (2, 2, "sent"),
        (3, 1, "sent"),
    ]
    assert (await by_hand.position(trader))["quantity"] == 27 * LOT
    await by_hand.update(answer["order_id"], "cancel")
    ended = await by_hand.reaches(answer["order_id"], "cancelled")
    assert ended["filled_quantity"] == 27 * LOT


async def test_a_refused_slice_stops_those_after_it_and_says_so(by_hand: Floor) -> None:
    trader = await rich(by_hand)
    answer = await by_hand.place(trader, **FUTURE)
    row = await by_hand.reaches(answer["order_id"], "open")
    assert [status for _, status, _ in await slices(by_hand, answer["order_id"])] == ["open"] * 3
    changed = await by_hand.update(answer["order_id"], "modify", price="26140")
    assert changed.refused is None, changed
    refused = await by_hand.update(answer["order_id"], "modify", quantity=65)
    assert refused.refused == "sliced_quantity"
    gone = await by_hand.update(answer["order_id"], "cancel")
    assert gone.refused is None, gone
    await by_hand.reaches(answer["order_id"], "cancelled")
    assert [status for _, status, _ in await slices(by_hand, answer["order_id"])] == ["cancelled"] * 3
    assert row["legs"] == 3


async def test_money_for_one_slice_only_leaves_one_slice(by_hand: Floor) -> None:
    """Between two slices the customer's money goes elsewhere: the second is refused, the first stands."""
    trader = await rich(by_hand)
    await by_hand.fault(ORDERS, "slow", times=1, seconds=1.5)
    placing = asyncio.create_task(by_hand.place(trader, **FUTURE))
    leaving = """SELECT 1 FROM trading.order_attempts a JOIN trading.orders o USING (order_id)
                 WHERE o.account_id = %s AND a.status = 'sending'"""
    await eventually(lambda: by_hand.rows(leaving, trader.account_id), "the first slice to leave")
    # 12 % of what the first slice is worth, and a little: its own margin, and no more.
    await by_hand.control("/kite/account", user_id=trader.broker_user, cash=5_600_000)
    answer = await placing
    row = await by_hand.reaches(answer["order_id"], "open")
    assert [status for _, status, _ in await slices(by_hand, answer["order_id"])] == [
        "open",
        "refused",
        "dropped",
    ]
    asked = ResolveAttempt(order_id=row["order_id"], user_id="", account_id="", leg=2, attempt=1)
    async with assemble(by_hand.settings) as parts:
        brokers = Brokers(by_hand.settings, parts.database, parts.vault, parts.redis)
        found = await BrokerBook(parts.database, brokers).resolve(asked)
    # What a worker that died before it could report leaves to find out: no attempt follows that one.
    assert found.kind is FindingKind.REFUSED
    await by_hand.fill(row["broker_order_id"], 27 * LOT)
    ended = await by_hand.reaches(answer["order_id"], "cancelled")
    assert (ended["filled_quantity"], ended["reason_code"]) == (27 * LOT, "insufficient_margin")
    assert await at_broker(by_hand, answer["order_id"]) == SLICES[:1]


async def test_what_the_close_cuts_off_does_not_leave_the_next_morning(by_hand: Floor) -> None:
    """The close comes between two slices: the first one's fill is taken, the others stay for good."""
    trader = await rich(by_hand)
    await by_hand.fault(ORDERS, "slow", times=1, seconds=1)
    placing = asyncio.create_task(by_hand.place(trader, **FUTURE))
    attempts = """SELECT o.* FROM trading.order_attempts a JOIN trading.orders o USING (order_id)
                  WHERE o.account_id = %s AND a.status = %s"""
    await eventually(lambda: by_hand.rows(attempts, trader.account_id, "sending"), "the first to leave")
    await by_hand.fault("/kite/margins/orders", "slow", times=1, seconds=1.5)
    first = (await eventually(lambda: by_hand.rows(attempts, trader.account_id, "sent"), "its answer"))[0]
    order_id = first["order_id"]
    await eventually(lambda: filled(by_hand, first["broker_order_id"], LOT), "the exchange to have it")
    try:
        await by_hand.clock("2026-11-23T15:30:05+05:30")
        await placing
        ended = await by_hand.reaches(order_id, "expired", "cancelled")
    finally:
        await by_hand.clock()
    # By our own word, or where it was on its way already, by the exchange's.
    assert (ended["status"], ended["reason_code"]) in (
        ("expired", "day_ended"),
        ("cancelled", "broker_refused_order"),
    )
    assert ended["filled_quantity"] == LOT
    left = {"day_ended": "dropped", "broker_refused_order": "refused"}[ended["reason_code"]]
    assert [status for _, status, _ in await slices(by_hand, order_id)] == ["cancelled", left, "dropped"]
    assert (await by_hand.position(trader))["quantity"] == LOT
    assert await at_broker(by_hand, order_id) == SLICES[:1]


async def test_trades_that_were_behind_a_slices_fill_are_read_at_its_end(by_hand: Floor) -> None:
    """The record says as much was filled, without the trades: they come when the slice has ended."""
    trader = await rich(by_hand)
    row = await by_hand.reaches((await by_hand.place(trader, **FUTURE))["order_id"], "open")
    async with by_hand.database.transaction() as connection:
        await connection.execute(
            "UPDATE trading.order_legs SET filled_quantity = %s WHERE order_id = %s AND leg = 1",
            (LOT, row["order_id"]),
        )
    await by_hand.fill(row["broker_order_id"], LOT)
    await by_hand.update(row["order_id"], "cancel")
    ended = await by_hand.reaches(row["order_id"], "cancelled")
    assert ended["filled_quantity"] == LOT
    assert (await by_hand.position(trader))["quantity"] == LOT


async def filled(floor: Floor, broker_order_id: str, quantity: int) -> bool:
    """Whether the exchange filled so much by hand: not before the order has got there."""
    answer = await floor.http.post(
        "/_control/kite/fill", json={"order_id": broker_order_id, "quantity": quantity}
    )
    return answer.status_code == 200
