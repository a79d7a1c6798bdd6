"""Tokens, recurring debits, plans and subscriptions."""

import pytest
from razorpay.errors import BadRequestError

from tests.sandbox.conftest import Sandbox
from tests.sandbox.razorpay_shop import Shop, events
from tests.sandbox.receiver import Receiver

START = "2026-01-31T06:30:00Z"
TOO_EARLY = "BAD_REQUEST_MANDATE_PROMISED_DEBIT_DATE_NOT_HONOURED"


@pytest.fixture
def shop(clean: Sandbox) -> Shop:
    return Shop(clean)


def test_a_checkout_with_terms_makes_a_confirmed_token(shop: Shop, hooks: Receiver) -> None:
    held = shop.mandate(START, method="card")
    token = shop.client.token.fetch(held["customer_id"], held["token_id"])
    assert token["recurring_details"]["status"] == "confirmed"
    assert (token["method"], token["max_amount"], token["recurring"]) == ("card", 5_000_000, True)
    assert [one["id"] for one in shop.client.token.all(held["customer_id"])["items"]] == [held["token_id"]]
    events(hooks, "token.confirmed")
    assert shop.client.token.delete(held["customer_id"], held["token_id"]) == {"deleted": True}
    assert shop.client.token.all(held["customer_id"])["count"] == 0
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        shop.client.token.fetch(held["customer_id"], held["token_id"])


def test_a_failed_checkout_makes_no_token(shop: Shop) -> None:
    customer = shop.client.customer.create({"contact": "+919000000009"})
    order = shop.order(100, customer_id=customer["id"], method="upi", token={"max_amount": 1_000_000})
    shop.play("checkout", order_id=order["id"], outcome="failure")
    assert shop.client.token.all(customer["id"])["count"] == 0


@pytest.mark.parametrize(
    ("method", "early", "on_time"),
    [
        ("upi", "2026-02-28T00:59:59Z", "2026-02-28T01:00:00Z"),
        ("card", "2026-02-28T12:04:59Z", "2026-02-28T12:05:00Z"),
    ],
)
def test_a_debit_waits_for_its_notice(shop: Shop, method: str, early: str, on_time: str) -> None:
    held = shop.mandate(START, method=method)
    order = shop.noticed(held, 99_900, "2026-02-27T00:00:00Z")
    assert order["notification"]["token_id"] == held["token_id"]
    with pytest.raises(BadRequestError, match=TOO_EARLY):
        shop.debit(held, order, early)
    assert shop.client.order.payments(order["id"])["count"] == 0
    payment = shop.debit(held, order, on_time)
    assert (payment["status"], payment["token_id"]) == ("captured", held["token_id"])
    assert shop.sandbox.effects("razorpay")[-1] == {
        "payment_id": payment["id"],
        "order_id": order["id"],
        "charged": 99_900,
    }
    with pytest.raises(BadRequestError, match="already paid"):
        shop.debit(held, order, on_time)


def test_payment_after_is_honoured(shop: Shop) -> None:
    held = shop.mandate(START)
    order = shop.noticed(held, 99_900, "2026-02-25T00:00:00Z", payment_after=1772236800)  # 28 Feb 00:00 UTC
    with pytest.raises(BadRequestError, match=TOO_EARLY):
        shop.debit(held, order, "2026-02-27T23:59:59Z")
    assert shop.debit(held, order, "2026-02-28T00:00:00Z")["status"] == "captured"


def test_one_successful_upi_debit_a_cycle(shop: Shop) -> None:
    held = shop.mandate(START)
    months = []
    for notice, debit in (("02-26", "02-28"), ("03-01", "03-03"), ("03-29", "03-31")):
        order = shop.noticed(held, 99_900, f"2026-{notice}T00:00:00Z")
        months.append(shop.debit(held, order, f"2026-{debit}T06:30:00Z"))
    assert [one["status"] for one in months] == ["captured", "failed", "captured"]
    assert months[1]["error_reason"] == "mandate_debit_limit_exceeded"


def test_without_notice_of_the_merchant_razorpay_debits_after_its_own(shop: Shop) -> None:
    held = shop.mandate(START)
    order = shop.order(99_900, payment_capture=True)
    payment = shop.debit(held, order, "2026-02-28T00:00:00Z")
    assert payment["status"] == "created"
    with pytest.raises(BadRequestError, match="still in progress"):
        shop.debit(held, order, "2026-02-28T12:00:00Z")
    assert shop.client.payment.fetch(payment["id"], **shop.at("2026-03-01T00:59:59Z"))["status"] == "created"
    assert shop.client.payment.fetch(payment["id"], **shop.at("2026-03-01T01:00:00Z"))["status"] == "captured"


def test_the_bank_does_as_planned(shop: Shop, hooks: Receiver) -> None:
    held = shop.mandate(START)
    shop.play("debit", token_id=held["token_id"], outcome="failure")
    order = shop.noticed(held, 99_900, "2026-02-26T00:00:00Z")
    failed = shop.debit(held, order, "2026-02-28T06:30:00Z")
    assert (failed["status"], failed["error_reason"]) == ("failed", "insufficient_funds")
    assert shop.sandbox.effects("razorpay")[-1]["charged"] == 0
    events(hooks, "payment.failed")
    again = shop.noticed(held, 99_900, "2026-02-28T07:00:00Z")
    assert shop.debit(held, again, "2026-03-01T08:00:00Z")["status"] == "captured"


def test_above_fifteen_thousand_the_customer_approves(shop: Shop, hooks: Receiver) -> None:
    held = shop.mandate(START, method="card")
    for amount, status in ((1_500_000, "captured"), (1_500_001, "created")):
        order = shop.noticed(held, amount, "2026-02-25T00:00:00Z")
        assert shop.debit(held, order, "2026-02-28T06:30:00Z")["status"] == status
    approved = shop.play("approve", order_id=order["id"], now="2026-02-28T09:00:00Z")
    assert [one["status"] for one in approved["payments"]] == ["captured"]
    late = shop.noticed(held, 1_600_000, "2026-02-25T00:00:00Z")
    waiting = shop.debit(held, late, "2026-02-28T06:30:00Z")
    asked = shop.client.payment.fetch(waiting["id"], **shop.at("2026-03-03T06:30:00Z"))
    assert (asked["status"], asked["error_reason"]) == ("failed", "payment_timed_out")


def test_the_terms_of_a_mandate_hold(shop: Shop) -> None:
    held = shop.mandate(START, max_amount=50_000, expire_at=1772236800)
    over = shop.noticed(held, 50_001, "2026-02-25T00:00:00Z")
    with pytest.raises(BadRequestError, match="Amount exceeds maximum amount allowed"):
        shop.debit(held, over, "2026-02-27T00:00:00Z")
    order = shop.noticed(held, 50_000, "2026-02-25T00:00:00Z")
    with pytest.raises(BadRequestError, match="expired"):
        shop.debit(held, order, "2026-02-28T00:00:00Z")
    for state, word in (("paused", "paused"), ("cancelled", "cancelled")):
        shop.play("mandate", token_id=held["token_id"], state=state)
        with pytest.raises(BadRequestError, match=f"The mandate is {word}"):
            shop.debit(held, order, "2026-02-27T00:00:00Z")
    shop.play("mandate", token_id=held["token_id"], state="confirmed")
    other = shop.mandate(START)
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        shop.debit({**held, "customer_id": other["customer_id"]}, order, "2026-02-27T00:00:00Z")
    with pytest.raises(BadRequestError, match="pre-debit notification was not sent"):
        shop.debit(other, order, "2026-02-27T00:00:00Z")
    with pytest.raises(BadRequestError, match="different from your order amount"):
        shop.debit(held, {**order, "amount": 40_000}, "2026-02-27T00:00:00Z")


def subscribe(shop: Shop, **fields: object) -> str:
    plan = shop.plan()
    subscription = shop.client.subscription.create({"plan_id": plan["id"], "total_count": 3, **fields})
    assert subscription["status"] == "created"
    return str(subscription["id"])


def state(shop: Shop, name: str, now: str | None = None) -> str:
    options = shop.at(now) if now else {}
    return str(shop.client.subscription.fetch(name, **options)["status"])


def test_a_subscription_from_first_charge_to_completion(shop: Shop, hooks: Receiver) -> None:
    name = subscribe(shop)
    done = shop.play("checkout", subscription_id=name, outcome="success", now=START)
    assert shop.client.utility.verify_subscription_payment_signature(done)
    first = shop.client.subscription.fetch(name)
    assert (first["status"], first["paid_count"], first["remaining_count"]) == ("active", 1, 2)
    # 31 January to 28 February, on the Indian calendar.
    assert first["current_end"] == 1772217000
    for paid in (2, 3):
        assert shop.play("debit", subscription=name, outcome="success")["paid_count"] == paid
    assert state(shop, name) == "completed"
    events(
        hooks,
        "subscription.authenticated",
        "subscription.activated",
        "subscription.charged",
        "subscription.completed",
    )


def test_four_failures_halt_a_subscription(shop: Shop, hooks: Receiver) -> None:
    name = subscribe(shop)
    shop.play("checkout", subscription_id=name, outcome="success", now=START)
    states = [shop.play("debit", subscription=name, outcome="failure")["status"] for _ in range(4)]
    assert states == ["pending", "pending", "pending", "halted"]
    assert shop.play("debit", subscription=name, outcome="success")["status"] == "active"
    events(hooks, "subscription.pending", "subscription.halted")


def test_pause_and_resume(shop: Shop, hooks: Receiver) -> None:
    name = subscribe(shop)
    with pytest.raises(BadRequestError, match="cannot be paused in created state"):
        shop.client.subscription.pause(name, {"pause_at": "now"})
    shop.play("checkout", subscription_id=name, outcome="success", now=START)
    assert shop.client.subscription.pause(name, {"pause_at": "now"})["status"] == "paused"
    assert shop.client.subscription.resume(name, {"resume_at": "now"})["status"] == "active"
    shop.play("mandate", subscription=name, state="paused")
    with pytest.raises(BadRequestError, match="paused by the customer"):
        shop.client.subscription.resume(name, {"resume_at": "now"})
    events(hooks, "subscription.paused", "subscription.resumed")


def test_pausing_an_authenticated_subscription_cancels_it(shop: Shop) -> None:
    name = subscribe(shop, start_at=1_900_000_000)
    shop.play("checkout", subscription_id=name, outcome="success", now=START)
    assert state(shop, name) == "authenticated"
    assert shop.client.subscription.pause(name, {})["status"] == "cancelled"
    with pytest.raises(BadRequestError, match="not cancellable"):
        shop.client.subscription.cancel(name)


def test_cancelling_at_the_cycles_end(shop: Shop) -> None:
    name = subscribe(shop)
    shop.play("checkout", subscription_id=name, outcome="success", now=START)
    shop.client.subscription.cancel(name, {"cancel_at_cycle_end": 1}, **shop.at("2026-02-10T00:00:00Z"))
    assert state(shop, name, "2026-02-27T00:00:00Z") == "active"
    assert state(shop, name, "2026-03-01T00:00:00Z") == "cancelled"


def test_an_unauthenticated_subscription_expires(shop: Shop) -> None:
    name = subscribe(shop, expire_by=1_900_000_000)
    assert state(shop, name, "2030-03-17T17:46:40Z") == "created"
    assert state(shop, name, "2030-03-17T17:46:41Z") == "expired"


def test_updates_and_their_limits(shop: Shop) -> None:
    name = subscribe(shop)
    shop.play("checkout", subscription_id=name, method="card", outcome="success", now=START)
    assert shop.client.subscription.edit(name, {"quantity": 2})["quantity"] == 2
    later = shop.client.subscription.edit(name, {"quantity": 3, "schedule_change_at": "cycle_end"})
    assert (later["quantity"], later["has_scheduled_changes"]) == (2, True)
    assert shop.play("debit", subscription=name, outcome="success")["quantity"] == 3
    upi = subscribe(shop)
    shop.play("checkout", subscription_id=upi, method="upi", outcome="success", now=START)
    with pytest.raises(BadRequestError, match="payment mode upi cannot be updated"):
        shop.client.subscription.edit(upi, {"quantity": 2})
    with pytest.raises(BadRequestError, match="interval must be at least 7"):
        shop.plan(period="daily", interval=6)


def test_an_approval_may_come_before_the_debit(shop: Shop) -> None:
    held = shop.mandate(START, method="card")
    order = shop.noticed(held, 2_000_000, "2026-02-25T00:00:00Z")
    assert shop.play("approve", order_id=order["id"])["payments"] == []
    assert shop.debit(held, order, "2026-02-28T06:30:00Z")["status"] == "captured"


def test_a_debit_is_told_by_the_merchants_own_subscription(shop: Shop) -> None:
    customer = shop.client.customer.create({"contact": "+919000000008"})
    fields = {"customer_id": customer["id"], "method": "upi", "token": {"frequency": "monthly"}}
    first = shop.paid(99_900, START, notes={"subscription_id": "sub_018f"}, **fields)
    told = shop.play("debit", subscription="sub_018f", outcome="failure")
    assert (told["token_id"], told["fired"]) == (first["token_id"], [])
    held = {"customer_id": customer["id"], "token_id": first["token_id"]}
    order = shop.noticed(held, 99_900, "2026-02-26T00:00:00Z")
    assert shop.debit(held, order, "2026-02-28T06:30:00Z")["status"] == "failed"


def test_a_bank_may_leave_a_debit_open_until_it_is_told_what_to_say(shop: Shop) -> None:
    held = shop.mandate(START)
    order = shop.noticed(held, 99_900, "2026-02-27T00:00:00Z")
    shop.play("debit", token_id=held["token_id"], outcome="pending")
    payment = shop.debit(held, order, "2026-02-28T06:30:00Z")
    assert (payment["status"], payment["captured"]) == ("created", False)
    assert "charged" not in {name for name, paid in shop.sandbox.effects("razorpay")[-1].items() if paid}
    late = shop.at("2026-03-09T06:30:00Z")
    assert [one["status"] for one in shop.client.order.payments(order["id"], **late)["items"]] == ["created"]
    shop.play("debit", token_id=held["token_id"], outcome="success", now="2026-03-09T06:31:00Z")
    assert [one["status"] for one in shop.client.order.payments(order["id"], **late)["items"]] == ["captured"]
