"""Plans and Razorpay's own subscriptions: the merchant names the plan, the gateway charges each cycle."""

from datetime import time, timedelta
from typing import Any

from sandbox.razorpay import lifecycle
from sandbox.razorpay.dates import add_months, at_time, ist_date
from sandbox.razorpay.errors import RazorpayError, required
from sandbox.razorpay.gateway import Call, Gateway, amount_of, check_fields, currency_of, notes_of
from sandbox.razorpay.objects import Entity, collection, public

PERIOD_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}
PERIOD_DAYS = {"daily": 1, "weekly": 7}
MIN_DAILY_INTERVAL = 7
MAX_COUNT = {"daily": 36_500, "weekly": 5_200, "monthly": 1_200, "quarterly": 400, "yearly": 100}
LAST_START = 4_102_444_800  # 1 January 2100
MAX_ATTEMPTS = 4  # T, T+1, T+2, T+3, then halted
DAY_SECONDS = 86_400
THIRTY_YEARS_SECONDS = 30 * 365 * DAY_SECONDS
FIELDS = frozenset(
    [
        "plan_id",
        "total_count",
        "quantity",
        "start_at",
        "expire_by",
        "end_at",
        "customer_notify",
        "addons",
        "offer_id",
        "notes",
        "customer_id",
        "notify_info",
    ]
)
ENDED = ("cancelled", "completed", "expired")


async def create_plan(call: Call) -> Entity:
    """`POST /v1/plans`."""
    body = call.body
    check_fields(body, frozenset({"period", "interval", "item", "notes"}))
    period, interval, item = body.get("period"), body.get("interval"), body.get("item")
    if not isinstance(period, str) or period not in MAX_COUNT:
        raise RazorpayError("The selected period is invalid.", "period")
    if type(interval) is not int or not 1 <= interval <= MAX_COUNT[period]:
        raise RazorpayError("The interval must be at least 1.", "interval")
    if period == "daily" and interval < MIN_DAILY_INTERVAL:
        raise RazorpayError("For daily plans, the interval must be at least 7.", "interval")
    if not isinstance(item, dict) or not item.get("name"):
        raise required("item.name")
    plan: Entity = {
        "id": call.gateway.new_id("plan"),
        "entity": "plan",
        "interval": interval,
        "period": period,
        "item": {
            "id": call.gateway.world.new_id("item_"),
            "active": True,
            "name": item["name"],
            "description": item.get("description"),
            "amount": amount_of(item),
            "unit_amount": amount_of(item),
            "currency": currency_of(item),
            "type": "plan",
        },
        "notes": notes_of(body),
        "created_at": call.now,
    }
    call.gateway.objects.add(plan)
    call.did(plan_id=plan["id"])
    return public(plan)


async def fetch_plan(call: Call) -> Entity:
    """`GET /v1/plans/{id}`."""
    return public(call.gateway.objects.get("plan", call.part("id")))


async def list_plans(call: Call) -> Entity:
    """`GET /v1/plans`."""
    return call.gateway.objects.page("plan", call.request.query_params)


def _integer(body: dict[str, Any], name: str, least: int, default: int | None) -> int | None:
    value = body.get(name)
    if value is None:
        return default
    if type(value) is not int or value < least:
        raise RazorpayError(f"The {name} must be at least {least}.", name)
    return value


async def create(call: Call) -> Entity:
    """`POST /v1/subscriptions`."""
    body, gateway = call.body, call.gateway
    check_fields(body, FIELDS)
    if not body.get("plan_id"):
        raise required("plan_id")
    plan = gateway.objects.get("plan", body["plan_id"])
    total = _integer(body, "total_count", 1, None)
    if total is None:
        raise required("total_count")
    most = MAX_COUNT[plan["period"]] // plan["interval"]
    if total > most:
        raise RazorpayError(f"Exceeds the maximum total count ({most}) allowed", "total_count")
    start = _integer(body, "start_at", call.now, None)
    if start is not None and start > LAST_START:
        raise RazorpayError("The start_at is too far in the future.", "start_at")
    subscription: Entity = {
        "id": gateway.new_id("subscription"),
        "entity": "subscription",
        "plan_id": plan["id"],
        "customer_id": body.get("customer_id"),
        "status": "created",
        "current_start": None,
        "current_end": None,
        "ended_at": None,
        "quantity": _integer(body, "quantity", 1, 1),
        "notes": notes_of(body),
        "charge_at": start,
        "start_at": start,
        "end_at": None if start is None else _after(plan, start, total),
        "auth_attempts": 0,
        "total_count": total,
        "paid_count": 0,
        "customer_notify": body.get("customer_notify", True) in (True, 1, "1"),
        "created_at": call.now,
        "expire_by": _integer(body, "expire_by", call.now, None),
        "short_url": f"https://rzp.io/i/{gateway.world.new_id('', 7)}",
        "has_scheduled_changes": False,
        "change_scheduled_at": None,
        "source": "api",
        "offer_id": body.get("offer_id"),
        "remaining_count": total,
    }
    gateway.objects.add(subscription)
    call.did(subscription_id=subscription["id"])
    return public(subscription)


def _after(plan: Entity, start: int, cycles: int) -> int:
    """The moment `cycles` billing cycles after a start, on the Indian calendar."""
    count, day = plan["interval"] * cycles, ist_date(start)
    if plan["period"] in PERIOD_DAYS:
        return at_time(day + timedelta(days=PERIOD_DAYS[plan["period"]] * count), time())
    return at_time(add_months(day, PERIOD_MONTHS[plan["period"]] * count), time())


def current(gateway: Gateway, subscription: Entity, now: int) -> Entity:
    """The subscription as of `now`: not authenticated in time, or cancelled at a cycle's end now past."""
    if subscription["status"] == "active" and subscription.get("_cancel_at_cycle_end"):
        over = now >= subscription["current_end"]
        return _end(gateway, subscription, subscription["current_end"]) if over else subscription
    limit = subscription["expire_by"] or subscription["created_at"] + THIRTY_YEARS_SECONDS
    if subscription["status"] == "created" and now > limit:
        subscription |= {"status": "expired", "ended_at": limit}
        gateway.objects.save(subscription)
    return subscription


def open_first(gateway: Gateway, subscription: Entity, method: str, now: int) -> Entity:
    """The authorisation payment: the first cycle's charge, or ₹5 where the start lies ahead."""
    current(gateway, subscription, now)
    if subscription["status"] != "created":
        raise RazorpayError(f"Subscription is not in created state: it is {subscription['status']}")
    ahead = subscription["start_at"] is not None and subscription["start_at"] > now
    amount = 500 if ahead else _amount(gateway, subscription)
    return lifecycle.open_payment(
        gateway,
        None,
        now,
        amount=amount,
        method=method,
        customer_id=subscription["customer_id"],
        notes=subscription["notes"],
        _subscription=subscription["id"],
    )


def _amount(gateway: Gateway, subscription: Entity) -> int:
    plan = gateway.objects.get("plan", subscription["plan_id"])
    return int(plan["item"]["amount"] * subscription["quantity"])


def authenticated(gateway: Gateway, payment: Entity, now: int) -> None:
    """The customer has authorised the mandate. An immediate start is active with its first charge."""
    subscription = gateway.objects.get("subscription", payment["_subscription"])
    subscription["_method"] = payment["method"]
    if subscription["start_at"] is not None and subscription["start_at"] > now:
        subscription["status"] = "authenticated"
        gateway.objects.save(subscription)
        gateway.emit("subscription.authenticated", now, subscription=subscription)
        return
    gateway.emit("subscription.authenticated", now, subscription=subscription)
    lifecycle.capture(gateway, payment, now)
    _charged(gateway, subscription, payment, now)


def charge(gateway: Gateway, subscription: Entity, outcome: str, now: int) -> Entity:
    """The gateway's debit of a cycle; raises RazorpayError where the state has none."""
    current(gateway, subscription, now)
    if subscription.get("_cancel_at_cycle_end"):
        raise RazorpayError("Subscription is cancelled at the end of this cycle")
    if subscription["status"] not in ("authenticated", "active", "pending", "halted"):
        raise RazorpayError(f"Subscription in {subscription['status']} state is not charged")
    method = subscription.get("_method", "card")
    fields = {"method": method, "customer_id": subscription["customer_id"], "notes": subscription["notes"]}
    amount = _amount(gateway, subscription)
    payment = lifecycle.open_payment(gateway, None, now, amount=amount, **fields)
    if outcome == "success":
        lifecycle.authorize(gateway, payment, now)
        lifecycle.capture(gateway, payment, now)
        return _charged(gateway, subscription, payment, now)
    lifecycle.fail(gateway, payment, now)
    subscription["auth_attempts"] += 1
    halted = subscription["auth_attempts"] >= MAX_ATTEMPTS or subscription["status"] == "halted"
    subscription |= {"status": "halted" if halted else "pending", "charge_at": now + DAY_SECONDS}
    gateway.objects.save(subscription)
    gateway.emit(f"subscription.{subscription['status']}", now, subscription=subscription)
    return subscription


def _charged(gateway: Gateway, subscription: Entity, payment: Entity, now: int) -> Entity:
    first = subscription["status"] != "active"
    if subscription.get("_scheduled"):
        subscription |= subscription.pop("_scheduled")
        subscription |= {"has_scheduled_changes": False, "change_scheduled_at": None}
    plan = gateway.objects.get("plan", subscription["plan_id"])
    start = subscription["current_end"] or subscription["start_at"] or now
    subscription |= {
        "status": "active",
        "start_at": subscription["start_at"] or now,
        "current_start": start,
        "current_end": _after(plan, start, 1),
        "charge_at": _after(plan, start, 1),
        "auth_attempts": 0,
        "paid_count": subscription["paid_count"] + 1,
        "remaining_count": subscription["remaining_count"] - 1,
    }
    subscription["end_at"] = _after(plan, start, subscription["remaining_count"] + 1)
    gateway.objects.save(subscription)
    if first:
        gateway.emit("subscription.activated", now, subscription=subscription)
    gateway.emit("subscription.charged", now, subscription=subscription, payment=payment)
    if subscription["remaining_count"] == 0:
        subscription |= {"status": "completed", "ended_at": now, "charge_at": None}
        gateway.emit("subscription.completed", now, subscription=subscription)
    return gateway.objects.save(subscription)


def _end(gateway: Gateway, subscription: Entity, now: int) -> Entity:
    subscription |= {"status": "cancelled", "ended_at": now, "charge_at": None}
    gateway.objects.save(subscription)
    gateway.emit("subscription.cancelled", now, subscription=subscription)
    return subscription


def _subscription(call: Call) -> Entity:
    subscription = call.gateway.objects.get("subscription", call.part("id"))
    return current(call.gateway, subscription, call.now)


async def fetch(call: Call) -> Entity:
    """`GET /v1/subscriptions/{id}`."""
    return public(_subscription(call))


async def listing(call: Call) -> Entity:
    """`GET /v1/subscriptions`, all or of one `plan_id`."""
    plan_id = call.request.query_params.get("plan_id")
    if plan_id:
        return collection(call.gateway.objects.of("subscription", plan_id))
    return call.gateway.objects.page("subscription", call.request.query_params)


async def cancel(call: Call) -> Entity:
    """`POST /v1/subscriptions/{id}/cancel`, now or at the cycle's end."""
    subscription = _subscription(call)
    if subscription["status"] in ENDED:
        raise RazorpayError(f"Subscription is not cancellable in {subscription['status']} status.")
    call.did(subscription_id=subscription["id"], cancelled=True)
    at_end = str(call.body.get("cancel_at_cycle_end", 0)).lower() in ("1", "true")
    if at_end:
        if subscription["status"] != "active":
            raise RazorpayError("Subscription cannot be cancelled at cycle end: no billing cycle is going on")
        subscription |= {"_cancel_at_cycle_end": True, "remaining_count": 0, "charge_at": None}
        return public(call.gateway.objects.save(subscription))
    return public(_end(call.gateway, subscription, call.now))


async def pause(call: Call) -> Entity:
    """`POST /v1/subscriptions/{id}/pause`: only from active; pausing an authenticated one cancels it."""
    subscription = _subscription(call)
    if subscription["status"] == "authenticated":
        call.did(subscription_id=subscription["id"], cancelled=True)
        return public(_end(call.gateway, subscription, call.now))
    if subscription["status"] != "active":
        raise RazorpayError(f"Subscription cannot be paused in {subscription['status']} state")
    call.did(subscription_id=subscription["id"], paused=True)
    return public(paused(call.gateway, subscription, "merchant", call.now))


def paused(gateway: Gateway, subscription: Entity, by: str, now: int) -> Entity:
    """Paused by the merchant, or by the customer in the UPI application."""
    subscription |= {"status": "paused", "charge_at": None, "_paused_by": by, "pause_initiated_by": by}
    gateway.objects.save(subscription)
    gateway.emit("subscription.paused", now, subscription=subscription)
    return subscription


async def resume(call: Call) -> Entity:
    """`POST /v1/subscriptions/{id}/resume`: what the customer paused, only the customer resumes."""
    subscription = _subscription(call)
    if subscription["status"] != "paused":
        raise RazorpayError(f"Subscription cannot be resumed in {subscription['status']} state")
    if subscription["_paused_by"] == "customer":
        raise RazorpayError("Subscription paused by the customer cannot be resumed by the merchant")
    call.did(subscription_id=subscription["id"], resumed=True)
    return public(resumed(call.gateway, subscription, call.now))


def resumed(gateway: Gateway, subscription: Entity, now: int) -> Entity:
    """Active again; the next charge is at the end of the current cycle."""
    subscription |= {"status": "active", "charge_at": subscription["current_end"], "_paused_by": None}
    gateway.objects.save(subscription)
    gateway.emit("subscription.resumed", now, subscription=subscription)
    return subscription


async def update(call: Call) -> Entity:
    """`PATCH /v1/subscriptions/{id}`: plan, quantity or remaining cycles, now or at the cycle's end."""
    subscription = _subscription(call)
    names = {"plan_id", "quantity", "remaining_count"}
    check_fields(call.body, frozenset({*names, "schedule_change_at", "customer_notify", "offer_id"}))
    if subscription["status"] not in ("authenticated", "active"):
        raise RazorpayError(f"Subscription cannot be updated in {subscription['status']} state")
    if subscription.get("_method") in ("upi", "emandate"):
        method = subscription["_method"]
        raise RazorpayError(f"Subscriptions with payment mode {method} cannot be updated")
    changes = {name: call.body[name] for name in names if name in call.body}
    if "plan_id" in changes:
        call.gateway.objects.get("plan", changes["plan_id"])
    for name in ("quantity", "remaining_count"):
        _integer(changes, name, 1, None)
    call.did(subscription_id=subscription["id"], updated=sorted(changes))
    if call.body.get("schedule_change_at", "now") == "cycle_end":
        subscription |= {"_scheduled": changes, "has_scheduled_changes": True}
        subscription["change_scheduled_at"] = subscription["current_end"]
    else:
        subscription |= changes
        call.gateway.emit("subscription.updated", call.now, subscription=subscription)
    return public(call.gateway.objects.save(subscription))
