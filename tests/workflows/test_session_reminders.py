"""Before the opening: who misses a session is written to, once, and nobody else; an account's settings."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from activities.session_reminders import message_id
from api.trading.accounts import session_drive
from cli.embedded import EmbeddedEngines
from models.contracts.queues import Queue
from store import messages
from temporal.schedules import REMINDERS, ensure_schedules
from tests.workflows.traders import Floor, Trader, floor_of, lose_session, working

DAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


async def settings(floor: Floor, trader: Trader, **given: Any) -> dict[str, Any]:
    drive = session_drive(trader.account_id, trader.user_id, "kite", "settings", given)
    answer = await floor.run(drive, trader.account_id, trader.user_id)
    assert answer.refused is None, answer
    return answer.body


async def mail(floor: Floor, trader: Trader) -> messages.Message | None:
    async with floor.database.transaction() as connection:
        return await messages.unsent(connection, floor.vault, message_id(trader.account_id, DAY))


async def remind(floor: Floor, day: date = DAY) -> str:
    handle = await floor.client.start_workflow(
        "SessionReminders",
        {"day": day.isoformat()},
        id=f"session-reminders-{datetime.now(UTC).timestamp()}",
        task_queue=Queue.TRADING,
    )
    return await handle.result()


async def test_who_has_waiting_orders_or_asked_for_it_is_reminded_once(floor: Floor) -> None:
    # A session lasts to the next 06:00 of the broker's clock; whether it has, the platform's own clock says.
    await floor.clock(datetime.now(UTC).isoformat())
    waits, asked, silent, signed_in = [await floor.trader() for _ in range(4)]
    await floor.clock()
    for trader in (waits, asked, silent):
        await lose_session(floor, trader)
    placed = await floor.place(waits)
    assert placed["status"] == "awaiting_session", "an order that waits says what for"
    for trader in (asked, signed_in):
        assert (await settings(floor, trader, session_reminders=True))["session_reminders"] is True
    assert await remind(floor) == "reminded"
    assert await remind(floor) == "reminded"
    first, second = await mail(floor, waits), await mail(floor, asked)
    assert first is not None
    assert "1 of your orders wait" in first.text
    assert second is not None
    assert "06:00" in second.text
    assert [await mail(floor, trader) for trader in (silent, signed_in)] == [None, None]


async def test_nobody_is_reminded_on_a_holiday(floor: Floor) -> None:
    trader = await floor.trader()
    await settings(floor, trader, session_reminders=True)
    await lose_session(floor, trader)
    assert await remind(floor, date(2026, 11, 24)) == "no_trading_day"
    assert await mail(floor, trader) is None


async def test_the_customers_own_limits_hold_and_the_rest_stays(floor: Floor) -> None:
    trader = await floor.trader()
    first = await settings(floor, trader, max_order_value=10_000_00)
    assert (first["max_order_value"], first["session_reminders"]) == (10_000_00, False)
    again = await settings(floor, trader, max_order_value=10_000_00)
    assert again["version"] == first["version"]
    second = await settings(floor, trader, session_reminders=True)
    assert (second["max_order_value"], second["session_reminders"]) == (10_000_00, True)
    refused = await floor.place(trader)
    assert (refused["status"], refused["reason_code"]) == ("risk_rejected", "order_value_limit")


async def test_the_schedule_is_before_the_opening(floor: Floor) -> None:
    await ensure_schedules(floor.client, floor.settings)
    described = await floor.client.get_schedule_handle(REMINDERS).describe()
    assert described.schedule.policy.catchup_window == timedelta(minutes=30)


async def test_what_a_person_has_paused_a_start_of_the_platform_leaves_paused(floor: Floor) -> None:
    await ensure_schedules(floor.client, floor.settings)
    handle = floor.client.get_schedule_handle(REMINDERS)
    await handle.pause(note="the broker's maintenance")
    await ensure_schedules(floor.client, floor.settings)
    state = (await handle.describe()).schedule.state
    assert (state.paused, state.note) == (True, "the broker's maintenance")
    await handle.unpause()
