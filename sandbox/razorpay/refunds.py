"""Refunds: full, partial, several; never more than was captured; repeatable under an idempotency key."""

import hashlib
import json
import re
from typing import Any

from sandbox.razorpay.dates import add_months, ist_date
from sandbox.razorpay.errors import RazorpayError, plain, required
from sandbox.razorpay.gateway import Call, Gateway, amount_of, check_fields, notes_of
from sandbox.razorpay.lifecycle import refunded
from sandbox.razorpay.objects import Entity, collection, public
from sandbox.razorpay.rules import REFUNDABLE_MONTHS

SCHEMA = """
CREATE TABLE IF NOT EXISTS razorpay_idempotency (
  key TEXT PRIMARY KEY, request_hash TEXT NOT NULL, answer TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS razorpay_refund_plans (
  payment_id TEXT PRIMARY KEY, outcome TEXT NOT NULL
);
"""
HEADER = "x-refund-idempotency"
FIELDS = frozenset({"amount", "speed", "notes", "receipt"})
TOO_OLD = "Refund is not supported by the bank because the payment is more than 6 months old"
OTHER_BODY = "Different request with the same idempotency key has already been processed."
IN_PROGRESS = "Another request with the same idempotency key is still in progress."


async def create(call: Call) -> Entity:
    """`POST /v1/payments/{id}/refund`, and `POST /v1/refunds` with `payment_id` in the body."""
    body = dict(call.body)
    payment_id = call.request.path_params.get("id") or body.pop("payment_id", None)
    if not payment_id:
        raise required("payment_id")
    key = call.request.headers.get(HEADER)
    if key is None:
        return _refund(call, str(payment_id), body)
    _check_key(call, key)
    asked = json.dumps([payment_id, body], sort_keys=True)
    request_hash = hashlib.sha256(asked.encode()).hexdigest()
    db = call.gateway.world.db
    known = db.execute("SELECT * FROM razorpay_idempotency WHERE key = ?", (key,)).fetchone()
    if known is not None:
        if known["request_hash"] != request_hash:
            # The documentation shows this with BAD_REQUEST_ERROR and lists it as a 409: both hold.
            raise plain(OTHER_BODY, 409)
        return dict(json.loads(known["answer"]))
    # Only what succeeded is remembered: a refused request may be corrected under the same key.
    answer = _refund(call, str(payment_id), body)
    db.execute("INSERT INTO razorpay_idempotency VALUES (?, ?, ?)", (key, request_hash, json.dumps(answer)))
    return answer


def _check_key(call: Call, key: str) -> None:
    if len(key) < 10:
        raise plain("The idempotency key must be at least 10 characters long.")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", key):
        text = "The idempotency key must only contain alphanumeric characters, underscores, and hyphens"
        raise plain(text)
    for other in call.gateway.world.in_flight:
        if other.headers.get(HEADER) == key:
            raise plain(IN_PROGRESS, 409)


def _refund(call: Call, payment_id: str, body: dict[str, Any]) -> Entity:
    gateway = call.gateway
    check_fields(body, FIELDS)
    payment = gateway.objects.get("payment", payment_id)
    amount = _amount(payment, body, call.now)
    speed = body.get("speed", "normal")
    if speed not in ("normal", "optimum"):
        raise RazorpayError("The selected speed is invalid.", "speed")
    plan = gateway.world.db.execute(
        "DELETE FROM razorpay_refund_plans WHERE payment_id IN (?, '*') RETURNING outcome", (payment_id,)
    ).fetchone()
    refund: Entity = {
        "id": gateway.new_id("refund"),
        "entity": "refund",
        "amount": amount,
        "currency": "INR",
        "payment_id": payment_id,
        "notes": notes_of(body),
        "receipt": body.get("receipt"),
        "acquirer_data": {"arn": None},
        "created_at": call.now,
        "batch_id": None,
        "status": "pending",
        "speed_processed": None,
        "speed_requested": speed,
    }
    gateway.objects.add(refund)
    refunded(gateway, payment, amount)
    gateway.emit("refund.created", call.now, refund=refund, payment=payment)
    decide(gateway, refund, plan["outcome"] if plan else "processed", call.now)
    call.did(refund_id=refund["id"], payment_id=payment_id, refunded=amount)
    return public(refund)


def _amount(payment: Entity, body: dict[str, Any], now: int) -> int:
    """What may be refunded now, in paise; raises RazorpayError."""
    if not payment["captured"]:
        raise RazorpayError("The payment status should be captured for action to be taken", reason="NA")
    left = payment["amount"] - payment["amount_refunded"]
    if left == 0:
        raise RazorpayError("The payment has been fully refunded already", reason="NA")
    amount = left if body.get("amount") is None else amount_of(body)
    if amount > left:
        raise RazorpayError("The refund amount provided is greater than amount captured", "amount")
    if ist_date(now) > add_months(ist_date(payment["_captured_at"]), REFUNDABLE_MONTHS):
        raise plain(TOO_OLD)
    return amount


def decide(gateway: Gateway, refund: Entity, outcome: str, now: int) -> Entity:
    """What becomes of a refund: `processed`, `failed` (the money stays with the merchant) or `pending`."""
    if outcome == "pending" or outcome == refund["status"]:
        return refund
    payment = gateway.objects.get("payment", refund["payment_id"])
    instant = refund["speed_requested"] == "optimum"
    if outcome == "processed":
        # A refund whose money came back and goes out again counts again.
        if refund["status"] == "failed":
            refunded(gateway, payment, refund["amount"])
        arn = gateway.world.new_id("", 23).upper()
        refund |= {"status": "processed", "speed_processed": "instant" if instant else "normal"}
        refund |= {"acquirer_data": {"arn": arn}, "_settles": ist_date(now).isoformat()}
    else:
        refunded(gateway, payment, -refund["amount"])
        if refund["status"] == "processed" and refund["_settles"] is None:
            _give_back(gateway, refund, now)
        refund |= {"status": "failed", "speed_processed": None, "_settles": None}
    gateway.objects.save(refund)
    gateway.emit(f"refund.{outcome}", now, refund=refund, payment=payment)
    return refund


def _give_back(gateway: Gateway, refund: Entity, now: int) -> None:
    """A refund that was settled and then returned by the bank is credited in a later settlement."""
    gateway.objects.add(
        {
            "id": gateway.new_id("adjustment"),
            "entity": "adjustment",
            "amount": refund["amount"],
            "currency": "INR",
            "description": f"Credit for failed refund {refund['id']}",
            "created_at": now,
            "_payment_id": refund["payment_id"],
            "_settles": ist_date(now).isoformat(),
        }
    )


async def fetch(call: Call) -> Entity:
    """`GET /v1/refunds/{id}` and `GET /v1/payments/{id}/refunds/{refund}`."""
    parts = call.request.path_params
    refund = call.gateway.objects.get("refund", parts.get("refund", parts["id"]))
    if "refund" in parts and refund["payment_id"] != parts["id"]:
        raise RazorpayError("The id provided does not exist")
    return public(refund)


async def listing(call: Call) -> Entity:
    """`GET /v1/refunds`."""
    return call.gateway.objects.page("refund", call.request.query_params)


async def of_payment(call: Call) -> Entity:
    """`GET /v1/payments/{id}/refunds`."""
    payment = call.gateway.objects.get("payment", call.part("id"))
    return collection(call.gateway.objects.of("refund", payment["id"]))


async def edit(call: Call) -> Entity:
    """`PATCH /v1/refunds/{id}`: only notes can change."""
    check_fields(call.body, frozenset({"notes"}))
    refund = call.gateway.objects.get("refund", call.part("id"))
    refund["notes"] = notes_of(call.body)
    call.did(refund_id=refund["id"], notes=refund["notes"])
    return public(call.gateway.objects.save(refund))
