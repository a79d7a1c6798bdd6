"""A payment's life: created, authorized, captured, refunded or failed, and the events of each step."""

import hashlib
import hmac
from typing import Any

from sandbox.razorpay.dates import ist_date
from sandbox.razorpay.errors import ALREADY_PAID, RazorpayError
from sandbox.razorpay.gateway import Gateway
from sandbox.razorpay.objects import Entity
from sandbox.razorpay.rules import APPROVAL_LIFE, UNCAPTURED_LIFE

NO_ERROR: Entity = {
    "error_code": None,
    "error_description": None,
    "error_source": None,
    "error_step": None,
    "error_reason": None,
}


def _instrument(gateway: Gateway, method: str) -> Entity:
    """Fields that depend on how the customer pays."""
    fields: Entity = {"card_id": None, "bank": None, "wallet": None, "vpa": None, "acquirer_data": {}}
    if method == "card":
        card_id = gateway.world.new_id("card_")
        card: Entity = {"id": card_id, "entity": "card", "name": "", "last4": "1111", "network": "Visa"}
        card |= {"type": "debit", "issuer": "HDFC", "international": False, "emi": False}
        card |= {"sub_type": "consumer", "token_iin": None}
        auth_code = gateway.world.new_id("", 6).upper()
        fields |= {"card_id": card_id, "card": card, "acquirer_data": {"auth_code": auth_code}}
    elif method == "upi":
        vpa = "customer@upi"
        rrn = str(int.from_bytes(hashlib.sha256(gateway.world.new_id("").encode()).digest()[:5]) % 10**12)
        fields |= {"vpa": vpa, "acquirer_data": {"rrn": rrn.zfill(12)}}
        fields["upi"] = {"payer_account_type": "bank_account", "vpa": vpa, "flow": "intent"}
    elif method == "netbanking":
        fields |= {"bank": "HDFC", "acquirer_data": {"bank_transaction_id": gateway.world.new_id("", 12)}}
    else:
        fields["bank"] = "HDFC"
    return fields


def open_payment(gateway: Gateway, order: Entity | None, now: int, **fields: Any) -> Entity:
    """A payment in `created`; its order counts the attempt. Raises RazorpayError where the order is paid."""
    if order is not None and order["status"] == "paid":
        raise RazorpayError(ALREADY_PAID, reason="order_already_paid")
    payment: Entity = {
        "id": gateway.new_id("payment"),
        "entity": "payment",
        "amount": order["amount"] if order else fields["amount"],
        "currency": "INR",
        "status": "created",
        "order_id": order["id"] if order else None,
        "invoice_id": None,
        "international": False,
        "method": fields["method"],
        "amount_refunded": 0,
        "refund_status": None,
        "captured": False,
        "description": fields.get("description"),
        **_instrument(gateway, fields["method"]),
        "email": fields.get("email") or "customer@example.com",
        "contact": fields.get("contact") or "+919000090000",
        "customer_id": fields.get("customer_id"),
        "token_id": fields.get("token_id"),
        "notes": fields.get("notes") or (order["notes"] if order else []),
        "fee": None,
        "tax": None,
        **NO_ERROR,
        "created_at": now,
    }
    payment |= {name: value for name, value in fields.items() if name.startswith("_")}
    if order is not None:
        order["attempts"] += 1
        order["status"] = "attempted"
        gateway.objects.save(order)
    return gateway.objects.add(payment)


def authorize(gateway: Gateway, payment: Entity, now: int) -> Entity:
    """The bank has the money on hold; an order that asks for it is captured at once."""
    payment |= {"status": "authorized", **NO_ERROR, "_authorized_at": now}
    gateway.objects.save(payment)
    gateway.emit("payment.authorized", now, payment=payment)
    order = gateway.objects.look("order", payment["order_id"])
    if order is not None and order["_auto_capture"] and order["status"] != "paid":
        return capture(gateway, payment, now)
    return payment


def capture(gateway: Gateway, payment: Entity, now: int) -> Entity:
    """Takes the held money: fee and tax are known, the order is paid, settlement will follow."""
    fee, tax = gateway.rules.fee_and_tax(payment["amount"])
    payment |= {"status": "captured", "captured": True, "fee": fee, "tax": tax}
    payment |= {"_captured_at": now, "_settles": ist_date(now).isoformat()}
    gateway.objects.save(payment)
    gateway.emit("payment.captured", now, payment=payment)
    order = gateway.objects.look("order", payment["order_id"])
    if order is not None:
        order |= {"status": "paid", "amount_paid": order["amount"], "amount_due": 0}
        gateway.objects.save(order)
        gateway.emit("order.paid", now, payment=payment, order=order)
    return payment


def fail(gateway: Gateway, payment: Entity, now: int, description: str = "", reason: str = "") -> Entity:
    """The bank refused. A failed payment may still become authorized for three days."""
    payment |= {
        "status": "failed",
        "error_code": "BAD_REQUEST_ERROR",
        "error_description": description or "Your payment has been declined by the bank.",
        "error_source": "bank",
        "error_step": "payment_authorization",
        "error_reason": reason or "payment_declined",
    }
    gateway.objects.save(payment)
    gateway.emit("payment.failed", now, payment=payment)
    return payment


def refunded(gateway: Gateway, payment: Entity, amount: int) -> Entity:
    """Counts a refund against its payment; a negative amount takes one back that the bank returned."""
    total = payment["amount_refunded"] + amount
    full = total == payment["amount"]
    payment |= {"amount_refunded": total, "refund_status": ("full" if full else "partial") if total else None}
    payment["status"] = "refunded" if full else "captured"
    return gateway.objects.save(payment)


def aged(gateway: Gateway, payment: Entity, now: int) -> Entity:
    """What time alone has done to a payment by `now`: money that nobody captured or approved goes back."""
    if (
        payment["status"] == "authorized"
        and now - payment["_authorized_at"] >= UNCAPTURED_LIFE.total_seconds()
    ):
        return _return_uncaptured(gateway, payment, now)
    waiting = payment.get("_waits_for") == "approval" and payment["status"] == "created"
    if waiting and now - payment["created_at"] >= APPROVAL_LIFE.total_seconds():
        return fail(
            gateway, payment, now, "The customer did not approve the payment in time.", "payment_timed_out"
        )
    return payment


def _return_uncaptured(gateway: Gateway, payment: Entity, now: int) -> Entity:
    refund: Entity = {
        "id": gateway.new_id("refund"),
        "entity": "refund",
        "amount": payment["amount"],
        "currency": "INR",
        "payment_id": payment["id"],
        "notes": [],
        "receipt": None,
        "acquirer_data": {"arn": None},
        "created_at": now,
        "batch_id": None,
        "status": "processed",
        "speed_processed": "normal",
        "speed_requested": "normal",
    }
    gateway.objects.add(refund)
    refunded(gateway, payment, payment["amount"])
    gateway.emit("refund.created", now, refund=refund, payment=payment)
    gateway.emit("refund.processed", now, refund=refund, payment=payment)
    return payment


def checkout_signature(gateway: Gateway, first: str, second: str) -> str:
    """HMAC-SHA256 of `first|second` under the API secret: `order|payment`, or `payment|subscription`."""
    secret = gateway.world.credentials["razorpay"]["key_secret"]
    return hmac.new(secret.encode(), f"{first}|{second}".encode(), hashlib.sha256).hexdigest()
