"""Customers: found again by mail and phone."""

from sandbox.razorpay.errors import RazorpayError
from sandbox.razorpay.gateway import Call, check_fields, notes_of
from sandbox.razorpay.objects import Entity, public

FIELDS = frozenset({"name", "email", "contact", "gstin", "notes", "fail_existing"})
EXISTS = "Customer already exists for the merchant"


def _text(call: Call, name: str, most: int) -> str | None:
    value = call.body.get(name)
    if value is None:
        return None
    if not isinstance(value, str | int) or isinstance(value, bool) or len(str(value)) > most:
        raise RazorpayError(f"The {name} format is invalid.", name)
    return str(value)


async def create(call: Call) -> Entity:
    """`POST /v1/customers`; `fail_existing` "0" answers the one that is there, "1" (default) refuses."""
    check_fields(call.body, FIELDS)
    email, contact = _text(call, "email", 64), _text(call, "contact", 15)
    if email or contact:
        existing = call.gateway.objects.of("customer", email, contact)
        if existing and str(call.body.get("fail_existing", "1")) in ("0", "False", "false"):
            return public(existing[0])
        if existing:
            raise RazorpayError(EXISTS, reason="NA")
    customer: Entity = {
        "id": call.gateway.new_id("customer"),
        "entity": "customer",
        "name": _text(call, "name", 50),
        "email": email,
        "contact": contact,
        "gstin": _text(call, "gstin", 15),
        "notes": notes_of(call.body),
        "created_at": call.now,
    }
    call.gateway.objects.add(customer)
    call.did(customer_id=customer["id"])
    return public(customer)


async def fetch(call: Call) -> Entity:
    """`GET /v1/customers/{id}`."""
    return public(call.gateway.objects.get("customer", call.part("id")))


async def listing(call: Call) -> Entity:
    """`GET /v1/customers`."""
    return call.gateway.objects.page("customer", call.request.query_params)


async def edit(call: Call) -> Entity:
    """`PUT /v1/customers/{id}`: name, mail and phone."""
    check_fields(call.body, frozenset({"name", "email", "contact"}))
    customer = call.gateway.objects.get("customer", call.part("id"))
    changes = {"name": _text(call, "name", 50), "email": _text(call, "email", 64)}
    changes["contact"] = _text(call, "contact", 15)
    customer |= {name: value for name, value in changes.items() if name in call.body}
    others = call.gateway.objects.of("customer", customer["email"], customer["contact"])
    if any(other["id"] != customer["id"] for other in others):
        raise RazorpayError(EXISTS, reason="NA")
    call.did(customer_id=customer["id"])
    return public(call.gateway.objects.save(customer))
