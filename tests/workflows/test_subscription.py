"""A subscription's story on the real server: first payment, renewals in virtual time, dunning, cancels."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio.service import RPCError, RPCStatusCode

from cli.embedded import EmbeddedEngines
from tests.workflows.subscribers import Subscriber, Town, eventually, longest_run, refusal, town


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database) as made:
        yield made


async def test_the_first_payment_makes_it_active_and_entitles(place: Town) -> None:
    one = await place.subscribe()
    assert (await place.row(one))["status"] == "awaiting_payment"
    await place.pay(one)
    row = await place.status(one, "active")
    assert row["period"] == 1
    assert row["token_id"] == one.token_id
    assert row["mandate_max"] == 15_000_00
    assert timedelta(days=28) <= row["current_period_end"] - row["current_period_start"] <= timedelta(days=31)
    held = await place.rows("SELECT * FROM finance.entitlements WHERE user_id = %s", one.user_id)
    assert [item["plan_tier"] for item in held] == ["premium"]


async def test_a_year_of_renewals_with_one_failure_that_recovers(place: Town) -> None:
    one = await place.active()
    await place.forward(one, timedelta(days=100))
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="failure")
    await place.forward(one, timedelta(days=280))
    row = await place.status(one, "active")
    debits = await place.debits(one)
    captured = [debit for debit in debits if debit["state"] == "captured"]
    assert row["period"] == 13
    assert len(captured) == 12
    assert [debit["state"] for debit in debits].count("failed") == 1
    assert len(await place.charges(one)) == 12
    for debit in debits:
        assert debit["due_at"] - debit["noticed_at"] >= timedelta(hours=24)
    sent = await place.rows("SELECT message_id FROM platform.messages WHERE person_id = %s", one.user_id)
    assert {item["message_id"] for item in sent} >= {debit["message_id"] for debit in debits}
    books = await place.rows(
        """SELECT count(*) AS payments, count(i.invoice_id) AS invoices, count(e.entry_id) AS entries
           FROM finance.payments p LEFT JOIN finance.invoices i USING (payment_id)
           LEFT JOIN finance.journal_entries e ON e.business_key = 'capture:' || p.payment_id
           WHERE p.reference_id = %s AND p.status = 'captured'""",
        one.subscription_id,
    )
    assert books[0] == {"payments": 13, "invoices": 13, "entries": 13}
    counts = await longest_run(place.client, one.handle.id)
    assert max(counts) <= 40, counts


async def test_four_failed_debits_halt_it_and_a_resumption_starts_anew(place: Town) -> None:
    one = await place.active(method="upi")
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="failure", times=4)
    await place.forward(one, timedelta(days=40))
    row = await place.status(one, "halted")
    debits = await place.debits(one)
    assert [debit["state"] for debit in debits] == ["failed"] * 4
    first = debits[0]["due_at"]
    for number, debit in enumerate(debits):
        assert debit["due_at"] - debit["noticed_at"] >= timedelta(hours=25)
        assert debit["due_at"] >= first + timedelta(days=number)
    held = await place.rows("SELECT * FROM finance.entitlements WHERE reference = %s", one.subscription_id)
    assert held[0]["revoked_at"] is not None
    assert row["next_debit_at"] is None
    await place.command(one, "resume")
    await place.forward(one, timedelta(days=5))
    row = await place.status(one, "active")
    assert row["period"] == 2
    # Nothing is owed for the time without access: the period begins when it was paid.
    assert row["current_period_start"] > debits[-1]["due_at"]
    held = await place.rows("SELECT * FROM finance.entitlements WHERE reference = %s", one.subscription_id)
    assert held[0]["revoked_at"] is None
    assert len(await place.charges(one)) == 1


async def test_a_cancel_before_the_debit_leaves_always_wins(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    before_debit = row["current_period_end"] - row["current_period_start"] - timedelta(hours=1)
    await place.forward(one, before_debit)
    assert [debit["state"] for debit in await place.debits(one)] == ["noticed"]
    answer = await place.command(one, "cancel", at_period_end=True)
    assert answer["status"] == "active"
    assert answer["next_debit_at"] is None
    await place.forward(one, timedelta(days=3))
    assert (await place.row(one))["status"] == "cancelled"
    assert [debit["state"] for debit in await place.debits(one)] == ["withdrawn"]
    assert await place.charges(one) == []
    assert await one.handle.result() == "cancelled"


async def test_cancel_now_ends_access_now(place: Town) -> None:
    one = await place.active()
    answer = await place.command(one, "cancel", at_period_end=False)
    assert answer["status"] == "cancelled"
    held = await place.rows("SELECT * FROM finance.entitlements WHERE reference = %s", one.subscription_id)
    assert held[0]["revoked_at"] is not None


async def test_a_paused_subscription_is_not_debited(place: Town) -> None:
    one = await place.active()
    await place.command(one, "pause")
    await place.forward(one, timedelta(days=10))
    assert await refusal(place.command(one, "pause")) == "invalid_state"
    await place.command(one, "resume")
    await place.forward(one, timedelta(days=25))
    row = await place.status(one, "active")
    assert row["period"] == 2
    await place.command(one, "pause")
    await place.forward(one, timedelta(days=35))
    assert (await place.row(one))["status"] == "paused"
    assert len(await place.charges(one)) == 1


async def test_a_cheaper_plan_begins_with_the_next_period(place: Town) -> None:
    one = await place.active()
    assert await refusal(place.command(one, "change_plan", plan_id="none")) == "plan_unknown"
    answer = await place.command(one, "change_plan", plan_id="pln_premium_basic_monthly")
    assert (answer["plan_id"], answer["next_plan_id"]) == (
        "pln_premium_monthly", "pln_premium_basic_monthly",
    )  # fmt: skip
    await place.forward(one, timedelta(days=32))
    row = await place.status(one, "active")
    assert row["plan_id"] == "pln_premium_basic_monthly"
    assert [debit["amount"] for debit in await place.debits(one)] == [999_00]


async def test_without_consent_or_beside_another_it_is_refused(place: Town) -> None:
    assert await refusal(place.subscribe(user_id=await place.person(consents=False))) == "consent_required"
    one = await place.subscribe()
    assert await refusal(place.subscribe(user_id=one.user_id)) == "already_subscribed"


async def test_what_is_never_paid_expires(place: Town) -> None:
    one = await place.subscribe()
    await place.forward(one, timedelta(hours=25))
    assert (await place.row(one))["status"] == "expired"
    assert await one.handle.result() == "expired"


async def test_above_the_limit_the_customer_approves_each_debit(place: Town) -> None:
    one = await place.active("pln_premium_yearly")
    row = await place.row(one)
    year = row["current_period_end"] - row["current_period_start"]
    await place.forward(one, year + timedelta(hours=1))
    await place.status(one, "awaiting_approval")
    assert await place.charges(one) == []
    order_id = (await place.debits(one))[0]["gateway_order_id"]
    now = (await place.skipper.get_current_time(one.handle)).isoformat()
    await place.control("/razorpay/approve", order_id=order_id, now=now)
    await one.handle.signal("gateway_event", {"event_number": 1, "gateway_order_id": order_id})
    row = await place.status(one, "active")
    assert row["period"] == 2


async def test_a_lost_answer_is_looked_up_and_never_sent_again(place: Town) -> None:
    one = await place.active()
    await place.control(
        "/faults", target="razorpay", match="create/recurring", fault="timeout_after", times=1, seconds=8
    )
    await place.forward(one, timedelta(days=32))
    row = await place.status(one, "active")
    assert row["period"] == 2
    assert len(await place.charges(one)) == 1
    assert [debit["state"] for debit in await place.debits(one)] == ["captured"]


@pytest.mark.campaign
async def test_a_debit_that_never_arrived_goes_again_after_a_fresh_notice(place: Town) -> None:
    one = await place.active()
    await place.control(
        "/faults", target="razorpay", match="create/recurring", fault="timeout_before", times=1, seconds=8
    )
    await place.forward(one, timedelta(days=35))
    row = await place.status(one, "active")
    assert row["period"] == 2
    assert len(await place.charges(one)) == 1
    assert [debit["state"] for debit in await place.debits(one)] == ["void", "captured"]


async def test_a_worker_lost_before_the_debit_left_costs_the_customer_no_attempt(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] - timedelta(hours=1))
    [debit] = await place.debits(one)
    # The transaction before the send fails once: a sequence counts also what is rolled back.
    async with place.database.transaction() as connection:
        await connection.execute("CREATE SEQUENCE finance.lost_workers")
        await connection.execute(
            """CREATE FUNCTION finance.lose_worker() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                   IF nextval('finance.lost_workers') = 1 THEN RAISE 'lost'; END IF;
                   RETURN NEW;
               END $$"""
        )
        await connection.execute(
            f"""CREATE TRIGGER lost_worker BEFORE UPDATE ON finance.debits FOR EACH ROW
                WHEN (NEW.state = 'sending' AND NEW.payment_id = '{debit["payment_id"]}')
                EXECUTE FUNCTION finance.lose_worker()"""
        )
    await place.forward(one, timedelta(hours=3))
    row = await place.status(one, "active")
    assert row["period"] == 2
    assert [each["state"] for each in await place.debits(one)] == ["captured"]
    assert len(await place.charges(one)) == 1
    assert (await place.rows("SELECT last_value FROM finance.lost_workers"))[0]["last_value"] == 2


async def paid_back(place: Town, one: Subscriber) -> list[dict]:
    """Renewals of this subscriber that were taken and given back whole."""
    return await place.rows(
        """SELECT * FROM finance.payments WHERE reference_id = %s AND renewal AND status = 'refunded'""",
        one.subscription_id,
    )


async def test_a_payment_and_a_cancel_at_once_leave_nobody_paying_for_nothing(place: Town) -> None:
    async def race(delay: float) -> None:
        one = await place.subscribe()
        paying = asyncio.create_task(place.pay(one))
        await asyncio.sleep(delay)
        await place.command(one, "cancel", at_period_end=False)
        await one.handle.result()
        try:
            await paying
        except RPCError as error:
            # The payment process gives the money back where the reference has ended.
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return
        row = await place.row(one)
        if row["period"] == 0:
            query = "SELECT * FROM finance.refunds WHERE user_id = %s"
            assert await eventually(lambda: place.rows(query, one.user_id), "the money to go back")
        assert row["status"] == "cancelled"

    await asyncio.gather(*(race(0.03 * number) for number in range(8)))


async def test_a_cancel_after_the_debit_left_gets_the_money_back(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] - timedelta(minutes=5))
    await place.control(
        "/faults", target="razorpay", match="create/recurring", fault="slow", times=1, seconds=1.5
    )
    passing = asyncio.create_task(place.forward(one, timedelta(minutes=10)))

    async def sending() -> bool:
        return [debit["state"] for debit in await place.debits(one)] == ["sending"]

    await eventually(sending, "the debit to leave")
    answer = await place.command(one, "cancel", at_period_end=True)
    assert answer["status"] == "cancelled"
    assert await one.handle.result() == "cancelled"
    await passing
    assert len(await place.charges(one)) == 1
    back = await eventually(lambda: paid_back(place, one), "the money to go back")
    assert [payment["amount_refunded"] for payment in back] == [1_999_00]
    assert (await place.row(one))["period"] == 1


async def test_whichever_of_cancel_and_debit_is_first_nobody_pays_for_nothing(place: Town) -> None:
    async def race(delay: float) -> None:
        one = await place.active()
        passing = asyncio.create_task(place.forward(one, timedelta(days=32)))
        await asyncio.sleep(delay)
        await place.command(one, "cancel", at_period_end=False)
        assert await one.handle.result() == "cancelled"
        with suppress(RPCError):
            # The cancel may end it before its time has begun to run.
            await passing
        charged = len(await place.charges(one))
        row = await place.row(one)
        if row["period"] == 1 and charged:
            # It left before the cancel and was booked after it: the period never began.
            assert await eventually(lambda: paid_back(place, one), "the money to go back")
        else:
            assert charged == row["period"] - 1

    for number in range(0, 12, 3):
        await asyncio.gather(*(race(0.02 * step) for step in range(number, number + 3)))


async def test_a_mandate_that_the_customer_ended_at_the_bank_leads_to_a_halt(place: Town) -> None:
    one = await place.active()
    await place.control("/razorpay/mandate", token_id=one.token_id, state="cancelled")
    await place.forward(one, timedelta(days=40))
    await place.status(one, "halted")
    debits = await place.debits(one)
    assert [debit["state"] for debit in debits] == ["failed"] * 4
    assert {debit["failure_code"] for debit in debits} == {"mandate_cancelled"}
    assert await place.charges(one) == []


async def test_a_debit_that_nobody_approves_fails_and_is_asked_for_again(place: Town) -> None:
    one = await place.active("pln_premium_yearly")
    row = await place.row(one)
    year = row["current_period_end"] - row["current_period_start"]
    await place.forward(one, year + timedelta(days=3, hours=2))
    await place.status(one, "past_due")
    debits = await place.debits(one)
    assert [debit["state"] for debit in debits] == ["failed", "noticed"]
    assert debits[1]["due_at"] - debits[1]["noticed_at"] >= timedelta(hours=36)
    assert await place.charges(one) == []


async def test_a_cancel_while_the_approval_is_awaited_gives_a_late_yes_back(place: Town) -> None:
    one = await place.active("pln_premium_yearly")
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] + timedelta(minutes=30))
    await place.status(one, "awaiting_approval")
    answer = await place.command(one, "cancel", at_period_end=True)
    assert answer["status"] == "cancelled"
    order_id = (await place.debits(one))[0]["gateway_order_id"]
    now = (await place.skipper.get_current_time(one.handle)).isoformat()
    await place.control("/razorpay/approve", order_id=order_id, now=now)
    await one.handle.signal("gateway_event", {"event_number": 1, "gateway_order_id": order_id})
    assert await one.handle.result() == "cancelled"
    assert len(await place.charges(one)) == 0
    assert await eventually(lambda: paid_back(place, one), "the money to go back")


async def late_yes(place: Town, one: Subscriber) -> str:
    """The bank takes the money of the first debit, which it had refused; its order."""
    order_id: str = (await place.debits(one))[0]["gateway_order_id"]
    now = (await place.skipper.get_current_time(one.handle)).isoformat()
    await place.control("/razorpay/checkout", order_id=order_id, method="card", outcome="success", now=now)
    return order_id


async def test_a_bank_that_says_yes_after_no_renews_and_nothing_more_is_debited(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="failure")
    await place.forward(one, row["current_period_end"] - row["current_period_start"] + timedelta(hours=3))
    await place.status(one, "past_due")
    order_id = await late_yes(place, one)
    await one.handle.signal("gateway_event", {"event_number": 1, "gateway_order_id": order_id})
    row = await place.status(one, "active")
    assert row["period"] == 2
    await place.forward(one, timedelta(days=5))
    assert [debit["state"] for debit in await place.debits(one)] == ["captured", "withdrawn"]
    assert await place.charges(one) == []


async def test_a_yes_that_is_told_while_the_no_is_on_its_way_is_looked_at(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] - timedelta(minutes=5))
    await place.control(
        "/faults", target="razorpay", match="create/recurring", fault="slow", times=1, seconds=3
    )
    passing = asyncio.create_task(place.forward(one, timedelta(minutes=10)))

    async def sending() -> bool:
        return [debit["state"] for debit in await place.debits(one)] == ["sending"]

    await eventually(sending, "the debit to leave")
    # The order is paid before the debit arrives, which the gateway then refuses.
    order_id = await late_yes(place, one)
    await one.handle.signal("gateway_event", {"event_number": 1, "gateway_order_id": order_id})
    await passing

    async def renewed() -> bool:
        return bool((await place.row(one))["period"] == 2)

    await eventually(renewed, "the money to be seen")
    assert [debit["state"] for debit in await place.debits(one)] == ["captured"]
    assert await place.charges(one) == []


async def test_a_late_yes_that_no_webhook_told_of_is_seen_before_the_next_debit(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="failure")
    await place.forward(one, row["current_period_end"] - row["current_period_start"] + timedelta(hours=3))
    await place.status(one, "past_due")
    await late_yes(place, one)
    await place.forward(one, timedelta(days=5))
    assert (await place.row(one))["period"] == 2
    assert [debit["state"] for debit in await place.debits(one)] == ["captured", "withdrawn"]
    assert await place.charges(one) == []


async def test_a_late_yes_for_a_period_that_is_paid_goes_back(place: Town) -> None:
    one = await place.active()
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="failure")
    await place.forward(one, timedelta(days=36))
    assert (await place.status(one, "active"))["period"] == 2
    order_id = await late_yes(place, one)
    await one.handle.signal("gateway_event", {"event_number": 1, "gateway_order_id": order_id})
    back = await eventually(lambda: paid_back(place, one), "the second money to go back")
    assert [payment["gateway_order_id"] for payment in back] == [order_id]
    assert (await place.row(one))["period"] == 2
    assert [debit["state"] for debit in await place.debits(one)] == ["returned", "captured"]
