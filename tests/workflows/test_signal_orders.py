"""A published signal waits as an order for each customer's yes; unasked it leaves only where flagged."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from cli.embedded import EmbeddedEngines
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.messages.signal_orders import SignalOrdersInput
from store import signal_orders, trading
from tests.workflows.test_signal_lifecycle import drafted, publication, withdrawn
from tests.workflows.traders import Floor, Trader, eventually, floor_of, lose_session, working
from workers.parts import Parts, assemble
from workers.pool import workers
from workers.signals import POOL

VALUE = 16_000_00
"""Ten shares at 1,500, and a thousand left."""


@pytest.fixture(scope="module")
async def parts(engines: EmbeddedEngines) -> AsyncIterator[Parts]:
    async with assemble(engines.settings) as made:
        (worker,) = workers(POOL, made, made.client)
        async with worker:
            yield made


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines, parts: Parts) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


async def follower(floor: Floor, *, value: int = VALUE, plan: bool = True) -> Trader:
    trader, now = await floor.trader(), datetime.now(UTC)
    async with floor.database.transaction() as connection:
        await connection.execute(
            "UPDATE trading.accounts SET signal_order_value = %s WHERE account_id = %s",
            (value, trader.account_id),
        )
        if plan:
            await connection.execute(
                """INSERT INTO finance.entitlements
                       (entitlement_id, user_id, kind, reference, plan_tier, starts_at)
                   VALUES (%s, %s, 'plan', %s, 'premium', %s)""",
                (mint(Prefix.NOTE), trader.user_id, trader.account_id, now - timedelta(days=1)),
            )
    return trader


async def flagged(floor: Floor, trader: Trader) -> None:
    async with floor.database.transaction() as connection:
        assert await signal_orders.set_mode(connection, trader.account_id, "auto", "EXCH/ALGO/1")


async def prepared(floor: Floor, trader: Trader) -> list[dict[str, Any]]:
    return await floor.rows("SELECT * FROM trading.orders WHERE account_id = %s", trader.account_id)


async def test_a_flag_that_is_taken_back_holds_what_has_not_left(floor: Floor, parts: Parts) -> None:
    """The order waits for a session meanwhile: nobody ever said yes to it."""
    trader = await follower(floor)
    await flagged(floor, trader)
    await lose_session(floor, trader)
    handle, signal = await drafted(
        parts, symbol="INFY", entry_price=Decimal(1500), target_price=Decimal(1600), stop_loss=Decimal(1400)
    )
    await handle.execute_update("publish", publication(parts, signal))
    await eventually(lambda: prepared(floor, trader), "the order to be prepared")
    (order,) = await prepared(floor, trader)
    await floor.reaches(order["order_id"], "awaiting_session")
    async with floor.database.transaction() as connection:
        await signal_orders.set_mode(connection, trader.account_id, "confirm", None)
    await floor.begin(trader.user_id, account_id=trader.account_id)
    await floor.complete(trader.account_id, trader.broker_user)
    ended = await floor.reaches(order["order_id"], "risk_rejected")
    assert ended["reason_code"] == "confirmation_required"
    assert await floor.sent(trader) == []
    stop = "UPDATE trading.accounts SET signal_order_value = 0 WHERE account_id = %s RETURNING 1"
    await floor.rows(stop, trader.account_id)
    await withdrawn(parts, handle, signal)


async def test_an_order_waits_for_each_customer_who_wants_it_and_leaves_unasked_only_where_flagged(
    floor: Floor, parts: Parts
) -> None:
    asked, unasked = await follower(floor), await follower(floor)
    silent, unpaid = await follower(floor, value=0), await follower(floor, plan=False)
    small = await follower(floor, value=1_499_99)
    await flagged(floor, unasked)
    handle, signal = await drafted(
        parts, symbol="INFY", entry_price=Decimal(1500), target_price=Decimal(1600), stop_loss=Decimal(1400)
    )
    await handle.execute_update("publish", publication(parts, signal))

    async def both() -> bool:
        return bool(await prepared(floor, asked)) and bool(await prepared(floor, unasked))

    await eventually(both, "two orders to be prepared")
    await floor.reaches((await prepared(floor, unasked))[0]["order_id"], "filled")
    (waits,) = await prepared(floor, asked)
    assert (waits["status"], waits["quantity"], waits["signal_id"]) == (
        "awaiting_confirmation",
        10,
        signal.signal_id,
    )
    assert await floor.sent(asked) == []

    again = await floor.client.start_workflow(
        "SignalOrders",
        SignalOrdersInput(signal_id=signal.signal_id),
        id=f"signal-orders-again-{signal.signal_id}",
        task_queue=Queue.SIGNALS,
    )
    assert await again.result() == 2
    for trader, orders in ((asked, 1), (unasked, 1), (silent, 0), (unpaid, 0), (small, 0)):
        assert len(await prepared(floor, trader)) == orders

    confirmed = await floor.update(waits["order_id"], "confirm", user_id=asked.user_id)
    assert confirmed.refused is None, confirmed
    await floor.reaches(waits["order_id"], "filled")
    assert len(await floor.placed(waits["order_id"])) == 1

    newest = (await floor.place(asked, quantity=1))["order_id"]
    async with floor.database.reading() as connection:
        listed = partial(
            trading.list_of, connection, asked.user_id, status=None, start=None, end=None, limit=1
        )
        first = await listed(after=None)
        second = await listed(after=newest)
    assert [row["order_id"] for row in first] == [newest, waits["order_id"]], "one more tells of a next page"
    assert [row["order_id"] for row in second] == [waits["order_id"]]
    await withdrawn(parts, handle, signal)
