"""The payment's process on the real server, the real gateway protocol and the real books."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.service import RPCError
from temporalio.testing._timeskipping import TimeSkipper

from activities.billing import BillingActivities
from cli.embedded import EmbeddedEngines
from domain.payments import PaymentStatus
from models.messages.billing import Advance
from providers.razorpay import Razorpay
from store import identity_profiles, payments
from store.invoices import Supplier
from tests.workflows.shop import AMOUNT, Purchase, Shop, attention, eventually, refusal, shop


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Shop]:
    async with shop(engines, database) as made:
        yield made


async def test_a_confirmed_checkout_is_captured_booked_and_invoiced(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    assert one.checkout["amount"] == AMOUNT
    answer = await place.confirm(handle, await place.pay(one))
    assert answer == {"payment_id": one.payment_id, "status": "captured"}
    result = await handle.result()
    (invoice,) = await place.documents(one)
    assert result["invoice_id"] == invoice["invoice_id"]
    assert (invoice["total"], invoice["igst"], invoice["taxable"]) == (AMOUNT, 30493, 169407)
    assert invoice["place_of_supply"] == "MH"
    assert await place.book(one.payment_id) == {
        "gateway_clearing": AMOUNT,
        "deferred_revenue": -169407,
        "output_igst": -30493,
    }
    assert one.buyer is not None
    heard = await one.buyer.query("heard")
    assert [said["signal"] for said in heard] == ["captured"]
    assert heard[0]["token_id"]
    assert len(await place.effects("captured", (await place.payment(one))["gateway_payment_id"])) == 1


async def test_callback_webhook_and_poll_race_to_one_capture_and_one_invoice(place: Shop) -> None:
    purchases = await asyncio.gather(*(place.purchase() for _ in range(8)))

    async def race(number: int) -> None:
        one = purchases[number]
        handle = await place.open(one)
        brought = await place.pay(one)
        told = [place.hint(handle) for _ in range(3)]
        if number % 4:
            told += [place.confirm(handle, brought) for _ in range(2)]
        await asyncio.gather(*told, return_exceptions=True)
        await handle.result()

    await asyncio.gather(*(race(number) for number in range(len(purchases))))
    for one in purchases:
        row = await place.payment(one)
        assert row["status"] == "captured"
        assert len(await place.documents(one)) == 1
        assert len(await place.effects("captured", row["gateway_payment_id"])) == 1
    rows = await place.rows("SELECT sequence FROM finance.invoices WHERE kind = 'invoice' ORDER BY sequence")
    assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))


async def test_the_poll_finds_what_nobody_told(place: Shop) -> None:
    one = await place.purchase()
    await place.open(one)
    await place.pay(one)
    row = await place.status(one, "captured")
    timeline = await place.rows(
        "SELECT status, source FROM finance.payment_timeline WHERE payment_id = %s ORDER BY number",
        one.payment_id,
    )
    assert [(step["status"], step["source"]) for step in timeline] == [
        ("created", "checkout"),
        ("authorized", "poll"),
        ("captured", "poll"),
    ]
    assert row["fee"] > 0


async def test_a_lost_answer_to_the_capture_is_looked_up_and_never_repeated(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one)
    await place.control(
        "/faults", target="razorpay", match="/capture", fault="timeout_after", times=1, seconds=0
    )
    await place.confirm(handle, brought)
    row = await place.status(one, "captured")
    assert len(await place.effects("captured", row["gateway_payment_id"])) == 1
    assert [(a["number"], a["state"]) for a in await _attempts(place, one.payment_id)] == [(1, "sent")]
    assert len(await place.documents(one)) == 1


async def test_a_capture_that_never_left_is_sent_again(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one)
    await place.control("/faults", target="razorpay", match="/capture", fault="error_429", times=1)
    await place.confirm(handle, brought)
    row = await place.status(one, "captured")
    assert len(await place.effects("captured", row["gateway_payment_id"])) == 1
    assert [a["state"] for a in await _attempts(place, one.payment_id)] == ["void", "sent"]


async def test_a_gateway_that_does_not_tell_at_once_is_asked_with_patience(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one)
    match = f"/orders/{one.order_id}/payments"
    await place.control("/faults", target="razorpay", match=match, fault="error_5xx", times=2)
    await place.confirm(handle, brought)
    row = await place.status(one, "captured")
    assert len(await place.effects("captured", row["gateway_payment_id"])) == 1
    assert await _looks(place, one) >= 3


async def test_a_lost_answer_to_the_order_makes_no_second_order(place: Shop) -> None:
    one = await place.purchase()
    await place.control(
        "/faults", target="razorpay", match="/v1/orders", fault="timeout_after", times=1, seconds=0
    )
    await place.open(one)
    answer = await place.http.get("/_control/journal", params={"target": "razorpay"})
    made = [
        item
        for item in answer.json()["items"]
        if item["effect"]
        and "order_id" in item["effect"]
        and (item["body"] or {}).get("receipt") == one.payment_id
    ]
    assert len(made) == 1
    assert made[0]["effect"]["order_id"] == one.order_id


async def test_a_late_authorisation_after_a_failure_is_captured(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    await place.pay(one, "late_authorized", delay_ms=700)
    await place.hint(handle)
    row = await place.status(one, "failed")
    assert row["failure_code"]

    async def captured() -> str:
        with suppress(RPCError):  # the last one may come when the process is over
            await place.hint(handle)
        return str((await place.payment(one))["status"])

    await eventually(captured, lambda status: status == "captured")
    await handle.result()
    timeline = await place.rows(
        "SELECT status FROM finance.payment_timeline WHERE payment_id = %s ORDER BY number", one.payment_id
    )
    assert [step["status"] for step in timeline] == ["created", "failed", "authorized", "captured"]


async def test_money_for_what_is_no_longer_wanted_is_not_taken(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one)
    async with place.database.transaction() as connection:
        await connection.execute(
            "UPDATE finance.user_subscriptions SET status = 'cancelled' WHERE subscription_id = %s",
            (one.subscription_id,),
        )
    answer = await place.confirm(handle, brought)
    assert answer["status"] == "refund_pending"
    assert (await place.payment(one))["failure_code"] == "no_longer_wanted"
    assert await place.effects("captured", brought["razorpay_payment_id"]) == []
    assert await place.documents(one) == []
    await handle.terminate()


@pytest.mark.parametrize("off_by", [-1, 1])
async def test_money_of_another_amount_is_not_taken_and_a_person_sees_it(place: Shop, off_by: int) -> None:
    """Held by the bank, more or less than was asked: nothing is taken or invoiced; the bank lets it go."""
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one, amount=AMOUNT + off_by)
    answer = await place.confirm(handle, brought)
    assert answer["status"] == "refund_pending"
    row = await place.payment(one)
    assert (row["failure_code"], row["gateway_payment_id"]) == (
        "amount_mismatch",
        brought["razorpay_payment_id"],
    )
    await eventually(lambda: attention(handle), bool)
    assert one.buyer is not None
    assert [said["signal"] for said in await one.buyer.query("heard")] == ["ended"]
    await place.control("/clock", now=(datetime.now(UTC) + timedelta(days=4)).isoformat(), run=True)
    try:
        await TimeSkipper(place.client).fast_forward(handle, timedelta(hours=13))
        assert (await handle.result())["status"] == "refunded"
    finally:
        await place.control("/clock", now=datetime.now(UTC).isoformat(), run=True)
    assert not await attention(handle)
    assert await place.effects("captured", brought["razorpay_payment_id"]) == []
    assert (await place.documents(one), await place.book(one.payment_id)) == ([], {})


async def test_a_captured_payment_of_another_amount_is_never_booked_as_the_sale(place: Shop) -> None:
    """Somebody took it at the gateway's dashboard: it is no sale of ours; a person gives it back there."""
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one, amount=AMOUNT - 1)
    await place.taken(brought, AMOUNT - 1)
    assert (await place.confirm(handle, brought))["status"] == "refund_pending"
    await TimeSkipper(place.client).fast_forward(handle, timedelta(days=7))
    await eventually(lambda: attention(handle), bool)
    assert (await place.payment(one))["failure_code"] == "amount_mismatch"
    assert (await place.documents(one), await place.book(one.payment_id)) == ([], {})
    assert await place.effects("refunded", brought["razorpay_payment_id"]) == []
    await handle.terminate()


async def test_money_whose_buyer_is_gone_goes_back(place: Shop) -> None:
    one = await place.purchase(waits=False)
    handle = await place.open(one)
    await place.confirm(handle, await place.pay(one))
    row = await place.status(one, "refunded")
    assert row["amount_refunded"] == AMOUNT
    assert len(await place.effects("refunded", row["gateway_payment_id"])) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        {"razorpay_signature": "0" * 64},
        {"razorpay_payment_id": "pay_00000000000000"},
        {"razorpay_order_id": "order_0000000000000"},
    ],
)
async def test_a_forged_callback_is_refused(place: Shop, spoil: dict[str, str]) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one, delay_ms=60_000)
    assert await refusal(place.confirm(handle, {**brought, **spoil})) == "signature_invalid"
    assert (await place.payment(one))["status"] == "created"
    await handle.terminate()


async def test_the_callback_of_another_payment_is_refused(place: Shop) -> None:
    mine, other = await place.purchase(), await place.purchase()
    handle = await place.open(mine)
    theirs = await place.open(other)
    brought = await place.pay(other)
    assert await refusal(place.confirm(handle, brought)) == "signature_invalid"
    await theirs.result()
    await handle.terminate()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"kyc": False}, "kyc_tier_required"),
        ({"amount": 50_000_01}, "kyc_tier_required"),
        ({"state": None}, "billing_state_required"),
        ({"state": "Atlantis"}, "billing_state_required"),
    ],
)
async def test_what_may_not_be_paid_ends_as_refused(place: Shop, given: dict, code: str) -> None:
    one = await place.purchase(**given)
    assert await refusal(place.open(one)) == code
    result = await place.client.get_workflow_handle(f"payment:{one.payment_id}").result()
    assert result["refused"] == code
    assert await place.rows("SELECT FROM finance.payments WHERE payment_id = %s", one.payment_id) == []


async def test_the_day_limit_refuses_the_payment_that_would_exceed_it(place: Shop) -> None:
    first = await place.bought(amount=50_000_00)
    for _ in range(3):
        more = await place.again(first, 50_000_00)
        await place.confirm(await place.open(more), await place.pay(more))
    assert await refusal(place.open(await place.again(first, 1_00))) == "limit_exceeded"


async def test_an_unpaid_checkout_expires_after_three_days_and_the_buyer_is_told(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    await TimeSkipper(place.client).fast_forward(handle, timedelta(days=3, minutes=1))
    result = await handle.result()
    assert result["status"] == "expired"
    assert one.buyer is not None
    assert [said["signal"] for said in await one.buyer.query("heard")] == ["ended"]
    again = await place.again(one, AMOUNT)
    assert (await place.open(again)) is not None


@pytest.mark.campaign
async def test_money_that_comes_while_the_end_is_written_goes_back(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    async with place.database.transaction() as connection:
        await connection.execute(
            "SELECT FROM finance.payments WHERE payment_id = %s FOR UPDATE", (one.payment_id,)
        )
        await TimeSkipper(place.client).fast_forward(handle, timedelta(days=3, minutes=1))
        blocked = "SELECT FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
        await eventually(lambda: place.rows(blocked), bool)
        await place.pay(one)
        await place.hint(handle)
    row = await place.status(one, "refund_pending")
    assert row["failure_code"] == "late_authorisation"
    assert await place.effects("captured", row["gateway_payment_id"]) == []
    await handle.terminate()


async def test_a_failed_payment_stays_payable_for_three_days_then_expires(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    await place.pay(one, "failure")
    await place.hint(handle)
    await place.status(one, "failed")
    skipper = TimeSkipper(place.client)
    await skipper.fast_forward(handle, timedelta(days=2))
    assert (await place.payment(one))["status"] == "failed"
    await skipper.fast_forward(handle, timedelta(days=1, minutes=1))
    assert (await handle.result())["status"] == "expired"


async def test_the_three_days_begin_with_the_last_try(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    skipper = TimeSkipper(place.client)
    await skipper.fast_forward(handle, timedelta(days=2))
    await place.control("/clock", now=(datetime.now(UTC) + timedelta(days=2)).isoformat(), run=True)
    try:
        await place.pay(one, "failure")
    finally:
        await place.control("/clock", now=datetime.now(UTC).isoformat(), run=True)
    await place.hint(handle)
    await place.status(one, "failed")
    await skipper.fast_forward(handle, timedelta(days=2))
    assert (await place.payment(one))["status"] == "failed"
    await skipper.fast_forward(handle, timedelta(days=1, minutes=5))
    assert (await handle.result())["status"] == "expired"


async def test_a_capture_nobody_answers_is_never_sent_while_it_may_stand(place: Shop) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one)
    await place.control("/faults", target="razorpay", match="/capture", fault="error_5xx", times=1)
    answer = await place.confirm(handle, brought)
    assert answer["status"] == "unknown"
    # Seen once is not proof: the second attempt leaves only after the first one's deadline has long passed.
    assert [a["state"] for a in await _attempts(place, one.payment_id)] == ["sending"]
    # Nor do hints shorten that time, however many come: each is one more look.
    for _ in range(3):
        before = await _looks(place, one)
        await place.hint(handle)
        await eventually(lambda: _looks(place, one), lambda looks, before=before: looks > before)
    assert [a["state"] for a in await _attempts(place, one.payment_id)] == ["sending"]
    await TimeSkipper(place.client).fast_forward(handle, timedelta(seconds=75))
    row = await place.status(one, "captured")
    assert [a["state"] for a in await _attempts(place, one.payment_id)] == ["void", "sent"]
    assert len(await place.effects("captured", row["gateway_payment_id"])) == 1


async def test_what_is_paid_for_is_not_sold_again(place: Shop) -> None:
    """The buyer here never hears of its payment: the book alone says that it came."""
    one = await place.bought()
    again = Purchase(one.user_id, one.subscription_id, one.buyer)
    assert await refusal(place.open(again)) == "not_payable"


async def test_two_payments_at_once_share_what_is_left_of_a_limit(place: Shop) -> None:
    first = await place.purchase(amount=50_000_00)
    handles = [await place.open(first)]
    other = await place.again(first, 50_000_00)
    handles.append(await place.open(other))
    settings = place.engines.settings
    books = BillingActivities(place.database, place.vault, Supplier.of(settings), Razorpay(settings))
    news = Advance(
        payment_id=other.payment_id, status=PaymentStatus.AUTHORIZED, source="poll", at=datetime.now(UTC)
    )
    async with place.database.transaction() as connection:
        await payments.hold_turnover(connection, first.user_id)
        await connection.execute(
            "UPDATE finance.payments SET status = 'authorized', amount = 15000001 WHERE payment_id = %s",
            (first.payment_id,),
        )
        asked = asyncio.create_task(books.advance(news))
        await eventually(lambda: _waits(place), lambda waits: waits or asked.done())
    assert (await asked).refused == "limit_exceeded"
    for handle in handles:
        await handle.terminate()


async def test_the_invoice_is_made_out_to_who_the_buyer_is_when_paying(place: Shop) -> None:
    one = await place.purchase(state="MH")
    handle = await place.open(one)
    moved = {"billing": {"name": "Verma & Co", "state": "KA", "gstin": "29AAPFU0939F1ZR"}}
    async with place.database.transaction() as connection:
        await identity_profiles.change(connection, place.vault, one.user_id, moved, datetime.now(UTC))
    await place.confirm(handle, await place.pay(one))
    (invoice,) = await place.documents(one)
    assert (invoice["buyer_gstin"], invoice["place_of_supply"]) == ("29AAPFU0939F1ZR", "KA")
    assert (invoice["igst"], invoice["cgst"]) == (0, invoice["sgst"])
    assert invoice["cgst"] > 0


async def _waits(place: Shop) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    return bool(await place.rows(query))


async def _looks(place: Shop, one: Purchase) -> int:
    """How often the gateway was asked about the purchase's order."""
    answer = await place.http.get("/_control/journal", params={"target": "razorpay"})
    return sum(item["path"].endswith(f"/orders/{one.order_id}/payments") for item in answer.json()["items"])


async def _attempts(place: Shop, payment_id: str) -> list[dict]:
    return await place.rows(
        """SELECT number, state FROM finance.attempts
           WHERE kind = 'capture' AND object_id = %s ORDER BY number""",
        payment_id,
    )
