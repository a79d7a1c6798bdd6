"""Tokens: the customer's mandate, by which later debits are made."""

from sandbox.razorpay.errors import NOT_FOUND, RazorpayError
from sandbox.razorpay.gateway import Call, Gateway
from sandbox.razorpay.objects import Entity, collection, public

STATES = ("initiated", "confirmed", "rejected", "paused", "cancelled")


def register(gateway: Gateway, order: Entity, payment: Entity, now: int) -> Entity:
    """A confirmed mandate on the terms of its order, by the method the customer paid with."""
    terms = order["token"]
    method = payment["method"]
    token: Entity = {
        "id": gateway.new_id("token"),
        "entity": "token",
        "token": gateway.world.new_id(""),
        "bank": payment["bank"],
        "wallet": None,
        "method": method,
        "vpa": {"username": "customer", "handle": "upi", "name": None} if method == "upi" else None,
        "recurring": True,
        "recurring_details": {"status": "confirmed", "failure_reason": None},
        "auth_type": "netbanking" if method == "emandate" else None,
        "mrn": None,
        "used_at": now,
        "created_at": now,
        "start_time": now,
        "expired_at": terms.get("expire_at"),
        "max_amount": terms.get("max_amount"),
        "frequency": terms.get("frequency") or "as_presented",
        "dcc_enabled": False,
        "_customer_id": order["customer_id"],
        "_order_id": order["id"],
    }
    if method == "card":
        token["card"] = payment["card"]
    gateway.objects.add(token)
    gateway.emit("token.confirmed", now, token=token)
    return token


def set_state(gateway: Gateway, token: Entity, state: str, now: int) -> Entity:
    """What the customer or the bank does with the mandate."""
    token["recurring_details"] = {"status": state, "failure_reason": None}
    gateway.objects.save(token)
    gateway.emit(f"token.{state}", now, token=token)
    return token


def _token(call: Call) -> Entity:
    customer = call.gateway.objects.get("customer", call.part("id"))
    token = call.gateway.objects.get("token", call.part("token"))
    if token["_customer_id"] != customer["id"] or token.get("_deleted"):
        raise RazorpayError(NOT_FOUND)
    return token


async def fetch(call: Call) -> Entity:
    """`GET /v1/customers/{id}/tokens/{token}`."""
    return public(_token(call))


async def listing(call: Call) -> Entity:
    """`GET /v1/customers/{id}/tokens`: expired ones are left out."""
    customer = call.gateway.objects.get("customer", call.part("id"))
    tokens = call.gateway.objects.of("token", customer["id"])
    live = [one for one in tokens if not one.get("_deleted") and (one["expired_at"] or call.now) >= call.now]
    return collection(live)


async def delete(call: Call) -> Entity:
    """`DELETE /v1/customers/{id}/tokens/{token}`: forgets the token, leaves the bank's mandate alone."""
    token = _token(call)
    token["_deleted"] = True
    call.gateway.objects.save(token)
    call.did(token_id=token["id"], deleted=True)
    return {"deleted": True}


async def cancel(call: Call) -> Entity:
    """`PUT /v1/customers/{id}/tokens/{token}/cancel`: ends the mandate at the bank too."""
    token = _token(call)
    set_state(call.gateway, token, "cancelled", call.now)
    call.did(token_id=token["id"], cancelled=True)
    return {"status": "cancellation_initiated"}
