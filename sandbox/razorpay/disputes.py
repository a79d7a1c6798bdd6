"""Disputes: the customer's bank takes the side of the customer, and what comes of it."""

from sandbox.razorpay.dates import ist_date
from sandbox.razorpay.errors import RazorpayError
from sandbox.razorpay.gateway import Call, Gateway
from sandbox.razorpay.objects import Entity, public

RESPOND_SECONDS = 7 * 86_400
PROOFS = [
    "shipping_proof",
    "billing_proof",
    "cancellation_proof",
    "customer_communication",
    "proof_of_service",
    "explanation_letter",
    "refund_confirmation",
    "access_activity_log",
    "refund_cancellation_policy",
    "term_and_conditions",
    "others",
]


def raise_dispute(gateway: Gateway, payment: Entity, amount: int, now: int) -> Entity:
    """A chargeback is opened."""
    evidence = {"amount": amount, "summary": None, **dict.fromkeys(PROOFS), "submitted_at": None}
    dispute: Entity = {
        "id": gateway.new_id("dispute"),
        "entity": "dispute",
        "payment_id": payment["id"],
        "amount": amount,
        "currency": "INR",
        "amount_deducted": 0,
        "reason_code": "chargeback",
        "respond_by": now + RESPOND_SECONDS,
        "status": "open",
        "phase": "chargeback",
        "created_at": now,
        "evidence": evidence,
    }
    gateway.objects.add(dispute)
    gateway.emit("payment.dispute.created", now, payment=payment, dispute=dispute)
    return dispute


def close(gateway: Gateway, dispute: Entity, status: str, now: int) -> Entity:
    """`won`, or `lost`: then its amount is deducted from the next settlement by an adjustment."""
    payment = gateway.objects.get("payment", dispute["payment_id"])
    dispute["status"] = status
    if status == "lost":
        dispute["amount_deducted"] = dispute["amount"]
        gateway.objects.add(
            {
                "id": gateway.new_id("adjustment"),
                "entity": "adjustment",
                "amount": -dispute["amount"],
                "currency": "INR",
                "description": f"Debit for dispute {dispute['id']}",
                "created_at": now,
                "_dispute_id": dispute["id"],
                "_payment_id": payment["id"],
                "_settles": ist_date(now).isoformat(),
            }
        )
    gateway.objects.save(dispute)
    gateway.emit(f"payment.dispute.{status}", now, payment=payment, dispute=dispute)
    return dispute


def still_open(gateway: Gateway, payment_id: str) -> Entity | None:
    """The dispute of a payment that is not decided yet."""
    found = gateway.objects.of("dispute", payment_id)
    return next((one for one in found if one["status"] in ("open", "under_review")), None)


def _open_dispute(call: Call) -> Entity:
    dispute = call.gateway.objects.get("dispute", call.part("id"))
    if dispute["status"] not in ("open", "under_review"):
        raise RazorpayError(f"Action not allowed when dispute is in {dispute['status']} status")
    return dispute


async def fetch(call: Call) -> Entity:
    """`GET /v1/disputes/{id}`."""
    return public(call.gateway.objects.get("dispute", call.part("id")))


async def listing(call: Call) -> Entity:
    """`GET /v1/disputes`."""
    return call.gateway.objects.page("dispute", call.request.query_params)


async def accept(call: Call) -> Entity:
    """`POST /v1/disputes/{id}/accept`: the merchant gives in, the dispute is lost."""
    dispute = close(call.gateway, _open_dispute(call), "lost", call.now)
    call.did(dispute_id=dispute["id"], lost=dispute["amount"])
    return public(dispute)


async def contest(call: Call) -> Entity:
    """`PATCH /v1/disputes/{id}/contest`: evidence as a draft, or submitted for review."""
    dispute = _open_dispute(call)
    action = call.body.get("action", "draft")
    if action not in ("draft", "submit"):
        raise RazorpayError("The selected action is invalid.", "action")
    known = {name: value for name, value in call.body.items() if name in dispute["evidence"]}
    dispute["evidence"] |= known
    if action == "submit":
        dispute["status"] = "under_review"
        dispute["evidence"]["submitted_at"] = call.now
        payment = call.gateway.objects.get("payment", dispute["payment_id"])
        call.gateway.emit("payment.dispute.under_review", call.now, payment=payment, dispute=dispute)
    call.did(dispute_id=dispute["id"], action=action)
    return public(call.gateway.objects.save(dispute))
