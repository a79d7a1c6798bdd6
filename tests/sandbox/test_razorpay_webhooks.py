"""Webhooks: signed, at once, at least once, with each planted fault."""

import json
import sqlite3
import time
from pathlib import Path

import pytest
from razorpay.errors import SignatureVerificationError

from tests.sandbox.conftest import Sandbox
from tests.sandbox.razorpay_shop import Shop, event_of, events
from tests.sandbox.receiver import Receiver


@pytest.fixture
def shop(clean: Sandbox) -> Shop:
    return Shop(clean)


def verify(shop: Shop, body: bytes, signature: str, secret: str | None = None) -> bool:
    return bool(shop.client.utility.verify_webhook_signature(body.decode(), signature, secret or shop.secret))


def plant(shop: Shop, fault: str, match: str, times: int = 1) -> None:
    shop.sandbox.control(
        "POST", "/faults", {"target": "razorpay", "match": match, "fault": fault, "times": times}
    )


def test_events_are_signed_and_shaped(shop: Shop, hooks: Receiver) -> None:
    payment = shop.paid()
    items = hooks.wait(lambda items: len(items) == 3)
    for item in items:
        assert item.path == hooks.razorpay_path
        assert verify(shop, item.body, item.headers["x-razorpay-signature"])
    assert len({item.headers["x-razorpay-event-id"] for item in items}) == 3
    paid = next(event_of(item) for item in items if event_of(item)["event"] == "order.paid")
    assert (paid["entity"], paid["contains"]) == ("event", ["payment", "order"])
    assert paid["account_id"].startswith("acc_")
    assert paid["payload"]["payment"]["entity"] == payment
    assert paid["payload"]["order"]["entity"]["status"] == "paid"
    assert "_auto_capture" not in paid["payload"]["order"]["entity"]


def test_a_refused_webhook_comes_again_with_the_same_id(shop: Shop, hooks: Receiver) -> None:
    hooks.answers[:] = [500, 302, 404]
    shop.play("checkout", order_id=shop.order()["id"])
    items = hooks.wait(lambda items: len(items) == 4)
    assert len({(item.headers["x-razorpay-event-id"], item.body) for item in items}) == 1


def test_dropped_webhooks_never_come(shop: Shop, hooks: Receiver) -> None:
    plant(shop, "drop_webhook", "payment.captured")
    shop.paid()
    shop.paid()
    items = hooks.wait(lambda items: len(items) == 5)
    names = [event_of(item)["event"] for item in items]
    assert names.count("payment.captured") == 1


def test_duplicated_webhooks_carry_one_id(shop: Shop, hooks: Receiver) -> None:
    plant(shop, "duplicate_webhook", "payment.authorized")
    shop.play("checkout", order_id=shop.order()["id"])
    first, second = hooks.wait(lambda items: len(items) == 2)
    assert first.headers["x-razorpay-event-id"] == second.headers["x-razorpay-event-id"]
    assert first.body == second.body


def test_reordered_webhooks_are_overtaken(shop: Shop, hooks: Receiver) -> None:
    plant(shop, "reorder_webhooks", "payment.authorized")
    shop.paid()
    names = [event_of(item)["event"] for item in hooks.wait(lambda items: len(items) == 3)]
    assert names[-1] == "payment.authorized" or names[0] != "payment.authorized"
    assert sorted(names) == ["order.paid", "payment.authorized", "payment.captured"]


def test_a_tampered_webhook_does_not_verify_and_the_true_one_follows(shop: Shop, hooks: Receiver) -> None:
    plant(shop, "tampered_webhook", "payment.authorized")
    hooks.answers[:] = [400]
    shop.play("checkout", order_id=shop.order()["id"])
    forged, true = hooks.wait(lambda items: len(items) == 2)
    with pytest.raises(SignatureVerificationError):
        verify(shop, forged.body, forged.headers["x-razorpay-signature"])
    assert event_of(forged)["payload"]["payment"]["entity"]["amount"] == 118_100
    assert verify(shop, true.body, true.headers["x-razorpay-signature"])


def test_a_rotated_secret_signs_only_new_events(shop: Shop, hooks: Receiver) -> None:
    hooks.answers[:] = [500]
    shop.play("checkout", order_id=shop.order()["id"])
    hooks.wait(lambda items: len(items) == 1)
    shop.play("webhook", secret="whsec_second")
    shop.play("checkout", order_id=shop.order()["id"], outcome="failure")
    for item in hooks.wait(lambda items: len(items) == 3):
        secret = "whsec_second" if event_of(item)["event"] == "payment.failed" else shop.secret
        assert verify(shop, item.body, item.headers["x-razorpay-signature"], secret)


def test_a_disabled_endpoint_hears_nothing_until_enabled(shop: Shop, hooks: Receiver) -> None:
    shop.play("webhook", enabled=False)
    shop.play("checkout", order_id=shop.order()["id"])
    shop.play("webhook", enabled=True)
    shop.play("checkout", order_id=shop.order()["id"], outcome="failure")
    assert [one["event"] for one in events(hooks, "payment.failed")] == ["payment.failed"]


def test_delivery_does_not_wait_for_a_tick(shop: Shop, hooks: Receiver) -> None:
    taken = []
    for number in range(1, 6):
        order = shop.order()
        began = time.monotonic()
        shop.play("checkout", order_id=order["id"])
        hooks.wait_count(number)
        taken.append(time.monotonic() - began)
    # A poll of even 100 ms would show in the quickest of five.
    assert min(taken) < 0.1


def test_sigkill_loses_no_order_payment_or_webhook(tmp_path: Path, hooks_server: Receiver) -> None:
    hooks_server.clear()
    own = Sandbox(tmp_path / "own.db", hooks_server.url, worlds="razorpay")
    shop = Shop(own)
    hooks_server.answers[:] = [503] * 200  # nothing is accepted before the kill
    payments = [shop.paid() for _ in range(5)]
    late = shop.play("checkout", order_id=shop.order()["id"], outcome="late_authorized", delay_ms=1500)
    before = own.journal("razorpay")
    own.kill()
    hooks_server.clear()
    own.restart()
    assert own.journal("razorpay") == before
    assert [shop.client.payment.fetch(one["id"]) for one in payments] == payments
    items = hooks_server.wait(lambda items: len({one.headers["x-razorpay-event-id"] for one in items}) == 17)
    heard = [
        (event_of(one)["event"], json.loads(one.body)["payload"]["payment"]["entity"]["id"]) for one in items
    ]
    for payment in payments:
        for event in ("payment.authorized", "payment.captured", "order.paid"):
            assert (event, payment["id"]) in heard
    assert ("payment.authorized", late["razorpay_payment_id"]) in heard
    own.stop()


def test_a_day_of_failures_disables_the_endpoint(tmp_path: Path, hooks_server: Receiver) -> None:
    hooks_server.clear()
    own = Sandbox(tmp_path / "own.db", hooks_server.url, worlds="razorpay")
    shop = Shop(own)
    hooks_server.answers[:] = [500] * 1000
    shop.play("checkout", order_id=shop.order()["id"])
    hooks_server.wait(lambda items: len(items) >= 2)
    own.kill()
    with sqlite3.connect(own.database) as db:  # as if the first attempt had been a day ago
        db.execute("UPDATE razorpay_webhooks SET first_at = first_at - 86400, next_at = 0")
    db.close()
    hooks_server.clear()
    hooks_server.answers[:] = [500]
    own.restart()
    hooks_server.wait(lambda items: len(items) == 1)
    deadline = time.monotonic() + 10
    while (told := _webhook_states(own)) != ["disabled"]:
        assert time.monotonic() < deadline, told
    shop.play("checkout", order_id=shop.order()["id"])
    assert _webhook_states(own) == ["disabled"]  # nothing is queued while it is off
    shop.play("webhook", enabled=True)
    shop.play("checkout", order_id=shop.order()["id"])
    hooks_server.wait(lambda items: len(items) == 2)
    own.stop()


def _webhook_states(own: Sandbox) -> list[str]:
    own.http.get("/health")  # paces the look-ups
    db = sqlite3.connect(own.database)
    states = [row[0] for row in db.execute("SELECT state FROM razorpay_webhooks ORDER BY id")]
    db.close()
    return states
