"""The gateway's webhook: signed, stored once, answered, told; what comes for a payment that is over."""

import hashlib
import hmac
import json
import secrets
from datetime import timedelta
from typing import Any

import httpx
import pytest
from temporalio.testing._timeskipping import TimeSkipper

from tests.api.till import Counter
from tests.workflows.shop import eventually


def _event(order_id: str, payment_id: str = "pay_00000000000000") -> bytes:
    entity = {
        "id": payment_id,
        "entity": "payment",
        "order_id": order_id,
        "status": "captured",
        "captured": True,
    }
    return json.dumps({"entity": "event", "event": "payment.captured", "payload": {"payment": {"entity": entity}}}).encode()  # fmt: skip # noqa: E501


async def _post(till: Counter, raw: bytes, secret: str, event_id: str) -> httpx.Response:
    signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    headers = {"X-Razorpay-Signature": signature, "x-razorpay-event-id": event_id}
    return await till.api.post("/v1/webhooks/razorpay", content=raw, headers=headers)


async def test_a_webhook_is_a_hint_and_never_believed(till: Counter) -> None:
    person, reference_id = await till.customer()
    checkout = (await till.create(person, reference_id)).json()
    secret = till.api.platform.settings.razorpay_webhook_secrets[0]
    raw, event_id = _event(checkout["gateway_order_id"]), secrets.token_hex(7)
    assert (await _post(till, raw, secret, event_id)).status_code == 200
    assert (await _post(till, raw, secret, event_id)).status_code == 200
    stored = await till.shop.rows("SELECT * FROM platform.events WHERE event_id = %s", event_id)
    assert len(stored) == 1
    assert stored[0]["workflow_id"] == f"payment:{checkout['payment_id']}"

    async def done() -> Any:
        rows = await till.shop.rows("SELECT done_at FROM platform.events WHERE event_id = %s", event_id)
        return rows[0]["done_at"]

    assert await eventually(done, lambda at: at is not None)
    assert (await till.settled(person, checkout["payment_id"], "created"))["invoice_id"] is None


async def test_a_webhook_without_our_signature_is_refused_and_not_kept(till: Counter) -> None:
    raw, event_id = _event("order_00000000000000"), secrets.token_hex(7)
    refused = await _post(till, raw, "another secret", event_id)
    assert (refused.status_code, refused.json()["code"]) == (400, "signature_invalid")
    assert (await till.api.post("/v1/webhooks/razorpay", content=raw)).status_code == 400
    assert await till.shop.rows("SELECT FROM platform.events WHERE event_id = %s", event_id) == []


async def test_the_secret_before_the_rotation_still_counts(
    till: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = till.api.platform.settings
    current = settings.razorpay_webhook_secrets[0]
    monkeypatch.setattr(settings, "razorpay_webhook_secrets", ["fresh", current])
    raw = _event("order_00000000000000")
    assert (await _post(till, raw, current, secrets.token_hex(7))).status_code == 200
    assert (await _post(till, raw, "fresh", secrets.token_hex(7))).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b'{"payload": {"payment": 1}}',
        b"\xff\x00",
        b'{"event": "payment.dreamt", "payload": {}}',
    ],
)
async def test_what_is_signed_and_unknown_is_stored_and_not_refused(till: Counter, raw: bytes) -> None:
    secret = till.api.platform.settings.razorpay_webhook_secrets[0]
    event_id = secrets.token_hex(7)
    for _ in range(2):
        answer = await _post(till, raw, secret, event_id)
        assert (answer.status_code, answer.json()) == (200, {"status": "received"})
    (stored,) = await till.shop.rows("SELECT * FROM platform.events WHERE event_id = %s", event_id)
    assert till.shop.vault.firm.open(bytes(stored["raw"]), "event:razorpay") == raw
    assert (stored["workflow_id"], stored["done_at"] is None) == (None, False)


@pytest.mark.parametrize("event_id", ["", "x" * 129])
async def test_an_event_without_an_id_is_known_by_its_body(till: Counter, event_id: str) -> None:
    secret = till.api.platform.settings.razorpay_webhook_secrets[0]
    raw = json.dumps({"event": "new", "n": secrets.token_hex(7)}).encode()
    for _ in range(2):
        assert (await _post(till, raw, secret, event_id)).status_code == 200
    named = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert len(await till.shop.rows("SELECT FROM platform.events WHERE event_id = %s", named)) == 1


async def expired(till: Counter) -> tuple[Any, dict[str, Any]]:
    """A checkout that nobody paid for three days."""
    person, reference_id = await till.customer()
    checkout = (await till.create(person, reference_id)).json()
    handle = till.shop.client.get_workflow_handle(f"payment:{checkout['payment_id']}")
    await TimeSkipper(till.shop.client).fast_forward(handle, timedelta(days=3, minutes=1))
    await handle.result()
    await till.settled(person, checkout["payment_id"], "expired")
    return person, checkout


async def test_money_held_after_the_end_goes_back_and_says_why(till: Counter) -> None:
    person, checkout = await expired(till)
    brought = await till.pay(checkout)
    status = await till.settled(person, checkout["payment_id"], "refund_pending")
    assert status["failure_code"] == "late_authorisation"
    assert [(t["status"], t["code"]) for t in status["timeline"]][-2:] == [
        ("expired", None),
        ("refund_pending", "late_authorisation"),
    ]
    assert await till.shop.effects("captured", brought["razorpay_payment_id"]) == []
    handle = till.shop.client.get_workflow_handle(f"late-payment:{checkout['payment_id']}")
    assert (await handle.describe()).status is not None
    await handle.terminate()


async def test_money_taken_after_the_end_is_booked_and_given_back(till: Counter) -> None:
    person, checkout = await expired(till)
    match = "payment."
    await till.shop.control("/faults", target="razorpay", match=match, fault="drop_webhook", times=1)
    brought = await till.pay(checkout)
    taken = await till.shop.http.post(
        f"/razorpay/v1/payments/{brought['razorpay_payment_id']}/capture",
        auth=credentials(till),
        json={"amount": checkout["amount"], "currency": "INR"},
    )
    assert taken.status_code == 200, taken.text
    status = await till.settled(person, checkout["payment_id"], "refunded")
    assert status["amount_refunded"] == checkout["amount"]
    kinds = await till.shop.rows(
        "SELECT kind FROM finance.invoices WHERE payment_id = %s ORDER BY invoice_id", checkout["payment_id"]
    )
    assert [row["kind"] for row in kinds] == ["invoice", "credit_note"]
    refunds = await till.shop.rows(
        "SELECT reason_code FROM finance.refunds WHERE payment_id = %s", checkout["payment_id"]
    )
    assert [row["reason_code"] for row in refunds] == ["late_authorisation"]


async def test_a_failure_after_the_end_changes_nothing(till: Counter) -> None:
    person, checkout = await expired(till)
    order_id = checkout["gateway_order_id"]
    before = await looks(till, order_id)
    await till.shop.control("/razorpay/checkout", order_id=order_id, outcome="failure")
    handle = till.shop.client.get_workflow_handle(f"late-payment:{checkout['payment_id']}")

    async def ended() -> bool:
        rows = await till.shop.rows(
            "SELECT FROM platform.events WHERE workflow_id = %s AND done_at IS NOT NULL", handle.id
        )
        return bool(rows)

    await eventually(ended, bool)
    assert (await handle.result())["status"] == "expired"
    # A word that comes beside a read is not lost with the end: the gateway is read again.
    assert await looks(till, order_id) >= before + 2
    # And money may still come later: the next word begins another look.
    brought = await till.pay(checkout)
    await till.settled(person, checkout["payment_id"], "refund_pending")
    assert await till.shop.effects("captured", brought["razorpay_payment_id"]) == []
    await handle.terminate()


async def looks(till: Counter, order_id: str) -> int:
    """How often the gateway was asked about an order."""
    answer = await till.shop.http.get("/_control/journal", params={"target": "razorpay"})
    return sum(item["path"].endswith(f"/orders/{order_id}/payments") for item in answer.json()["items"])


def credentials(till: Counter) -> tuple[str, str]:
    settings = till.api.platform.settings
    return settings.razorpay_key_id, settings.razorpay_key_secret.get_secret_value()
