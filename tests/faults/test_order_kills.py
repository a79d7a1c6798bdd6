"""SIGKILL of the trading worker at every point of the step that cannot be taken back: still exactly once."""

from decimal import Decimal

import pytest

from tests.workflows.traders import Crew, Floor, eventually, lose_session

PLACING = ("trading.place:after_send",)
"""The step that cannot be taken back, answered with nobody to read it."""
AROUND = (
    "trading.place:before",
    "trading.submit:before",
    "trading.submit:after",
    "trading.admit:before",
    "trading.admit:after",
    "trading.submit:after_send",
    "trading.read_order:before",
    "trading.read_order:after_send",
    "trading.read_order:after",
)
POINTS = (*PLACING, *(pytest.param(point, marks=pytest.mark.campaign) for point in AROUND))


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_worker_leaves_one_order(floor: Floor, crew: Crew, point: str) -> None:
    trader = await floor.trader()
    deaths = crew.deaths
    crew.arm(point)
    answer = await floor.place(trader)
    row = await floor.reaches(answer["order_id"], "filled")
    await eventually(crew.died_after(deaths), f"the worker to die at {point}")
    assert len(await floor.placed(answer["order_id"])) == 1
    assert row["filled_quantity"] == 10
    assert (await floor.position(trader))["quantity"] == 10


@pytest.mark.campaign
async def test_a_yes_that_nobody_had_written_down_is_written_once(floor: Floor, crew: Crew) -> None:
    """The step that sends the order writes the customer's yes; its worker dies before it has begun."""
    trader, deaths = await floor.trader(), crew.deaths
    order_id = (await floor.place(trader, confirmed=False))["order_id"]
    crew.arm("trading.submit:before")
    await floor.update(order_id, "confirm", user_id=trader.user_id)
    row = await floor.reaches(order_id, "filled")
    await eventually(crew.died_after(deaths), "the worker to die")
    assert row["confirmed_at"] is not None
    assert len(await floor.placed(order_id)) == 1


@pytest.mark.campaign
@pytest.mark.parametrize(("command", "argument"), [("modify", {"price": "1401"}), ("cancel", {})])
async def test_what_the_record_answered_may_be_changed_before_its_process_has_heard(
    floor: Floor, crew: Crew, command: str, argument: dict[str, str]
) -> None:
    """The broker has it, the record says so to the customer, and the worker dies before the process knows."""
    trader, deaths = await floor.trader(), crew.deaths
    crew.arm("trading.submit:after")
    placed = await floor.place(trader, price=Decimal(1400))
    assert placed["broker_order_id"] is not None
    changed = await floor.update(placed["order_id"], command, **argument)
    assert changed.refused is None
    await eventually(crew.died_after(deaths), "the worker to die")
    if command == "modify":
        await floor.reaches(placed["order_id"], "open")
        assert (await floor.order(placed["order_id"]))["price"] == Decimal(1401)
    else:
        assert (await floor.reaches(placed["order_id"], "cancelled"))["filled_quantity"] == 0
    assert len(await floor.placed(placed["order_id"])) == 1


@pytest.mark.campaign
async def test_a_login_that_a_killed_worker_stored_wakes_what_waits(floor: Floor, crew: Crew) -> None:
    trader = await floor.trader()
    await lose_session(floor, trader)
    waits = (await floor.place(trader))["order_id"]
    await floor.reaches(waits, "awaiting_session")
    deaths = crew.deaths
    crew.arm("trading.exchange_token:after")
    await floor.begin(trader.user_id, account_id=trader.account_id)
    completed = await floor.complete(trader.account_id, trader.broker_user)
    assert completed.body.get("status") == "connected", completed
    assert crew.deaths > deaths
    await floor.reaches(waits, "filled")
    assert len(await floor.placed(waits)) == 1


@pytest.mark.campaign
async def test_a_login_during_the_waking_of_another_wakes_once_more(floor: Floor, crew: Crew) -> None:
    trader = await floor.trader()
    rests = (await floor.place(trader, price=Decimal(1470)))["order_id"]
    await floor.reaches(rests, "open")
    heard = await sessions_heard(floor, rests)
    deaths = crew.deaths
    crew.arm("trading.wake_orders:before")
    for _ in range(2):
        await floor.begin(trader.user_id, account_id=trader.account_id)
        await floor.complete(trader.account_id, trader.broker_user)
    assert crew.deaths > deaths

    async def both_heard() -> bool:
        return await sessions_heard(floor, rests) >= heard + 2

    await eventually(both_heard, "the order to hear of both logins")


async def sessions_heard(floor: Floor, order_id: str) -> int:
    events = (await floor.handle(order_id).fetch_history()).events
    return sum(
        event.workflow_execution_signaled_event_attributes.signal_name == "session_opened" for event in events
    )
