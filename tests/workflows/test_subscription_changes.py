"""Plans changed in mid-cycle, and periods cut short: what begins, what ends, what goes back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from cli.embedded import EmbeddedEngines
from domain.proration import unexpired
from domain.refunds import subscription_grant
from models.messages.billing import PaymentRefunded
from tests.workflows.subscribers import Subscriber, Town, eventually, refusal, town

UP = "pln_enterprise_monthly"
PREMIUM, ENTERPRISE = 1_999_00, 9_999_00


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database) as made:
        yield made


async def changed(place: Town, one: Subscriber, plan_id: str) -> dict[str, Any]:
    """The row once it shows that plan."""

    async def there() -> dict[str, Any] | None:
        row = await place.row(one)
        return row if row["plan_id"] == plan_id else None

    found: dict[str, Any] = await eventually(there, f"{one.subscription_id} to change to {plan_id}")
    return found


async def tokens_ended(place: Town) -> set[str]:
    items = await place.journal()
    return {item["effect"]["token_id"] for item in items if item["effect"] and "cancelled" in item["effect"]}


async def test_an_upgrade_begins_when_it_is_paid_and_the_unexpired_part_goes_back(place: Town) -> None:
    one = await place.active()
    await place.forward(one, timedelta(days=10))
    before, old_token = await place.row(one), one.token_id
    answer = await place.command(one, "change_plan", plan_id=UP)
    assert (answer["plan_id"], answer["pending_plan_id"]) == ("pln_premium_monthly", UP)
    await place.pay(one)
    after = await changed(place, one, UP)
    start, end = before["current_period_start"], before["current_period_end"]
    assert (after["period"], after["pending_plan_id"], after["token_id"]) == (2, None, one.token_id)
    assert start + timedelta(days=10) <= after["current_period_start"] < end
    assert (await place.held(one))["plan_tier"] == "enterprise"
    back = await place.refund_of(before["payment_id"])
    owed = unexpired(PREMIUM, start, end, after["current_period_start"], day_used=False)
    assert (back["amount"], back["reason_code"], back["authority"]) == (owed, "plan_changed", "system")
    query = "SELECT kind, total FROM finance.invoices WHERE payment_id = %s ORDER BY kind"
    notes = await place.rows(query, before["payment_id"])
    assert [(note["kind"], note["total"]) for note in notes] == [("credit_note", owed), ("invoice", PREMIUM)]
    assert await eventually(lambda: _is_in(place, old_token), "the old mandate to end")
    await place.forward(one, timedelta(days=33))
    assert [debit["amount"] for debit in await place.debits(one)] == [ENTERPRISE]
    assert len(await place.charges(one)) == 1


async def _is_in(place: Town, token: str) -> bool:
    return token in await tokens_ended(place)


async def test_a_change_that_nobody_pays_changes_nothing(place: Town) -> None:
    one = await place.active()
    await place.command(one, "change_plan", plan_id=UP)
    await place.forward(one, timedelta(days=5))
    row = await place.row(one)
    assert (row["plan_id"], row["pending_plan_id"], row["period"]) == ("pln_premium_monthly", None, 1)
    late = await place.pay(one, plan_id=UP)
    assert (await place.refund_of(late))["amount"] == ENTERPRISE
    await place.forward(one, timedelta(days=30))
    row = await place.status(one, "active")
    assert (row["plan_id"], row["period"]) == ("pln_premium_monthly", 2)


async def test_an_upgrade_takes_back_the_debit_that_was_announced(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] - timedelta(hours=3))
    await place.command(one, "change_plan", plan_id=UP)
    # Until it is paid, the renewal stands as it was announced.
    assert [debit["state"] for debit in await place.debits(one)] == ["noticed"]
    await place.pay(one)
    await changed(place, one, UP)
    assert [debit["state"] for debit in await place.debits(one)] == ["withdrawn"]
    await place.forward(one, timedelta(days=3))
    assert await place.charges(one) == []


async def test_a_debit_that_had_left_before_the_upgrade_goes_back(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] - timedelta(minutes=5))
    await place.command(one, "change_plan", plan_id=UP)
    await place.control(
        "/faults", target="razorpay", match="create/recurring", fault="slow", times=1, seconds=1.5
    )
    passing = asyncio.create_task(place.forward(one, timedelta(minutes=10)))

    async def sending() -> bool:
        return [debit["state"] for debit in await place.debits(one)] == ["sending"]

    await eventually(sending, "the debit to leave")
    await place.pay(one)
    await passing
    row = await changed(place, one, UP)
    [debit] = await place.debits(one)
    assert (await place.refund_of(debit["payment_id"]))["amount"] == PREMIUM
    # Its invoice names the plan that it was for.
    titles = await place.rows(
        """SELECT t.plan_id FROM finance.payments p JOIN finance.subscription_plans t ON t.name = p.title
           WHERE p.payment_id = %s""",
        debit["payment_id"],
    )
    assert titles == [{"plan_id": "pln_premium_monthly"}]
    assert ((await place.row(one))["status"], row["period"]) == ("active", 2)


async def test_a_cancel_before_the_upgrade_is_paid_wins(place: Town) -> None:
    one = await place.active()
    await place.command(one, "change_plan", plan_id=UP)
    await place.command(one, "cancel", at_period_end=True)
    late = await place.pay(one, plan_id=UP)
    assert (await place.refund_of(late))["amount"] == ENTERPRISE
    row = await place.row(one)
    assert (row["plan_id"], row["status"], row["cancel_at"]) == (
        "pln_premium_monthly", "active", row["current_period_end"],
    )  # fmt: skip


async def test_the_last_change_asked_for_counts(place: Town) -> None:
    one = await place.active()
    await place.command(one, "change_plan", plan_id=UP)
    answer = await place.command(one, "change_plan", plan_id="pln_premium_basic_monthly")
    assert (answer["pending_plan_id"], answer["next_plan_id"]) == (None, "pln_premium_basic_monthly")
    answer = await place.command(one, "change_plan", plan_id="pln_premium_monthly")
    assert (answer["pending_plan_id"], answer["next_plan_id"]) == (None, None)
    late = await place.pay(one, plan_id=UP)
    assert (await place.refund_of(late))["amount"] == ENTERPRISE
    assert (await place.row(one))["plan_id"] == "pln_premium_monthly"


async def test_what_the_mandate_does_not_cover_takes_a_checkout(place: Town) -> None:
    one = await place.active()
    answer = await place.command(one, "change_plan", plan_id="pln_premium_yearly")
    assert answer["pending_plan_id"] == "pln_premium_yearly"
    await place.pay(one)
    row = await changed(place, one, "pln_premium_yearly")
    assert timedelta(days=365) <= row["current_period_end"] - row["current_period_start"]


async def test_research_services_need_the_consent_also_where_a_plan_is_changed(place: Town) -> None:
    one = await place.subscribe("pln_premium_basic_monthly", await place.person(consents=False))
    await place.pay(one)
    await place.status(one, "active")
    assert await refusal(place.command(one, "change_plan", plan_id=UP)) == "consent_required"
    assert await refusal(place.command(one, "change_plan", plan_id="none")) == "plan_unknown"


async def test_a_halted_subscription_goes_on_with_another_plan(place: Town) -> None:
    one = await place.active()
    await place.control("/razorpay/mandate", token_id=one.token_id, state="cancelled")
    await place.forward(one, timedelta(days=40))
    await place.status(one, "halted")
    await place.command(one, "change_plan", plan_id=UP)
    await place.pay(one)
    row = await changed(place, one, UP)
    assert (row["status"], row["period"]) == ("active", 2)
    assert await place.rows("SELECT 1 FROM finance.refunds WHERE user_id = %s", one.user_id) == []


async def test_who_leaves_at_once_gets_the_unexpired_part_back(place: Town) -> None:
    one = await place.active()
    await place.forward(one, timedelta(days=12))
    answer = await place.command(one, "cancel", at_period_end=False)
    assert answer["status"] == "cancelled"
    row = await place.row(one)
    back = await place.refund_of(row["payment_id"])
    owed = unexpired(PREMIUM, row["current_period_start"], row["current_period_end"], row["cancel_at"])
    assert (back["amount"], back["reason_code"]) == (owed, "cancelled")
    assert (await place.held(one))["revoked_at"] is not None
    assert await one.handle.result() == "cancelled"
    assert one.token_id in await tokens_ended(place)


async def test_a_period_whose_payment_went_back_whole_ends_and_a_part_does_not_end_it(place: Town) -> None:
    one = await place.active()
    first = (await place.row(one))["payment_id"]
    await place.forward(one, timedelta(days=35))
    present = (await place.row(one))["payment_id"]
    for payment_id, full in ((first, True), (present, False), (present, True)):
        # Answered after what was said before.
        answer = await place.command(one, "change_plan", plan_id="pln_premium_monthly")
        assert answer["status"] == "active"
        told = PaymentRefunded(
            payment_id=payment_id, reference_id=one.subscription_id, refund_id="rfd_1", amount=1, full=full
        )
        await one.handle.signal("payment_refunded", told)
    await place.status(one, "cancelled")
    assert (await place.held(one))["revoked_at"] is not None
    assert (await place.row(one))["next_debit_at"] is None
    assert await place.rows("SELECT 1 FROM finance.refunds WHERE user_id = %s", one.user_id) == []


async def test_what_was_given_back_before_is_taken_off_what_an_end_gives(place: Town) -> None:
    one = await place.active()
    payment_id = (await place.row(one))["payment_id"]
    async with place.database.transaction() as connection:
        goodwill = "UPDATE finance.payments SET amount_refunding = 50000 WHERE payment_id = %s"
        await connection.execute(goodwill, (payment_id,))
    await place.forward(one, timedelta(days=12))
    await place.command(one, "cancel", at_period_end=False)
    row = await place.row(one)
    start, end, left_at = row["current_period_start"], row["current_period_end"], row["cancel_at"]
    owed = unexpired(PREMIUM, start, end, left_at) - 500_00
    assert (await place.refund_of(payment_id))["amount"] == owed
    # The rule by which a customer's own request is granted is the same: nothing more.
    left = PREMIUM - 500_00
    assert subscription_grant(PREMIUM, left, start, start, end, "cancelled", left_at) == owed
    assert subscription_grant(PREMIUM, left - owed, start, start, end, "cancelled", left_at) == 0


async def test_who_leaves_at_the_end_gets_nothing_back(place: Town) -> None:
    one = await place.active()
    await place.command(one, "cancel", at_period_end=True)
    await place.forward(one, timedelta(days=33))
    assert await one.handle.result() == "cancelled"
    assert await place.rows("SELECT 1 FROM finance.refunds WHERE user_id = %s", one.user_id) == []


async def test_what_is_earned_and_what_goes_back_are_the_price(place: Town) -> None:
    one = await place.active()
    await place.forward(one, timedelta(days=40))
    await place.command(one, "cancel", at_period_end=False)
    row = await place.row(one)
    await place.refund_of(row["payment_id"])
    sums = await place.rows(
        """SELECT r.payment_id, sum(coalesce(s.kept, s.amount))::bigint AS earned,
                  (SELECT sum(CASE kind WHEN 'invoice' THEN taxable ELSE -taxable END)::bigint
                   FROM finance.invoices i WHERE i.payment_id = r.payment_id) AS net
           FROM finance.revenue_plans r JOIN finance.revenue_segments s USING (payment_id)
           WHERE r.reference_id = %s GROUP BY r.payment_id""",
        one.subscription_id,
    )
    assert len(sums) == 2
    assert [each["earned"] for each in sums] == [each["net"] for each in sums]
