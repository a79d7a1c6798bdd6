"""The customer at checkout: pays, fails, or pays so late that the merchant has seen a failure first."""

import asyncio
import time
from typing import Any

from sandbox.razorpay import lifecycle, subscriptions, tokens
from sandbox.razorpay.gateway import Gateway
from sandbox.razorpay.objects import Entity
from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS razorpay_due (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, now INTEGER NOT NULL, payment_id TEXT NOT NULL,
  outcome TEXT NOT NULL
);
"""
WAKE = "razorpay.due"
OUTCOMES = ("success", "failure", "late_authorized")


def play(gateway: Gateway, body: dict[str, Any], now: int) -> Entity:
    """One visit to the checkout page; answers what the page hands to the merchant's script.

    With `delay_ms` the payment is `created` and the bank's answer comes by itself later; `amount`: paise that
    are paid instead of the order's, as no gateway should allow. A failure and a late authorisation hand over
    an error and no signature: the merchant hears of the money by webhook.
    """
    outcome, delay_ms = body["outcome"], body["delay_ms"]
    payment, first, second = _open(gateway, body, now)
    if outcome == "late_authorized":
        lifecycle.fail(gateway, payment, now, "Payment was not completed on time.", "payment_timed_out")
    if delay_ms:
        _later(gateway, payment, now, delay_ms, outcome)
    else:
        finish(gateway, payment, outcome, now)
    answer: Entity = {"razorpay_payment_id": payment["id"], "razorpay_signature": None}
    answer["razorpay_order_id"] = payment["order_id"]
    if body.get("subscription_id"):
        answer["razorpay_subscription_id"] = body["subscription_id"]
    if outcome == "success":
        answer["razorpay_signature"] = lifecycle.checkout_signature(gateway, first, second)
    else:
        answer["error"] = {
            "code": "BAD_REQUEST_ERROR",
            "description": "Your payment has been declined by the bank.",
            "source": "bank",
            "step": "payment_authorization",
            "reason": "payment_declined",
            "metadata": {"payment_id": payment["id"], "order_id": payment["order_id"]},
        }
    return answer


def _open(gateway: Gateway, body: dict[str, Any], now: int) -> tuple[Entity, str, str]:
    """The payment in `created`, and the two ids whose signature proves success, in their order."""
    fields = {name: body.get(name) for name in ("email", "contact", "description")}
    if body.get("subscription_id"):
        subscription = gateway.objects.get("subscription", body["subscription_id"])
        payment = subscriptions.open_first(gateway, subscription, body.get("method") or "card", now)
        return payment, payment["id"], subscription["id"]
    order = gateway.objects.get("order", body["order_id"])
    method = body.get("method") or order.get("method") or "card"
    payment = lifecycle.open_payment(
        gateway, order, now, method=method, customer_id=order.get("customer_id"), **fields
    )
    if body.get("amount"):
        payment["amount"] = body["amount"]
        gateway.objects.save(payment)
    return payment, order["id"], payment["id"]


def finish(gateway: Gateway, payment: Entity, outcome: str, now: int) -> None:
    """The bank's answer, now."""
    if payment["status"] not in ("created", "failed"):
        return
    if outcome == "failure":
        lifecycle.fail(gateway, payment, now)
        return
    order = gateway.objects.look("order", payment["order_id"])
    if order is not None and order.get("token") is not None and order.get("customer_id"):
        payment["token_id"] = tokens.register(gateway, order, payment, now)["id"]
    payment = lifecycle.authorize(gateway, payment, now)
    if payment.get("_subscription"):
        subscriptions.authenticated(gateway, payment, now)


def _later(gateway: Gateway, payment: Entity, now: int, delay_ms: int, outcome: str) -> None:
    gateway.world.db.execute(
        "INSERT INTO razorpay_due (at, now, payment_id, outcome) VALUES (?, ?, ?, ?)",
        (time.time() + delay_ms / 1000, now + delay_ms // 1000, payment["id"], outcome),
    )
    gateway.world.event(WAKE).set()


async def play_later(world: World) -> None:
    """Gives the bank's delayed answers when their time comes; rows, so that a restart forgets none."""
    gateway, wake = Gateway(world), world.event(WAKE)
    while True:
        wake.clear()
        async with world.exclusive() as db:
            rows = db.execute(
                "SELECT * FROM razorpay_due WHERE at <= ? ORDER BY at", (time.time(),)
            ).fetchall()
            for row in rows:
                db.execute("DELETE FROM razorpay_due WHERE seq = ?", (row["seq"],))
                payment = gateway.objects.look("payment", row["payment_id"])
                if payment is not None:
                    finish(gateway, payment, row["outcome"], row["now"])
            following = db.execute("SELECT min(at) AS at FROM razorpay_due").fetchone()["at"]
        pause = 60.0 if following is None else max(0.001, following - time.time())
        try:
            async with asyncio.timeout(pause):
                await wake.wait()
        except TimeoutError:
            continue
