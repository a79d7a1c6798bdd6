"""SIGKILL of the trading worker at every point of the step that cannot be taken back: still exactly once."""

import pytest

from tests.workflows.traders import Crew, Floor, eventually

PLACING = (
    "trading.submit:before",
    "trading.place:before",
    "trading.place:after_send",
    "trading.submit:after",
)
"""The step that cannot be taken back: not begun, `sending` without a byte out, answered, recorded."""
AROUND = (
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
