"""Target and stop of a signal's order at the broker: watched until one of them is really filled."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio.service import RPCError
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from tests.workflows.test_broker_day import at_the_broker
from tests.workflows.traders import Floor, Trader, eventually, floor_of, signalled, working

TRIGGERS = "/kite/gtt/triggers"


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


@pytest.fixture(autouse=True)
async def market(floor: Floor) -> AsyncIterator[None]:
    await floor.market("TCS", price=3100, manual=False)
    yield
    await floor.control("/faults/heal", target="kite")
    await floor.market("TCS", price=3100, manual=False)
    # What one test leaves held goes on being watched: it would meet the next one's faults.
    for row in await floor.rows(
        "SELECT order_id FROM trading.exits WHERE status NOT IN ('filled', 'cancelled')"
    ):
        with suppress(RPCError):  # it has just ended by itself
            await floor.client.get_workflow_handle(f"exit:{row['order_id']}").terminate()
        async with floor.database.transaction() as connection:
            await connection.execute(
                "UPDATE trading.exits SET status = 'cancelled' WHERE order_id = %s", (row["order_id"],)
            )


async def acted(floor: Floor, trader: Trader) -> str:
    """A filled order of ten TCS at 3,100 on a signal: target 3,200, stop 3,000."""
    origin = signalled(3100, 3200, 3000)
    answer = await floor.place(trader, symbol="TCS", price=Decimal(3100), origin=origin)
    await floor.reaches(answer["order_id"], "filled")
    return str(answer["order_id"])


async def exit_is(floor: Floor, order_id: str, *statuses: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        rows = await floor.rows("SELECT * FROM trading.exits WHERE order_id = %s", order_id)
        return rows[0] if rows and rows[0]["status"] in statuses else None

    return await eventually(there, f"the exit of {order_id} to be {statuses}")


async def triggers(floor: Floor, trader: Trader) -> list[dict[str, Any]]:
    """What was really placed: the journal's calls with a new trigger, of this customer's exits."""
    rows = await floor.rows(
        "SELECT unnest(known_triggers) AS id FROM trading.exits WHERE account_id = %s", trader.account_id
    )
    known = {row["id"] for row in rows}
    answer = await floor.http.get("/_control/journal", params={"target": "kite"})
    return [
        item
        for item in answer.json()["items"]
        if item["method"] == "POST"
        and item["path"] == TRIGGERS
        and item["effect"]
        and str(item["effect"]["trigger_id"]) in known
    ]


async def test_a_target_that_is_reached_and_filled_ends_it(floor: Floor) -> None:
    trader = await floor.trader()
    order_id = await acted(floor, trader)
    await exit_is(floor, order_id, "active")
    await floor.market("TCS", price=3200)
    row = await exit_is(floor, order_id, "filled")
    assert row["filled_quantity"] == 10

    async def closed() -> bool:
        return (await floor.position(trader))["quantity"] == 0

    await eventually(closed, "the fired order's trades to be in the position")
    adopted = await floor.rows(
        "SELECT * FROM trading.orders WHERE account_id = %s AND adopted", trader.account_id
    )
    assert [each["broker_order_id"] for each in adopted] == [row["broker_order_id"]]
    placed = await triggers(floor, trader)
    assert len(placed) == 1
    body = str(placed[0]["body"])
    assert "3200" in body
    assert "2970" in body, "the stop's limit lies a percent beyond it"


async def test_a_trigger_that_fired_is_no_fill(floor: Floor) -> None:
    """The stop is touched in a market that is gone before the order trades: it waits, lapses, and a new
    trigger takes its place."""
    trader = await floor.trader()
    order_id = await acted(floor, trader)
    await exit_is(floor, order_id, "active")
    await floor.market("TCS", manual=True)
    await floor.market("TCS", price=3000)
    row = await exit_is(floor, order_id, "triggered")
    assert (await floor.position(trader))["quantity"] == 10
    await floor.market("TCS", price=3100)
    adopted = await eventually(lambda: fired(floor, row["broker_order_id"]), "the fired order to be taken up")
    gone = await floor.update(adopted[0]["order_id"], "cancel")
    assert gone.refused is None, gone
    again = await exit_is(floor, order_id, "active")
    assert again["attempt"] == 2
    assert len(await triggers(floor, trader)) == 2


async def fired(floor: Floor, broker_order_id: str) -> list[dict[str, Any]]:
    return await floor.rows("SELECT * FROM trading.orders WHERE broker_order_id = %s", broker_order_id)


async def test_a_position_that_is_closed_otherwise_takes_its_trigger_back(floor: Floor) -> None:
    trader = await floor.trader()
    order_id = await acted(floor, trader)
    row = await exit_is(floor, order_id, "active")
    sold = await floor.place(trader, symbol="TCS", side="SELL", price=Decimal(3100))
    await floor.reaches(sold["order_id"], "filled")
    ended = await exit_is(floor, order_id, "cancelled")
    assert ended["reason_code"] == "position_closed"
    answer = await floor.http.get("/_control/journal", params={"target": "kite"})
    dropped = [
        item["effect"]
        for item in answer.json()["items"]
        if item["path"] == f"{TRIGGERS}/{row['trigger_id']}" and item["method"] == "DELETE" and item["effect"]
    ]
    assert len(dropped) == 1


@pytest.mark.parametrize(
    "fault", ["timeout_after", pytest.param("timeout_before", marks=pytest.mark.campaign)]
)
async def test_a_lost_answer_is_resolved_by_the_brokers_own_book(floor: Floor, fault: str) -> None:
    trader = await floor.trader()
    await floor.fault(TRIGGERS, fault, seconds=0.1)
    order_id = await acted(floor, trader)
    row = await exit_is(floor, order_id, "active")
    assert row["attempt"] == (1 if fault == "timeout_after" else 2)
    assert len(await triggers(floor, trader)) == 1


async def test_what_the_broker_refuses_is_told_and_tried_again(floor: Floor) -> None:
    """The level was passed before the trigger could stand."""
    trader = await floor.trader()
    await floor.market("TCS", manual=True)
    origin = signalled(3100, 3110, 3000)
    answer = await floor.place(trader, symbol="TCS", price=Decimal(3100), origin=origin)
    row = await floor.reaches(answer["order_id"], "open")
    await floor.control("/kite/fill", order_id=row["broker_order_id"], quantity=10, price=3110)
    told = await exit_is(floor, answer["order_id"], "unprotected")
    assert told["reason_code"] == "level_passed"
    events = await floor.rows(
        "SELECT body FROM audit.outbox WHERE type = 'exit.unprotected' AND key = %s", trader.user_id
    )
    assert json.dumps(events[0]["body"]).count(answer["order_id"]) == 1


async def test_a_trigger_of_a_blocked_account_is_taken_back(floor: Floor) -> None:
    trader = await floor.trader()
    order_id = await acted(floor, trader)
    row = await exit_is(floor, order_id, "active")
    async with floor.database.transaction() as connection:
        await connection.execute(
            "UPDATE trading.accounts SET blocked_by = 'kil_test' WHERE account_id = %s", (trader.account_id,)
        )
    ended = await exit_is(floor, order_id, "cancelled")
    assert ended["reason_code"] == "account_blocked"
    answer = await floor.http.get("/_control/journal", params={"target": "kite"})
    dropped = [item for item in answer.json()["items"] if item["path"] == f"{TRIGGERS}/{row['trigger_id']}"]
    assert [item["method"] for item in dropped if item["effect"]] == ["DELETE"]


async def test_a_trigger_whose_sender_nobody_can_vouch_for_is_told_and_decided_by_a_later_book(
    floor: Floor,
) -> None:
    """Postgres has started anew since it was sent: a free lock proves nothing any more."""
    trader = await floor.trader()
    await floor.fault(TRIGGERS, "timeout_before", seconds=0.1)
    order_id = await acted(floor, trader)
    await exit_is(floor, order_id, "sending")
    async with floor.database.transaction() as connection:
        await connection.execute(
            """UPDATE trading.exits SET server_started_at = server_started_at - interval '1 hour',
                   sending_at = sending_at - interval '2 minutes' WHERE order_id = %s""",
            (order_id,),
        )
    told = await exit_is(floor, order_id, "unprotected")
    assert told["reason_code"] == "trigger_unknown"
    assert await triggers(floor, trader) == []
    handle = floor.client.get_workflow_handle(f"exit:{order_id}")
    skipper = TimeSkipper(floor.client)

    async def placed() -> bool:
        await skipper.fast_forward(handle, timedelta(minutes=6))
        return bool(await triggers(floor, trader))

    await eventually(placed, "the trigger to be placed anew")
    assert (await exit_is(floor, order_id, "active"))["attempt"] == 2


async def test_a_fired_order_whose_end_nobody_read_on_its_day_waits_for_a_person(floor: Floor) -> None:
    trader = await floor.trader()
    order_id = await acted(floor, trader)
    await exit_is(floor, order_id, "active")
    await floor.market("TCS", manual=True)
    await floor.market("TCS", price=3000)
    row = await exit_is(floor, order_id, "triggered")
    adopted = await eventually(lambda: fired(floor, row["broker_order_id"]), "the fired order to be taken up")
    await floor.handle(adopted[0]["order_id"]).terminate()
    await floor.clock("2026-11-25T10:00:00+05:30")
    try:
        await floor.begin(trader.user_id, account_id=trader.account_id)
        await floor.complete(trader.account_id, trader.broker_user)
        handle = floor.client.get_workflow_handle(f"exit:{order_id}")
        skipper = TimeSkipper(floor.client)

        async def told() -> dict[str, Any] | None:
            await skipper.fast_forward(handle, timedelta(minutes=2))
            rows = await floor.rows("SELECT * FROM trading.exits WHERE order_id = %s", order_id)
            return rows[0] if rows[0]["status"] != "triggered" else None

        ended = await eventually(told, "the exit to hear that the day is over")
    finally:
        await floor.clock()
    assert (ended["status"], ended["reason_code"]) == ("unprotected", "fired_order_unread")
    assert len(await triggers(floor, trader)) == 1


async def test_what_an_order_has_filled_has_its_stop_while_the_rest_still_waits(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.market("TCS", manual=True)
    origin = signalled(3100, 3200, 3000)
    answer = await floor.place(trader, symbol="TCS", price=Decimal(3100), origin=origin)
    order = await floor.reaches(answer["order_id"], "open")
    await floor.control("/kite/fill", order_id=order["broker_order_id"], quantity=4, price=3100)
    part = await exit_is(floor, order["order_id"], "active")
    assert part["quantity"] == 4
    assert (await floor.order(order["order_id"]))["status"] == "partially_filled"
    await floor.control("/kite/fill", order_id=order["broker_order_id"], quantity=6, price=3100)
    await floor.reaches(order["order_id"], "filled")

    async def all_of_it() -> bool:
        row = await exit_is(floor, order["order_id"], "active")
        return bool(row["quantity"] == 10)

    await eventually(all_of_it, "the trigger to follow the order")
    assert [item["effect"] is not None for item in await triggers(floor, trader)] == [True, True]
    client = await at_the_broker(floor, trader)
    standing = [gtt for gtt in client.get_gtts() if gtt["status"] == "active"]
    assert [{leg["quantity"] for leg in gtt["orders"]} for gtt in standing] == [{10}]
