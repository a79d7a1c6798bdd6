"""SIGKILL of the billing worker anywhere in a payment or a refund: one charge, one refund, whole books."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.embedded import EmbeddedEngines
from tests.workflows.shop import AMOUNT, Purchase, Shop, eventually, shop
from tests.workflows.traders import Crew

TAKING = (
    "billing.open_payment:after",
    "billing.create_order:after_send",
    "billing.create_order:after",
    "billing.read_order:after_send",
    "billing.advance:after",
    "billing.capture:before",
    "billing.capture:after_send",
    "billing.capture:after",
    "billing.book_capture:before",
    "billing.book_capture:after",
)
GIVING = (
    "refunds.open_refund:after",
    "refunds.send:before",
    "refunds.send:after_send",
    "refunds.send:after",
    "refunds.advance:before",
    "refunds.advance:after",
)

# `test_kill_cut.py` is the cut of it for every change.
pytestmark = pytest.mark.campaign


class BillingCrew(Crew):
    """The billing pool as a process of its own."""

    pool = "billing"


@pytest.fixture(scope="module")
async def crew(
    engines: EmbeddedEngines, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BillingCrew]:
    armed: Path = tmp_path_factory.mktemp("kill-points") / "armed"
    async with BillingCrew(engines, armed) as crew:
        yield crew


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, crew: BillingCrew) -> AsyncIterator[Shop]:
    async with shop(engines, engines.settings.postgres, serve=False) as made:
        # The first answer of the pool: it stands, so that what follows measures kills and not its start.
        await eventually(lambda: _answers(made), bool)
        yield made


async def _answers(place: Shop) -> bool:
    return bool((await place.open(await place.purchase())).id)


async def _paid_once(place: Shop, one: Purchase) -> None:
    row = await place.status(one, "captured")
    assert len(await place.effects("captured", row["gateway_payment_id"])) == 1
    assert len(await place.documents(one)) == 1
    assert (await place.book(one.payment_id))["gateway_clearing"] == AMOUNT
    assert one.buyer is not None

    async def told() -> list[str]:
        return [said["signal"] for said in await one.buyer.query("heard")]  # type: ignore[union-attr]

    assert await eventually(told, bool) == ["captured"]


@pytest.mark.parametrize("point", TAKING)
async def test_a_killed_worker_leaves_one_charge_and_one_invoice(
    place: Shop, crew: BillingCrew, point: str
) -> None:
    one, deaths = await place.purchase(), crew.deaths
    crew.arm(point)
    await place.open(one)
    await place.pay(one)
    await _paid_once(place, one)
    await eventually(crew.died_after(deaths), bool)


@pytest.mark.parametrize("point", GIVING)
async def test_a_killed_worker_leaves_one_refund_and_one_note(
    place: Shop, crew: BillingCrew, point: str
) -> None:
    one = await place.purchase()
    await place.open(one)
    await place.pay(one)
    gateway_payment = (await place.status(one, "captured"))["gateway_payment_id"]
    deaths = crew.deaths
    crew.arm(point)
    refund_id, _ = await place.refund(one, "finance", "usr_finance")
    await place.refund_row(refund_id, "processed")
    await eventually(crew.died_after(deaths), bool)
    assert len(await place.effects("refunded", gateway_payment)) == 1
    assert [document["kind"] for document in await place.documents(one)] == ["invoice", "credit_note"]
    assert await place.book(one.payment_id) == {}
