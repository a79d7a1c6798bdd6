"""Target and stop of a paper order: the process of a real one, on triggers that the real market sets off."""

from decimal import Decimal
from typing import Any

from tests.workflows.papers import SYMBOL, PaperDesk, desk, floor
from tests.workflows.stopping import engage, reported
from tests.workflows.traders import eventually

__all__ = ["desk", "floor"]


async def test_a_target_that_the_real_market_reaches_closes_the_paper_position(desk: PaperDesk) -> None:
    order_id = await desk.acted()
    await desk.exit_is(order_id, "active")
    assert [row["status"] for row in await desk.triggers()] == ["active"]
    await desk.market(900)
    ended = await desk.exit_is(order_id, "filled")
    assert [row["broker_order_id"] for row in await desk.triggers()] == [ended["broker_order_id"]]
    assert (ended["filled_quantity"], ended["attempt"]) == (10, 1)
    await desk.flat()
    adopted = await desk.floor.rows(
        "SELECT broker_order_id, status FROM trading.orders WHERE account_id = %s AND adopted",
        desk.trader.account_id,
    )
    assert adopted == [{"broker_order_id": ended["broker_order_id"], "status": "filled"}]
    journal = await desk.floor.http.get("/_control/journal", params={"target": "kite"})
    calls = [item for item in journal.json()["items"] if item["path"] == "/kite/gtt/triggers"]
    assert not any(SYMBOL in str(call["body"]) for call in calls), "nothing of it reaches the real broker"


async def test_a_position_that_is_closed_otherwise_takes_its_trigger_back(desk: PaperDesk) -> None:
    order_id = await desk.acted()
    await desk.exit_is(order_id, "active")
    sold = await desk.floor.place(desk.trader, symbol=SYMBOL, side="SELL", price=Decimal(880))
    await desk.floor.reaches(sold["order_id"], "filled")
    ended = await desk.exit_is(order_id, "cancelled")
    assert ended["reason_code"] == "position_closed"
    assert [row["status"] for row in await desk.triggers()] == ["deleted"]
    await desk.market(905)
    await desk.flat()


async def test_a_fired_order_that_is_taken_back_is_put_in_place_again(desk: PaperDesk) -> None:
    """The market falls through the stop's limit: the order rests, is cancelled, and a trigger stands anew."""
    order_id = await desk.acted()
    await desk.exit_is(order_id, "active")
    await desk.market(845)
    row = await desk.exit_is(order_id, "triggered")
    assert (await desk.floor.position(desk.trader))["quantity"] == 10, "a trigger that fired is no fill"

    async def taken_up() -> list[dict[str, Any]]:
        return await desk.floor.rows(
            "SELECT order_id FROM trading.orders WHERE broker_order_id = %s", row["broker_order_id"]
        )

    adopted = await eventually(taken_up, "the fired order to be taken up")
    await desk.floor.reaches(adopted[0]["order_id"], "open")
    gone = await desk.floor.update(adopted[0]["order_id"], "cancel")
    assert gone.refused is None, gone
    await desk.market(880)
    again = await desk.exit_is(order_id, "active")
    assert again["attempt"] == 2
    assert [each["status"] for each in await desk.triggers()] == ["triggered", "active"]


async def test_a_kill_switch_leaves_no_trigger_that_could_fire(desk: PaperDesk) -> None:
    order_id = await desk.acted()
    await desk.exit_is(order_id, "active")
    row = await reported(desk.floor, await engage(desk.floor, desk.trader, flatten=True))
    assert (row["report"]["verified"], row["report"]["positions"]) == (True, [])
    assert [each["status"] for each in await desk.triggers()] == ["deleted"]
    await desk.market(905)
    await desk.flat()
    await desk.exit_is(order_id, "cancelled")


async def test_what_is_held_for_the_day_is_closed_by_the_paper_broker_and_taken_up(desk: PaperDesk) -> None:
    """As a real broker does at 15:20; the process that follows it waits for just that."""
    floor = desk.floor
    await desk.held_for_the_day()
    resting = await floor.place(desk.trader, symbol=SYMBOL, price=Decimal(870), quantity=3, product="MIS")
    await floor.reaches(resting["order_id"], "open")
    await eventually(desk.followed, "the closing to be waited for")
    await desk.closing_time()
    await desk.flat()
    ended = await floor.reaches(resting["order_id"], "cancelled")
    assert ended["reason_code"] == "square_off"
    adopted = await floor.rows(
        "SELECT side, quantity, status, average_price FROM trading.orders WHERE account_id = %s AND adopted",
        desk.trader.account_id,
    )
    assert [tuple(row.values()) for row in adopted] == [("SELL", 3, "filled", 881)]

    async def over() -> bool:
        return not await desk.followed()

    await eventually(over, "nobody to wait for another closing: nothing is held any more")


async def test_an_after_market_order_of_a_paper_account_waits_for_the_opening(desk: PaperDesk) -> None:
    floor = desk.floor
    await floor.clock("2026-11-23T18:00:00+05:30")
    await desk.market(880)
    placed = await floor.place(
        desk.trader, symbol=SYMBOL, price=Decimal(890), quantity=2, variety="amo", product="CNC"
    )
    row = await floor.reaches(placed["order_id"], "open")
    assert row["filled_quantity"] == 0
    # 24 November is a holiday.
    await floor.clock("2026-11-25T09:16:00+05:30")
    desk.reader = await floor.trader()  # the session of before has ended
    await desk.market(885)
    assert (await floor.reaches(placed["order_id"], "filled"))["average_price"] == 885
