"""What a renewal may not pass: the family's fees of a year, an open dispute, days on which banks rest."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from activities.subscriptions import SubscriptionActivities
from cli.embedded import EmbeddedEngines
from domain.billing_calendar import is_bank_day, ist_date
from domain.errors import Rejected
from models.contracts.identifiers import Prefix, mint
from models.messages.disputes import PaymentDisputed
from models.messages.subscriptions import Open, SubscriptionInput
from store import identity_consents, identity_profiles, identity_risk, monitoring
from store.invoices import Supplier
from tests.workflows.subscribers import Subscriber, Town, eventually, refusal, town

HUGE = "pln_test_huge"
COSTLY = "pln_test_costly"
"""Rs 14,999 a month: twelve payments are more than a family may pay in a year."""


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database) as made:
        async with made.database.transaction() as connection:
            await connection.execute(
                """INSERT INTO finance.subscription_plans (plan_id, name, tier, amount, currency, cycle,
                       research_services, sac, place, family)
                   VALUES ('pln_test_costly', 'Costly, monthly', 'enterprise', 1499900, 'INR', 'monthly',
                       true, '998311', 90, 'costly'),
                       ('pln_test_huge', 'Huge, yearly', 'enterprise', 17000000, 'INR', 'yearly', true,
                       '998311', 91, 'huge')"""
            )
        yield made


async def family(place: Town, user_id: str, *members: str) -> None:
    named = [{"name": "A Relative", "relation": "spouse", "user_id": member} for member in members]
    async with place.database.transaction() as connection:
        await identity_profiles.set_family(connection, place.vault, user_id, named, datetime.now(UTC))


async def test_a_renewal_beyond_the_years_fees_is_not_debited_and_goes_on_when_there_is_room(
    place: Town,
) -> None:
    one = await place.active(COSTLY)
    await place.forward(one, timedelta(days=30 * 12))
    row = await place.status(one, "paused")
    assert (row["period"], row["reason_code"], row["next_debit_at"]) == (11, "fee_cap_reached", None)
    assert len(await place.charges(one)) == 10
    # What is paid for stays usable.
    assert (await place.held(one))["ends_at"] == row["current_period_end"]
    debits = {debit["message_id"] for debit in await place.debits(one)}
    mails = await place.rows("SELECT message_id FROM platform.messages WHERE person_id = %s", one.user_id)
    assert len({mail["message_id"] for mail in mails} - debits) == 1
    await place.forward(one, timedelta(days=25))
    await place.command(one, "resume")
    await place.forward(one, timedelta(days=3))
    row = await place.status(one, "active")
    assert (row["period"], row["reason_code"]) == (12, None)


async def test_nothing_is_debited_for_research_services_once_the_consent_is_withdrawn(place: Town) -> None:
    one = await place.active()
    async with place.database.transaction() as connection:
        await identity_consents.withdraw(
            connection, one.user_id, "research_services", None, None, datetime.now(UTC)
        )
    await place.forward(one, timedelta(days=33))
    row = await place.status(one, "paused")
    assert (row["period"], row["reason_code"]) == (1, "consent_required")
    assert await place.debits(one) == []


async def scored(place: Town, one: Subscriber, score: int) -> None:
    """Compliance records a fraud score, as of the subscription's own time, for ten days."""
    now = await place.now(one)
    async with place.database.transaction() as connection:
        await identity_risk.set_score(
            connection, user_id=one.user_id, kind="fraud", score=score, source="test", set_by="usr_0f1a",
            now=now, expires_at=now + timedelta(days=10),
        )  # fmt: skip


async def alerts(place: Town, one: Subscriber) -> list[tuple[str, str, str]]:
    query = "SELECT flag, effect, stage FROM finance.payment_alerts WHERE user_id = %s ORDER BY number"
    return [(row["flag"], row["effect"], row["stage"]) for row in await place.rows(query, one.user_id)]


async def mails(place: Town, one: Subscriber) -> int:
    """Besides the notices of debits."""
    noticed = {debit["message_id"] for debit in await place.debits(one)}
    rows = await place.rows("SELECT message_id FROM platform.messages WHERE person_id = %s", one.user_id)
    return len({row["message_id"] for row in rows} - noticed)


async def test_a_renewal_that_monitoring_blocks_is_not_announced(place: Town) -> None:
    one = await place.active()
    await place.forward(one, timedelta(days=20))
    await scored(place, one, 81)
    await place.forward(one, timedelta(days=9))
    row = await place.status(one, "paused")
    # The neutral code, and no word of scores.
    assert (row["period"], row["reason_code"], row["next_debit_at"]) == (1, "payment_declined", None)
    assert await place.debits(one) == []
    assert await alerts(place, one) == [("FRAUD_SCORE", "block", "create")]
    assert await mails(place, one) == 1
    [entry] = await place.rows(
        "SELECT * FROM audit.trail WHERE action = 'payment.flagged' AND %s = ANY(subjects)", one.user_id
    )
    assert entry["run"] == one.handle.id
    await scored(place, one, 10)
    await place.command(one, "resume")
    await place.forward(one, timedelta(days=5))
    row = await place.status(one, "active")
    assert (row["period"], row["reason_code"]) == (2, None)


async def test_what_compliance_learns_between_notice_and_debit_stops_the_debit(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] - timedelta(hours=2))
    [debit] = await place.debits(one)
    assert debit["state"] == "noticed"
    await scored(place, one, 95)
    await place.forward(one, timedelta(hours=3))
    row = await place.status(one, "paused")
    assert (row["period"], row["reason_code"]) == (1, "payment_declined")
    [debit] = await place.debits(one)
    assert (debit["state"], debit["failure_code"], debit["sent_at"]) == (
        "withdrawn",
        "payment_declined",
        None,
    )
    assert await place.charges(one) == []
    assert await alerts(place, one) == [("FRAUD_SCORE", "block", "capture")]
    assert await mails(place, one) == 1


async def test_without_kyc_in_force_nothing_is_renewed(place: Town) -> None:
    one = await place.active()
    async with place.database.transaction() as connection:
        await connection.execute(
            "UPDATE user_management.kyc_status SET expires_at = %s WHERE user_id = %s",
            (await place.now(one) + timedelta(days=20), one.user_id),
        )
    await place.forward(one, timedelta(days=33))
    row = await place.status(one, "paused")
    assert (row["period"], row["reason_code"]) == (1, "kyc_tier_required")
    assert await place.debits(one) == []


async def test_a_renewal_above_the_tiers_single_limit_is_not_made_and_a_large_one_is_told(
    place: Town,
) -> None:
    small, large = [
        await place.subscribe(HUGE, await place.person(tier=tier)) for tier in ("basic", "intermediate")
    ]
    for one in (small, large):
        await place.pay(one, "emandate")
        await place.status(one, "active")
        await place.forward(one, timedelta(days=372))
    row = await place.row(small)
    assert (row["status"], row["period"], row["reason_code"]) == ("paused", 1, "kyc_tier_required")
    assert ("SINGLE_LIMIT_EXCEEDED", "block", "create") in await alerts(place, small)
    assert ((await place.row(large))["period"], await alerts(place, large)) == (
        2,
        [("HIGH_VALUE_TRANSACTION", "flag", "create")],
    )
    async with place.database.reading() as connection:
        [shown] = await monitoring.alerts(connection, user_id=large.user_id, limit=10)
    assert (shown["amount"], shown["subscription_id"]) == (1_70_000_00, large.subscription_id)


async def test_a_family_pays_no_more_together(place: Town) -> None:
    mother, daughter = await place.person(), await place.person()
    # She named her daughter; it holds for both.
    await family(place, mother, daughter)
    first = await place.subscribe("pln_test_huge", daughter)
    assert await refusal(place.subscribe(COSTLY, mother)) == "fee_cap_reached"
    await place.pay(first)
    await place.status(first, "active")
    assert await refusal(place.subscribe(COSTLY, mother)) == "fee_cap_reached"
    basic = await place.subscribe("pln_premium_basic_monthly", mother)
    await place.pay(basic)
    await place.status(basic, "active")
    assert await refusal(place.command(basic, "change_plan", plan_id=COSTLY)) == "fee_cap_reached"
    await family(place, mother)
    changing = await place.command(basic, "change_plan", plan_id=COSTLY)
    assert changing["pending_plan_id"] == COSTLY


async def test_a_years_fees_are_those_of_the_year_before_the_subscriptions_own_time(place: Town) -> None:
    mother, daughter = await place.person(), await place.person()
    await family(place, mother, daughter)
    paid = await place.subscribe(HUGE, daughter)
    await place.pay(paid)
    await place.status(paid, "active")
    wanted = SubscriptionInput(
        subscription_id=mint(Prefix.SUBSCRIPTION), user_id=mother, plan_id=COSTLY, trial=False
    )
    books = SubscriptionActivities(place.database, place.vault, Supplier.of(place.settings))
    now = datetime.now(UTC)
    with pytest.raises(Rejected, match="fee_cap_reached"):
        await books.open(Open(given=wanted, as_of=now))
    later = now + timedelta(days=366)
    await books.open(Open(given=wanted, as_of=later))
    row = await place.rows(
        "SELECT created_at FROM finance.user_subscriptions WHERE subscription_id = %s", wanted.subscription_id
    )
    assert row == [{"created_at": later}]


async def test_two_of_a_family_at_once_do_not_both_fit(place: Town) -> None:
    people = [await place.person() for _ in range(4)]
    for person in people[1:]:
        await family(place, person, people[0])

    async def take(person: str) -> str:
        try:
            await place.subscribe("pln_test_huge", person)
        except Exception as failure:  # noqa: BLE001  # the refusal is what is counted
            return str(failure.__cause__)
        return "taken"

    outcomes = await asyncio.gather(*(take(person) for person in people))
    assert outcomes.count("taken") == 1


async def test_two_of_a_family_who_change_their_plans_at_once_do_not_both_fit(place: Town) -> None:
    people = sorted([await place.person(), await place.person()])
    await family(place, *people)
    both = [await place.subscribe("pln_premium_basic_monthly", person) for person in people]
    for one in both:
        await place.pay(one)
        await place.status(one, "active")

    async def change(one: Subscriber) -> str:
        try:
            await place.command(one, "change_plan", plan_id=HUGE)
        except WorkflowUpdateFailedError as failure:
            return str(failure.cause.details[0])  # type: ignore[union-attr]
        return "taken"

    async def both_ask() -> bool:
        waiting = """SELECT count(*) AS n FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted"""
        return (await place.rows(waiting))[0]["n"] >= 2

    async with place.database.transaction() as connection:
        # The family's lock: whoever asks waits, so that both are quoted before either is stored.
        lock = "SELECT pg_advisory_xact_lock(hashtextextended('fees:' || %s, 0))"
        await connection.execute(lock, (people[0],))
        changing = [asyncio.create_task(change(one)) for one in both]
        await eventually(both_ask, "both to be quoted")
    assert sorted(await asyncio.gather(*changing)) == ["fee_cap_reached", "taken"]
    rows = [await place.row(one) for one in both]
    assert sorted(row["pending_plan_id"] or "" for row in rows) == ["", HUGE]


async def dispute(one: Subscriber, payment_id: str, state: str) -> None:
    told = PaymentDisputed(
        payment_id=payment_id, reference_id=one.subscription_id, dispute_id="disp_1", state=state
    )
    await one.handle.signal("payment_disputed", told)


async def held(place: Town, one: Subscriber, on_hold: bool) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        row = await place.row(one)
        return row if row["on_hold"] is on_hold else None

    found: dict[str, Any] = await eventually(there, f"on_hold to be {on_hold}")
    return found


async def test_a_dispute_holds_access_and_debits_until_it_is_won(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] - timedelta(hours=2))
    await dispute(one, row["payment_id"], "opened")
    await held(place, one, True)
    assert [debit["state"] for debit in await place.debits(one)] == ["withdrawn"]
    assert (await place.held(one))["revoked_at"] is not None
    assert (
        await refusal(place.command(one, "change_plan", plan_id="pln_enterprise_monthly"))
        == "payment_disputed"
    )
    await place.forward(one, timedelta(days=20))
    assert await place.charges(one) == []
    await dispute(one, row["payment_id"], "won")
    # Nothing is owed for the time without access: the next period starts when it is paid.
    await held(place, one, False)
    await place.forward(one, timedelta(days=2))
    after = await place.status(one, "active")
    assert after["current_period_start"] >= row["current_period_end"] + timedelta(days=19)
    assert (await place.held(one))["revoked_at"] is None


async def test_a_dispute_that_is_won_in_time_gives_access_back(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await dispute(one, row["payment_id"], "opened")
    await held(place, one, True)
    await dispute(one, row["payment_id"], "won")
    await held(place, one, False)
    access = await place.held(one)
    assert (access["revoked_at"], access["ends_at"] >= row["current_period_end"]) == (None, True)


async def test_a_dispute_that_is_lost_ends_it_and_gives_nothing_back_twice(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await dispute(one, row["payment_id"], "opened")
    await held(place, one, True)
    await dispute(one, row["payment_id"], "lost")
    assert await one.handle.result() == "cancelled"
    assert (await place.held(one))["revoked_at"] is not None
    assert await place.rows("SELECT 1 FROM finance.refunds WHERE user_id = %s", one.user_id) == []


async def test_a_lost_dispute_of_an_earlier_payment_leaves_what_another_one_bought(place: Town) -> None:
    one = await place.active()
    first = (await place.row(one))["payment_id"]
    await place.forward(one, timedelta(days=35))
    row = await place.row(one)
    assert (row["period"], row["payment_id"] == first) == (2, False)
    await dispute(one, first, "opened")
    await held(place, one, True)
    await dispute(one, first, "lost")
    row = await held(place, one, False)
    assert (row["status"], row["cancel_at"]) == ("active", row["current_period_end"])
    access = await place.held(one)
    assert (access["revoked_at"], access["ends_at"]) == (None, row["current_period_end"])
    await place.forward(one, timedelta(days=33))
    assert await one.handle.result() == "cancelled"
    assert len(await place.charges(one)) == 1


async def test_a_bank_mandate_is_debited_on_bank_days_only(place: Town) -> None:
    one = await place.active(method="emandate")
    await place.forward(one, timedelta(days=200))
    debits = await place.debits(one)
    assert len(debits) >= 5
    for debit in debits:
        assert is_bank_day(ist_date(debit["due_at"]))
        assert debit["sent_at"] >= debit["due_at"] >= debit["noticed_at"] + timedelta(hours=24)


async def test_a_bank_that_says_yes_after_it_was_cancelled_gives_the_money_back(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="failure")
    await place.forward(one, row["current_period_end"] - row["current_period_start"] + timedelta(hours=3))
    await place.status(one, "past_due")
    await place.command(one, "cancel")
    [debit] = [debit for debit in await place.debits(one) if debit["state"] == "failed"]
    now = (await place.now(one)).isoformat()
    order_id = debit["gateway_order_id"]
    await place.control("/razorpay/checkout", order_id=order_id, method="card", outcome="success", now=now)
    await one.handle.signal("gateway_event", {"event_number": 1, "gateway_order_id": order_id})
    assert (await place.refund_of(debit["payment_id"]))["amount"] == 1_999_00
    await place.forward(one, timedelta(days=4))
    assert await one.handle.result() == "cancelled"


async def test_a_late_yes_at_the_price_of_a_plan_that_is_left_goes_back(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="failure")
    await place.forward(one, row["current_period_end"] - row["current_period_start"] + timedelta(hours=3))
    await place.status(one, "past_due")
    await place.command(one, "change_plan", plan_id="pln_premium_basic_monthly")
    failed = (await place.debits(one))[0]
    now = (await place.now(one)).isoformat()
    order_id = failed["gateway_order_id"]
    await place.control("/razorpay/checkout", order_id=order_id, method="card", outcome="success", now=now)
    await place.forward(one, timedelta(days=5))
    assert (await place.refund_of(failed["payment_id"]))["amount"] == 1_999_00
    row = await place.status(one, "active")
    assert (row["period"], row["plan_id"]) == (2, "pln_premium_basic_monthly")
    assert [debit["amount"] for debit in await place.debits(one) if debit["state"] == "captured"] == [999_00]
