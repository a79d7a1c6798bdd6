"""Payments as the merchant sees them: read, annotate, capture."""

from sandbox.razorpay.errors import ALREADY_PAID, RazorpayError
from sandbox.razorpay.gateway import Call, amount_of, check_fields, currency_of, notes_of
from sandbox.razorpay.lifecycle import capture as take
from sandbox.razorpay.objects import Entity, public
from sandbox.razorpay.recurring import mature


def _payment(call: Call) -> Entity:
    payment = call.gateway.objects.get("payment", call.part("id"))
    return mature(call.gateway, payment, call.now)


async def fetch(call: Call) -> Entity:
    """`GET /v1/payments/{id}`."""
    return public(_payment(call))


async def listing(call: Call) -> Entity:
    """`GET /v1/payments`."""
    return call.gateway.objects.page("payment", call.request.query_params)


async def card(call: Call) -> Entity:
    """`GET /v1/payments/{id}/card`."""
    payment = _payment(call)
    if payment["method"] != "card":
        raise RazorpayError("The payment was not made by card.")
    return dict(payment["card"])


async def edit(call: Call) -> Entity:
    """`PATCH /v1/payments/{id}`: only notes can change."""
    check_fields(call.body, frozenset({"notes"}))
    payment = _payment(call)
    payment["notes"] = notes_of(call.body)
    call.did(payment_id=payment["id"], notes=payment["notes"])
    return public(call.gateway.objects.save(payment))


async def capture(call: Call) -> Entity:
    """`POST /v1/payments/{id}/capture`: once, and exactly the authorised amount.

    The documentation names one text for a paid order and none for a payment that is captured already;
    that one and the one for other states are as the gateway is known to answer.
    """
    payment = _payment(call)
    amount = amount_of(call.body)
    if "currency" in call.body:
        currency_of(call.body)
    if payment["captured"]:
        raise RazorpayError("This payment has already been captured", step="payment_capture", reason="NA")
    if payment["status"] != "authorized":
        text = "Only payments which have been authorized and not yet captured can be captured"
        raise RazorpayError(text, step="payment_capture", reason="NA")
    if amount != payment["amount"]:
        raise RazorpayError("Capture amount must be equal to the amount authorized", "amount")
    order = call.gateway.objects.look("order", payment["order_id"])
    if order is not None and order["status"] == "paid":
        raise RazorpayError(ALREADY_PAID, reason="order_already_paid")
    call.did(payment_id=payment["id"], captured=amount)
    return public(take(call.gateway, payment, call.now))
