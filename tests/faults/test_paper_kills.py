"""SIGKILL of the trading worker, and of Postgres, around a paper trigger: placed once, fired once."""

from datetime import datetime

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from cli.embedded import EmbeddedEngines
from tests.workflows.papers import PaperDesk, desk
from tests.workflows.traders import Crew, eventually

__all__ = ["desk"]

pytestmark = pytest.mark.campaign

PLACING = ("exits.place:before", "exits.place:after_send", "exits.place:after")
"""Not begun; the trigger stands and our row says `sending`; recorded, and the server does not know."""
FIRED = ("exits.look:before", "exits.look:after", "trading.adopt_orders:before", "trading.adopt_orders:after")

CLOSED = ("trading.read_order:before", "trading.read_order:after", *FIRED[2:])
"""Around the start of whoever waits for the closing of what is held for the day, and around its look."""


@pytest.mark.parametrize("point", PLACING)
async def test_a_killed_worker_leaves_one_trigger(desk: PaperDesk, crew: Crew, point: str) -> None:
    deaths = crew.deaths
    crew.arm(point)
    order_id = await desk.acted()
    row = await desk.exit_is(order_id, "active")
    await eventually(crew.died_after(deaths), f"the worker to die at {point}")
    assert [str(each["trigger_id"]) for each in await desk.triggers()] == [row["trigger_id"]]
    await sold_once(desk, order_id)


@pytest.mark.parametrize("point", FIRED)
async def test_what_was_fired_is_taken_up_whoever_dies(desk: PaperDesk, crew: Crew, point: str) -> None:
    order_id = await desk.acted()
    await desk.exit_is(order_id, "active")
    deaths = crew.deaths
    crew.arm(point)
    await sold_once(desk, order_id)
    await eventually(crew.died_after(deaths), f"the worker to die at {point}")


@pytest.mark.parametrize("point", CLOSED)
async def test_what_is_held_for_the_day_is_closed_once_whoever_dies(
    desk: PaperDesk, crew: Crew, point: str
) -> None:
    deaths = crew.deaths
    if point.startswith("trading.read_order"):
        crew.arm(point)
    await desk.held_for_the_day()
    if point.startswith("trading.adopt_orders"):
        crew.arm(point)
    await eventually(desk.followed, "the closing to be waited for")
    await desk.closing_time()
    await desk.flat()
    await eventually(crew.died_after(deaths), f"the worker to die at {point}")
    closing = await desk.floor.rows(
        "SELECT quantity FROM trading.paper_orders WHERE account_id = %s AND side = 'SELL'",
        desk.trader.account_id,
    )
    assert [row["quantity"] for row in closing] == [3]


async def test_a_killed_record_forgets_no_trigger(desk: PaperDesk, engines: EmbeddedEngines) -> None:
    order_id = await desk.acted()
    row = await desk.exit_is(order_id, "active")
    before = await began(desk)
    engines.kill("postgres")

    async def back() -> bool:
        # Its children outlive the killed server for a moment, and may still answer.
        return await began(desk) not in (None, before)

    await eventually(back, "Postgres to be back")
    assert [str(each["trigger_id"]) for each in await desk.triggers()] == [row["trigger_id"]]
    await sold_once(desk, order_id)


async def began(desk: PaperDesk) -> datetime | None:
    """Since when Postgres runs; None while it is away."""
    try:
        return (await desk.floor.rows("SELECT pg_postmaster_start_time() AS began"))[0]["began"]
    except (psycopg.Error, PoolTimeout):
        return None


async def sold_once(desk: PaperDesk, order_id: str) -> None:
    """The target is reached: one order is fired, and its shares are sold once."""
    await desk.market(900)
    ended = await desk.exit_is(order_id, "filled")
    assert ended["filled_quantity"] == 10
    await desk.flat()
    fired = await desk.floor.rows(
        "SELECT broker_order_id FROM trading.paper_orders WHERE account_id = %s AND tag LIKE 'GTT%%'",
        desk.trader.account_id,
    )
    assert [row["broker_order_id"] for row in fired] == [ended["broker_order_id"]]
