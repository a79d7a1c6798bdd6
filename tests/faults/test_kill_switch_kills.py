"""SIGKILL of the trading worker while orders race the emergency stop: nothing slips out, the report holds."""

import asyncio
from decimal import Decimal

import pytest

from tests.workflows.stopping import engage, reported
from tests.workflows.traders import Crew, Floor, eventually

RACING = 8
QUICK = ("trading.stop_orders:after_send",)
AT_LENGTH = (
    "trading.block_account:before",
    "trading.block_account:after",
    "trading.stop_orders:before",
    "trading.stop_orders:after",
    "trading.submit:after_send",
    "trading.flatten:before",
    "trading.flatten:after",
    "trading.flattening:after",
    "trading.report_stop:before",
    "trading.report_stop:after",
)
POINTS = (*QUICK, *(pytest.param(point, marks=pytest.mark.campaign) for point in AT_LENGTH))


@pytest.mark.parametrize("point", POINTS)
async def test_nothing_slips_out_between_block_and_report(floor: Floor, crew: Crew, point: str) -> None:
    trader = await floor.trader()
    held = await floor.place(trader, product="MIS")
    await floor.reaches(held["order_id"], "filled")
    deaths = crew.deaths
    crew.arm(point)
    # Below the market: whatever leaves rests at the exchange until it is taken back.
    racing = [
        asyncio.create_task(floor.place(trader, quantity=1, price=Decimal(1400), product="MIS"))
        for _ in range(RACING)
    ]
    switch = await engage(floor, trader, flatten=True)
    row = await reported(floor, switch)
    left = len(await floor.sent(trader))
    await eventually(crew.died_after(deaths), f"the worker to die at {point}")
    await asyncio.gather(*racing)
    report = row["report"]
    assert (report["left_open"], report["positions"], report["verified"]) == ([], [], True)
    of_account = "SELECT order_id, status, flattens FROM trading.orders WHERE account_id = %s"
    orders = {each["order_id"]: each for each in await floor.rows(of_account, trader.account_id)}
    assert {each["status"] for each in orders.values()} <= {"cancelled", "filled", "risk_rejected", "expired"}
    assert [each for each in orders.values() if each["status"] == "filled" and not each["flattens"]] == [
        orders[held["order_id"]]
    ]
    assert len(await floor.sent(trader)) == left, "an order left after the report"
    assert len(await floor.placed(report["flattening"][0])) == 1
    assert (await floor.position(trader))["quantity"] == 0
