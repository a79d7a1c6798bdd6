"""Settlements two bank days after the capture, as the gateway makes them: nothing is missed too early."""

from collections.abc import AsyncIterator

import pytest

from cli.embedded import EmbeddedEngines
from models.settings import Settings
from tests.workflows.settlements import SettlementDay, run_of, served
from tests.workflows.subscribers import Town, town

LAG = 2


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database, serve=False) as made, served(made, lag_days=LAG):
        yield made


def test_the_gateways_own_lag_holds_where_nothing_else_is_said(engines: EmbeddedEngines) -> None:
    assert Settings.model_fields["settlement_lag_days"].default == LAG
    assert engines.environment["TREUM_SETTLEMENT_LAG_DAYS"] == "0"
    assert engines.settings.settlement_lag_days == 0


async def test_a_capture_is_missing_on_the_day_of_its_settlement_and_on_no_day_before(place: Town) -> None:
    monday = SettlementDay(place)
    await monday.begin()
    tuesday, wednesday, thursday, friday = (monday.after(n) for n in range(1, 5))
    first = await monday.paid()
    await monday.settle(LAG)
    late, other = await tuesday.paid(5_000_00), await tuesday.paid(7_000_00)
    await tuesday.settle(LAG)
    planted = await thursday.plant("missing_line", payment_id=late.id)
    for day in (monday, tuesday):
        compared = await day.reconcile()
        assert (compared.status, compared.lines, compared.breaks) == ("balanced", 0, [])
    # Tuesday's captures are not due on Wednesday, though they came after the settlement before it.
    compared = await wednesday.reconcile()
    assert (compared.status, compared.matched, compared.breaks) == ("balanced", 1, [])
    assert (await wednesday.book())["gateway_clearing"] == -first.amount
    compared = await thursday.reconcile()
    [found] = compared.breaks
    assert (found.kind, found.reference, found.difference) == ("missing_line", late.id, 5_000_00)
    assert (await thursday.book())["gateway_clearing"] == -other.amount
    await place.control("/razorpay/line", date=friday.date.isoformat(), line=planted["before"])
    compared = await friday.reconcile()
    assert (compared.status, compared.matched) == ("balanced", 1)
    assert await run_of(thursday, found).result() == "resolved"
    assert (await thursday.reconcile()).breaks == []
