"""The paper broker tells an order what the market has done to it, as a real one posts back."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from relay.sweepers import Sweepers
from store.commands import Commands
from temporal.commands import Envelope
from tests.workflows.papers import SYMBOL, PaperDesk, desk, floor
from tests.workflows.traders import Floor

__all__ = ["desk", "floor"]

QUIET_SECONDS = 4.0
"""After it an order that nobody tells anything looks by itself only seconds later."""


def sweepers(floor: Floor) -> Sweepers:
    """The relay's, which deliver what is received."""
    commands = Commands(floor.database, floor.vault)
    envelope = Envelope(floor.client, commands, timedelta(seconds=3))
    return Sweepers(floor.database, floor.vault, floor.client, envelope, commands)


async def signals(floor: Floor, order_id: str) -> list[str]:
    history = await floor.handle(order_id).fetch_history()
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


async def test_what_the_market_fills_between_two_looks_is_told_once(desk: PaperDesk) -> None:
    floor = desk.floor
    await floor.rows("DELETE FROM trading.last_prices RETURNING symbol")
    await desk.market(880)
    placed = await floor.place(desk.trader, symbol=SYMBOL, price=Decimal(870), quantity=2)
    other = await floor.place(desk.trader, symbol=SYMBOL, price=Decimal(850), quantity=2)
    for each in (placed, other):
        await floor.reaches(each["order_id"], "open")
    await asyncio.sleep(QUIET_SECONDS)
    await asyncio.gather(*(desk.market(869) for _ in range(3)))
    await sweepers(floor).deliver_events()
    ended = await floor.reaches(placed["order_id"], "filled")
    assert (ended["filled_quantity"], ended["average_price"]) == (2, 870)
    assert await signals(floor, placed["order_id"]) == ["broker_event"]
    assert await signals(floor, other["order_id"]) == []
    told = await floor.rows(
        "SELECT event_id, done_at IS NOT NULL AS done FROM platform.events WHERE workflow_id = ANY(%s)",
        [f"order:{each['order_id']}" for each in (placed, other)],
    )
    assert [tuple(row.values()) for row in told] == [(f"{ended['broker_order_id']}|complete", True)]
    gone = await floor.update(other["order_id"], "cancel")
    assert gone.refused is None, gone
