"""Orders: created, attempted, paid. A paid order stays paid when its payment is refunded."""

from typing import Any

from sandbox.razorpay.errors import RazorpayError
from sandbox.razorpay.gateway import Call, Gateway, amount_of, check_fields, currency_of, notes_of
from sandbox.razorpay.objects import Entity, collection, public
from sandbox.razorpay.recurring import mature
from sandbox.razorpay.rules import MAX_RECEIPT, NOTICE_LEAD

FIELDS = frozenset(
    [
        "amount",
        "currency",
        "receipt",
        "notes",
        "partial_payment",
        "first_payment_min_amount",
        "payment_capture",
        "payment",
        "customer_id",
        "token",
        "notification",
        "method",
        "offer_id",
        "offers",
        "bank_account",
        "products",
        "checkout_config_id",
    ]
)
METHODS = ("card", "upi", "netbanking", "emandate")
FREQUENCIES = [
    "daily",
    "weekly",
    "fortnightly",
    "bimonthly",
    "monthly",
    "quarterly",
    "half_yearly",
    "yearly",
    "as_presented",
]


async def create(call: Call) -> Entity:
    """`POST /v1/orders`."""
    body, gateway = call.body, call.gateway
    check_fields(body, FIELDS)
    # A bank mandate may be registered without a first payment.
    amount = amount_of(body, 0 if body.get("method") == "emandate" else 100)
    currency = currency_of(body)
    receipt = _receipt(gateway, body)
    if body.get("method") is not None and body["method"] not in METHODS:
        raise RazorpayError("The selected method is invalid.", "method")
    if body.get("customer_id") is not None:
        gateway.objects.get("customer", body["customer_id"])
    order: Entity = {
        "id": gateway.new_id("order"),
        "entity": "order",
        "amount": amount,
        "amount_paid": 0,
        "amount_due": amount,
        "currency": currency,
        "receipt": receipt,
        "offer_id": None,
        "status": "created",
        "attempts": 0,
        "notes": notes_of(body),
        "created_at": call.now,
        "_auto_capture": _auto_capture(body),
    }
    order |= {name: body[name] for name in ("method", "customer_id") if body.get(name) is not None}
    if body.get("token") is not None:
        order["token"] = _token_terms(body, order)
    if body.get("notification") is not None:
        order["notification"] = _notification(gateway, body["notification"], call.now)
    gateway.objects.add(order)
    call.did(order_id=order["id"])
    return public(order)


def _receipt(gateway: Gateway, body: dict[str, Any]) -> str | None:
    receipt = body.get("receipt")
    if receipt is None:
        return None
    receipt = str(receipt)
    if len(receipt) > MAX_RECEIPT:
        raise RazorpayError("The receipt may not be greater than 40 characters.", "receipt")
    if gateway.rules.unique_receipts and gateway.objects.of("order", receipt):
        raise RazorpayError("Order with this receipt already exists", "receipt")
    return receipt


def _auto_capture(body: dict[str, Any]) -> bool:
    """By `payment_capture` (true, 1, "1") or `payment.capture`; manual where neither is given."""
    payment = body.get("payment")
    if isinstance(payment, dict):
        if payment.get("capture") not in ("automatic", "manual"):
            raise RazorpayError("The selected payment.capture is invalid.", "payment.capture")
        return bool(payment["capture"] == "automatic")
    return str(body.get("payment_capture", 0)).lower() in ("1", "true")


def _token_terms(body: dict[str, Any], order: Entity) -> Entity:
    token = body["token"]
    if not isinstance(token, dict):
        raise RazorpayError("The token must be an array.", "token")
    if "customer_id" not in order:
        raise RazorpayError("The customer id field is required.", "customer_id")
    terms = {name: token.get(name) for name in ("max_amount", "expire_at", "frequency") if name in token}
    for name in ("max_amount", "expire_at"):
        if name in terms and type(terms[name]) is not int:
            raise RazorpayError(f"The token.{name} must be an integer.", f"token.{name}")
    if terms.get("frequency") not in (None, *FREQUENCIES):
        raise RazorpayError("The selected token.frequency is invalid.", "token.frequency")
    return terms


def _notification(gateway: Gateway, asked: Any, now: int) -> Entity:
    """The pre-debit notice. It is delivered at once; the debit may follow after the method's lead time."""
    if not isinstance(asked, dict) or not asked.get("token_id"):
        raise RazorpayError("The notification.token id field is required.", "notification.token_id")
    token = gateway.objects.get("token", asked["token_id"])
    after = asked.get("payment_after")
    if after is None:
        after = now + int(NOTICE_LEAD[token["method"]].total_seconds())
    if type(after) is not int:
        raise RazorpayError(
            "The notification.payment after must be an integer.", "notification.payment_after"
        )
    return {
        "token_id": token["id"],
        "payment_after": after,
        "id": gateway.world.new_id("notification_"),
        "status": "delivered",
        "delivered_at": now,
    }


async def fetch(call: Call) -> Entity:
    """`GET /v1/orders/{id}`."""
    return public(call.gateway.objects.get("order", call.part("id")))


async def listing(call: Call) -> Entity:
    """`GET /v1/orders`, by time and page, or by `receipt`."""
    receipt = call.request.query_params.get("receipt")
    if receipt:
        return collection(call.gateway.objects.of("order", receipt))
    return call.gateway.objects.page("order", call.request.query_params)


async def payments(call: Call) -> Entity:
    """`GET /v1/orders/{id}/payments`."""
    order = call.gateway.objects.get("order", call.part("id"))
    found = call.gateway.objects.of("payment", order["id"])
    return collection([mature(call.gateway, payment, call.now) for payment in found])


async def edit(call: Call) -> Entity:
    """`PATCH /v1/orders/{id}`: only notes can change."""
    check_fields(call.body, frozenset({"notes"}))
    order = call.gateway.objects.get("order", call.part("id"))
    order["notes"] = notes_of(call.body)
    call.did(order_id=order["id"], notes=order["notes"])
    return public(call.gateway.objects.save(order))
