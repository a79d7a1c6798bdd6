"""Plans tried before they are paid: used without a debit, told of before the end, one a family of plans."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from cli.embedded import EmbeddedEngines
from domain.subscriptions import trial_message_id
from store.plans import TRIAL_DAYS
from tests.workflows.subscribers import Subscriber, Town, refusal, town

DAYS = timedelta(days=TRIAL_DAYS)


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database) as made:
        yield made


async def told(place: Town, one: Subscriber) -> bool:
    query = "SELECT 1 FROM platform.messages WHERE message_id = %s"
    return bool(await place.rows(query, trial_message_id(one.subscription_id)))


async def test_a_trial_that_nobody_pays_ends_after_its_customer_was_told(place: Town) -> None:
    one = await place.subscribe(trial=True)
    row = await place.status(one, "trial")
    held = await place.held(one)
    assert row["trial_ends_at"] - row["created_at"] >= DAYS - timedelta(hours=1)
    assert (held["plan_tier"], held["ends_at"], held["revoked_at"]) == ("premium", row["trial_ends_at"], None)
    await place.forward(one, DAYS - timedelta(days=4))
    assert not await told(place, one)
    await place.forward(one, timedelta(days=2))
    assert await told(place, one)
    await place.forward(one, timedelta(days=2, hours=1))
    # The end is the end of access; a checkout begun at the last moment may still be paid.
    await place.status(one, "awaiting_payment")
    assert (await place.held(one))["ends_at"] == row["trial_ends_at"]
    await place.forward(one, timedelta(days=1))
    assert await one.handle.result() == "expired"
    assert await place.debits(one) == []
    assert await place.rows("SELECT 1 FROM finance.payments WHERE user_id = %s", one.user_id) == []


@pytest.mark.parametrize("day", [5, TRIAL_DAYS])
async def test_a_trial_that_is_paid_goes_on(place: Town, day: int) -> None:
    one = await place.subscribe(trial=True)
    await place.forward(one, timedelta(days=day, minutes=5))
    paid_at = await place.now(one)
    await place.pay(one)
    row = await place.status(one, "active")
    assert (row["period"], row["current_period_start"] >= paid_at) == (1, True)
    assert (await place.held(one))["ends_at"] >= row["current_period_end"]
    await place.forward(one, timedelta(days=32))
    assert (await place.status(one, "active"))["period"] == 2


async def test_a_trial_is_taken_once_in_a_family_of_plans(place: Town) -> None:
    one = await place.subscribe(trial=True)
    answer = await place.command(one, "cancel", at_period_end=False)
    assert answer["status"] == "cancelled"
    assert (await place.held(one))["revoked_at"] is not None
    again = place.subscribe(user_id=one.user_id, trial=True)
    assert await refusal(again) == "trial_used"
    none = place.subscribe("pln_enterprise_monthly", one.user_id, trial=True)
    assert await refusal(none) == "trial_not_offered"
    other = await place.subscribe("pln_premium_basic_monthly", one.user_id, trial=True)
    assert (await place.status(other, "trial"))["reason_code"] is None


async def test_a_trial_is_cancelled_at_its_end(place: Town) -> None:
    one = await place.subscribe(trial=True)
    answer = await place.command(one, "cancel", at_period_end=True)
    assert (answer["status"], answer["cancel_at"]) == ("trial", answer["trial_ends_at"])
    await place.forward(one, DAYS + timedelta(minutes=5))
    assert await one.handle.result() == "cancelled"
    assert not await told(place, one)


async def test_a_trial_is_neither_paused_nor_changed(place: Town) -> None:
    one = await place.subscribe(trial=True)
    assert await refusal(place.command(one, "pause")) == "invalid_state"
    assert (
        await refusal(place.command(one, "change_plan", plan_id="pln_enterprise_monthly")) == "invalid_state"
    )
