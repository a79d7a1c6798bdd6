"""Whatever is decided of a day's breaks, the book is what its records say, account by account."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from cli.embedded import EmbeddedEngines
from domain.billing_calendar import ist_date
from domain.closing import month
from store import gst_returns, proof
from tests.workflows.settlements import SettlementDay, decide, served
from tests.workflows.subscribers import Town, town


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database, serve=False) as made, served(made):
        yield made


async def found(place: Town) -> dict[str, list[str]]:
    async with place.database.reading() as connection:
        return {name: wrong for name, wrong in (await proof.findings(connection)).items() if wrong}


async def test_every_account_follows_from_the_records_whatever_is_decided(place: Town) -> None:
    day = SettlementDay(place)
    await day.begin()
    user_id = await place.person()
    fee, tax, more, less, gone, kept, claimed = [
        await day.paid(1_000_00 * number, user_id) for number in range(1, 8)
    ]
    settled = await day.settle()
    assert await found(place) == {}
    await day.plant("wrong_fee", payment_id=fee.id, amount=(fee.fee or 0) + 3_00)
    await day.plant("wrong_tax", payment_id=tax.id)
    await day.plant("wrong_amount", payment_id=more.id, amount=more.amount + 11_00)
    await day.plant("wrong_amount", payment_id=less.id, amount=less.amount - 13_00)
    await day.plant("missing_line", payment_id=gone.id)
    await day.plant("extra_line", amount=170_00)
    extra = await day.plant("extra_line", amount=190_00)
    await day.plant("wrong_payout", payment_id=kept.id, amount=settled["amount"] - 23_00)
    await day.plant("wrong_amount", payment_id=claimed.id, amount=claimed.amount - 29_00)
    breaks = {each.reference: each for each in (await day.reconcile()).breaks}
    assert len(breaks) == 9
    assert await found(place) == {}
    decisions = {
        more.id: ("post_adjustment",), less.id: ("post_adjustment",),
        gone.id: ("write_off",), extra["entity_id"]: ("write_off",),
        settled["settlement_id"]: ("claim_gateway", "accept"), claimed.id: ("claim_gateway", "write_off"),
    }  # fmt: skip
    for reference, each in breaks.items():
        for resolution in decisions.get(reference, ("accept",)):
            await decide(day, each, resolution)
            assert await found(place) == {}, (reference, resolution)
    book = await day.book()
    assert book["gateway_clearing"] == -28_000_00
    assert book["reconciliation_suspense"] == -170_00 + 23_00
    assert (book["reconciliation_gains"], book["reconciliation_losses"]) == (-190_00 - 11_00, 13_00)
    assert book["bad_debt"] == gone.amount + 29_00
    credit = 0
    # The settlement stands in its own month, the tax that was accepted in that of the decision.
    for on in (day.date, ist_date(datetime.now(UTC))):
        async with place.database.reading() as connection:
            returns = await gst_returns.month(connection, *month(f"{on:%Y-%m}"), "KA")
        assert returns["ties"]["input"] == {"gst": 0}
        credit += sum(returns["gstr3b"]["4a5"].values())
    assert credit == book["input_gst"]


async def test_the_book_follows_a_settlement_that_is_listed_and_told_on_two_days(place: Town) -> None:
    for lines_first in (True, False):
        day = SettlementDay(place)
        SettlementDay(place)
        await day.begin()
        following, _ = await day.listed_a_day_late()
        for each in (day, following) if lines_first else (following, day):
            await each.reconcile()
            assert await found(place) == {}, (lines_first, each.date)
