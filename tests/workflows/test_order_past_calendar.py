"""A day that no calendar of ours knows: the order leaves, and the broker says that the market is shut."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date

import pytest

from activities import order_checks
from cli.embedded import EmbeddedEngines
from domain.market_calendar import INDIA_2026
from tests.workflows.traders import Floor, floor_of, working

HOLIDAY = "2026-11-24T10:00:00+05:30"
"""A Tuesday on which the exchange is shut."""
ENDED = replace(INDIA_2026, holidays=frozenset(), special={}, known_until=date(2025, 12, 31))
"""The calendar as it stands past its end."""


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        await floor.clock(HOLIDAY)
        yield floor
        await floor.clock()


async def test_an_order_on_an_unknown_holiday_is_refused_by_the_broker_and_says_so(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader = await floor.trader()
    waits = await floor.place(trader)
    assert (await floor.reaches(waits["order_id"], "awaiting_market"))["broker_order_id"] is None
    monkeypatch.setattr(order_checks, "INDIA_2026", ENDED)
    leaves = await floor.place(trader)
    row = await floor.reaches(leaves["order_id"], "rejected")
    assert (row["reason_code"], row["filled_quantity"]) == ("broker_refused_order", 0)
    assert len(await floor.sent(trader)) == 1, "it was asked once, and refused"
    assert await floor.placed(leaves["order_id"]) == []
