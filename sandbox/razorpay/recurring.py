"""Debits under a mandate: after a notice, within its terms, at most one success a cycle."""

from datetime import date
from typing import Any

from sandbox.razorpay import lifecycle
from sandbox.razorpay.dates import add_months, ist_date
from sandbox.razorpay.errors import ALREADY_PAID, RazorpayError, required
from sandbox.razorpay.gateway import Call, Gateway, amount_of, check_fields, currency_of, notes_of
from sandbox.razorpay.objects import Entity
from sandbox.razorpay.rules import NOTICE_LEAD, UNATTENDED_LIMIT_PAISE

SCHEMA = """
CREATE TABLE IF NOT EXISTS razorpay_bank_plans (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, token_id TEXT NOT NULL, outcome TEXT NOT NULL, times INTEGER NOT NULL
);
"""
FIELDS = frozenset(
    [
        "email",
        "contact",
        "amount",
        "currency",
        "order_id",
        "customer_id",
        "token",
        "recurring",
        "description",
        "notes",
    ]
)
TOO_EARLY = "BAD_REQUEST_MANDATE_PROMISED_DEBIT_DATE_NOT_HONOURED"
MONTHS = {"monthly": 1, "bimonthly": 2, "quarterly": 3, "half_yearly": 6, "yearly": 12}
DAYS = {"daily": 1, "weekly": 7, "fortnightly": 14}


async def create(call: Call) -> Entity:
    """`POST /v1/payments/create/recurring`.

    Answers the payment's id as soon as the debit is accepted; what the bank says shows in its status and
    comes as a webhook.
    """
    body, gateway = call.body, call.gateway
    check_fields(body, FIELDS)
    amount, _ = amount_of(body), currency_of(body)
    for name in ("order_id", "customer_id", "token"):
        if not body.get(name):
            raise required(name)
    if str(body.get("recurring", "")).lower() not in ("1", "true", "preferred"):
        raise RazorpayError("The recurring field is invalid.", "recurring")
    order = gateway.objects.get("order", body["order_id"])
    token = gateway.objects.get("token", body["token"])
    _check_order(gateway, order, amount)
    _check_token(token, str(body["customer_id"]), amount, call.now)
    due = _due(order, token, call.now)
    payment = lifecycle.open_payment(
        gateway,
        order,
        call.now,
        method=token["method"],
        email=body.get("email"),
        contact=None if body.get("contact") is None else str(body["contact"]),
        description=body.get("description"),
        customer_id=token["_customer_id"],
        token_id=token["id"],
        notes=notes_of(body),
        _recurring=True,
        _debit_due=due,
        _waits_for="approval" if _needs_approval(order, token, amount) else None,
    )
    if payment["_waits_for"] is None and due <= call.now:
        payment = decide(gateway, payment, call.now)
    charged = amount if payment["status"] in ("authorized", "captured") else 0
    call.did(payment_id=payment["id"], order_id=order["id"], charged=charged)
    return {
        "razorpay_payment_id": payment["id"],
        "razorpay_order_id": order["id"],
        "razorpay_signature": lifecycle.checkout_signature(gateway, order["id"], payment["id"]),
    }


def _check_order(gateway: Gateway, order: Entity, amount: int) -> None:
    if order["status"] == "paid":
        raise RazorpayError(ALREADY_PAID, reason="order_already_paid")
    if order["amount"] != amount:
        text = (
            "Your payment amount is different from your order amount. To pay successfully, please try using"
        )
        raise RazorpayError(f"{text} right amount.", "amount")
    earlier = gateway.objects.of("payment", order["id"])
    if any(payment["status"] in ("created", "authorized") for payment in earlier):
        # "Do not create another subsequent payment until you get the status of the previous one."
        raise RazorpayError("Another payment on this order is still in progress.", "order_id")


def _check_token(token: Entity, customer_id: str, amount: int, now: int) -> None:
    if token["_customer_id"] != customer_id or token.get("_deleted"):
        raise RazorpayError("The id provided does not exist", "token")
    state = token["recurring_details"]["status"]
    if state != "confirmed":
        text = f"The mandate is {state}: the token cannot be charged."
        raise RazorpayError(text, "token", reason=f"mandate_{state}")
    if token["expired_at"] is not None and token["expired_at"] <= now:
        raise RazorpayError("The token has expired.", "token", reason="token_expired")
    if token["max_amount"] is not None and amount > token["max_amount"]:
        raise RazorpayError("Amount exceeds maximum amount allowed", "amount")


def _due(order: Entity, token: Entity, now: int) -> int:
    """When the bank is asked. With the merchant's own notice the debit is now or refused as too early;
    without one Razorpay gives the notice now and debits after the method's lead time."""
    lead = int(NOTICE_LEAD[token["method"]].total_seconds())
    notice = order.get("notification")
    if notice is None:
        return now + lead
    if notice["token_id"] != token["id"]:
        text = "A pre-debit notification was not sent for this token."
        raise RazorpayError(text, "token", reason="pre_debit_notification_not_sent")
    if now < max(notice["delivered_at"] + lead, notice["payment_after"]):
        # Documented for cards as an error's name only. The SDK shows its callers nothing but code and
        # description, and knows three codes: so the name stands as description and as reason.
        raise RazorpayError(TOO_EARLY, reason=TOO_EARLY)
    return now


def _needs_approval(order: Entity, token: Entity, amount: int) -> bool:
    # RBI's framework is for cards, prepaid instruments and UPI; a bank mandate (NACH) is approved once.
    attended = token["method"] in ("card", "upi")
    return attended and amount > UNATTENDED_LIMIT_PAISE and not order.get("_approved")


def decide(gateway: Gateway, payment: Entity, now: int, outcome: str | None = None) -> Entity:
    """The bank answers: as told, else as planned for this token, else success where the cycle allows it.

    A bank that leaves it `pending` says nothing until it is told to.
    """
    token = gateway.objects.get("token", payment["token_id"])
    payment["_waits_for"] = None
    outcome = outcome or _planned(gateway, token["id"])
    if outcome == "pending":
        return gateway.objects.save(payment | {"_waits_for": "bank"})
    if outcome == "failure":
        text = "Your payment could not be completed due to insufficient account balance."
        return lifecycle.fail(gateway, payment, now, text, "insufficient_funds")
    cycle = _cycle(token, ist_date(now))
    if token["method"] == "upi" and cycle is not None and cycle == token.get("_charged_cycle"):
        text = "Only one successful debit is allowed on a mandate in a billing cycle."
        return lifecycle.fail(gateway, payment, now, text, "mandate_debit_limit_exceeded")
    token |= {"used_at": now, "_charged_cycle": cycle}
    gateway.objects.save(token)
    return lifecycle.authorize(gateway, payment, now)


def _cycle(token: Entity, today: date) -> int | None:
    """The number of the billing cycle since the mandate began; None where debits are as presented."""
    first = ist_date(token["start_time"])
    frequency = token["frequency"]
    if frequency in DAYS:
        return (today - first).days // DAYS[frequency]
    if frequency not in MONTHS:
        return None
    months = (today.year - first.year) * 12 + today.month - first.month
    if add_months(first, months) > today:
        months -= 1
    return months // MONTHS[frequency]


def plan(gateway: Gateway, token_id: str, outcome: str, times: int) -> None:
    """What the bank will say to the next `times` debits of a token (`*`: of any)."""
    gateway.world.db.execute(
        "INSERT INTO razorpay_bank_plans (token_id, outcome, times) VALUES (?, ?, ?)",
        (token_id, outcome, times),
    )


def _planned(gateway: Gateway, token_id: str) -> str:
    db = gateway.world.db
    row = db.execute(
        "SELECT * FROM razorpay_bank_plans WHERE token_id IN (?, '*') AND times > 0"
        " ORDER BY token_id = '*', seq LIMIT 1",
        (token_id,),
    ).fetchone()
    if row is None:
        return "success"
    db.execute("UPDATE razorpay_bank_plans SET times = times - 1 WHERE seq = ?", (row["seq"],))
    return str(row["outcome"])


def pending(gateway: Gateway, **equals: Any) -> list[Entity]:
    """Debits that wait for the bank or the customer, oldest first."""
    found = [one for one in gateway.objects.in_status("payment", "created") if one.get("_recurring")]
    return [one for one in found if all(one.get(name) == value for name, value in equals.items())]


def mature(gateway: Gateway, payment: Entity, now: int) -> Entity:
    """A debit whose notice period is over by `now` has reached the bank."""
    ready = payment["status"] == "created" and payment.get("_recurring") and not payment["_waits_for"]
    if ready and payment["_debit_due"] <= now:
        return decide(gateway, payment, now)
    return lifecycle.aged(gateway, payment, now)
