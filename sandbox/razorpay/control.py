"""`/_control/razorpay/...`: the customer, the bank and the settlement desk, played by a test."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.control import ControlError, fields
from sandbox.razorpay import (
    checkout,
    disputes,
    planted,
    recurring,
    refunds,
    settlements,
    subscriptions,
    tokens,
    webhooks,
)
from sandbox.razorpay.dates import add_working_days
from sandbox.razorpay.errors import RazorpayError
from sandbox.razorpay.gateway import Gateway
from sandbox.razorpay.objects import MAX_INTEGER, Entity, public
from sandbox.razorpay.orders import METHODS
from sandbox.world import World, parse_time

MANDATE_STATES = {"active": "confirmed", "resumed": "confirmed", "revoked": "cancelled"} | {
    state: state for state in tokens.STATES
}


@dataclass
class Turn:
    """One control call, judged at `now`: its field `now`, else `X-Sandbox-Now`, else the clock."""

    gateway: Gateway
    body: dict[str, Any]
    now: int

    def text(self, name: str) -> str | None:
        """An optional string."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            raise ControlError(f"`{name}` is a string")
        return value

    def one_of(self, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        """A word of a closed set."""
        value = self.body.get(name, default)
        if value not in allowed:
            raise ControlError(f"`{name}` is one of {', '.join(allowed)}")
        return str(value)

    def integer(self, name: str, default: int | None, least: int = 0) -> int | None:
        """An optional integer."""
        value = self.body.get(name, default)
        if value is not None and (type(value) is not int or not least <= value <= MAX_INTEGER):
            raise ControlError(f"`{name}` is an integer of at least {least}")
        return value

    def day(self, name: str) -> date:
        """An IST calendar date."""
        try:
            return date.fromisoformat(str(self.body.get(name)))
        except ValueError as error:
            raise ControlError(f"`{name}` is a date") from error


Play = Callable[[Turn], Entity]


def play_checkout(turn: Turn) -> Entity:
    """The customer at checkout."""
    body = turn.body
    if not turn.text("order_id") and not turn.text("subscription_id"):
        raise ControlError("`order_id` is missing")
    if body.get("method") is not None:
        turn.one_of("method", METHODS)
    outcome = turn.one_of("outcome", checkout.OUTCOMES, "success")
    told = {"delay_ms": turn.integer("delay_ms", 0), "amount": turn.integer("amount", None, 1)}
    return checkout.play(turn.gateway, {**body, **told, "outcome": outcome}, turn.now)


def debit(turn: Turn) -> Entity:
    """What the bank says to a debit: to those waiting now, else to the next `times` (default 1)."""
    gateway = turn.gateway
    outcome = turn.one_of("outcome", ("success", "failure", "pending"))
    name = turn.text("subscription")
    subscription = gateway.objects.look("subscription", name) if name else None
    if subscription is not None and outcome == "pending":
        raise ControlError("a charge of the gateway's own subscription succeeds or fails")
    if subscription is not None:
        return public(subscriptions.charge(gateway, subscription, outcome, turn.now))
    token_id = turn.text("token_id") or (_token_of(gateway, name) if name else None)
    waiting = recurring.pending(gateway, **({"token_id": token_id} if token_id else {}))
    fired = [one for one in waiting if one["_waits_for"] != "approval"]
    for payment in fired:
        recurring.decide(gateway, payment, turn.now, outcome)
    if not fired:
        times = turn.integer("times", 1, 1) or 1
        recurring.plan(gateway, token_id or "*", outcome, times)
    return {"token_id": token_id, "outcome": outcome, "fired": [public(one) for one in fired]}


def _token_of(gateway: Gateway, name: str) -> str:
    """The newest token whose order carries `name` (the merchant's own subscription id) in its notes."""
    for token in reversed(gateway.objects.every("token")):
        order = gateway.objects.look("order", token["_order_id"]) or {}
        if order.get("receipt") == name or (order.get("notes") and name in order["notes"].values()):
            return str(token["id"])
    raise ControlError(f"no token belongs to subscription {name}", 404)


def approve(turn: Turn) -> Entity:
    """The customer approves (or, `approved: false`, refuses) debits above the unattended limit."""
    gateway = turn.gateway
    approved = turn.body.get("approved", True)
    if not isinstance(approved, bool):
        raise ControlError("`approved` is true or false")
    names = {"payment_id": "id", "order_id": "order_id", "token_id": "token_id"}
    wanted = {field: turn.text(name) for name, field in names.items() if turn.text(name)}
    waiting = [one for one in recurring.pending(gateway, **wanted) if one["_waits_for"] == "approval"]
    order = gateway.objects.get("order", wanted["order_id"]) if "order_id" in wanted else None
    if order is not None and approved:
        gateway.objects.save(order | {"_approved": True})
    if not waiting and order is None:
        raise ControlError("nothing waits for approval", 409)
    for payment in waiting:
        outcome = None if approved else "failure"
        recurring.decide(gateway, payment, turn.now, outcome)
    return {"approved": approved, "payments": [public(one) for one in waiting]}


def mandate(turn: Turn) -> Entity:
    """The customer or the bank changes a mandate: the one named, else the newest."""
    gateway = turn.gateway
    state = MANDATE_STATES[turn.one_of("state", tuple(MANDATE_STATES))]
    name = turn.text("subscription")
    subscription = gateway.objects.look("subscription", name) if name else None
    if subscription is not None:
        if state == "paused":
            return public(subscriptions.paused(gateway, subscription, "customer", turn.now))
        return public(subscriptions.resumed(gateway, subscription, turn.now))
    token_id = turn.text("token_id") or (_token_of(gateway, name) if name else None)
    if token_id is None:
        tokens_there = gateway.objects.every("token")
        if not tokens_there:
            raise ControlError("there is no mandate", 404)
        token_id = tokens_there[-1]["id"]
    token = gateway.objects.get("token", token_id)
    return public(tokens.set_state(gateway, token, state, turn.now))


def dispute(turn: Turn) -> Entity:
    """The customer's bank opens a dispute, or decides the one that is open."""
    gateway = turn.gateway
    payment = gateway.objects.get("payment", turn.body.get("payment_id"))
    phase = turn.one_of("phase", ("created", "won", "lost"))
    open_one = disputes.still_open(gateway, payment["id"])
    if phase != "created":
        if open_one is None:
            raise ControlError("the payment has no open dispute", 409)
        return public(disputes.close(gateway, open_one, phase, turn.now))
    if open_one is not None or not payment["captured"]:
        raise ControlError("the payment is disputed already or was never captured", 409)
    amount = turn.integer("amount", payment["amount"], 1) or 0
    if amount > payment["amount"]:
        raise ControlError("`amount` is more than the payment's")
    return public(disputes.raise_dispute(gateway, payment, amount, turn.now))


def refund(turn: Turn) -> Entity:
    """What becomes of a refund; without `refund_id`: of the next one (of `payment_id`, or of any)."""
    gateway = turn.gateway
    outcome = turn.one_of("outcome", ("processed", "failed", "pending", "success", "failure"))
    outcome = {"success": "processed", "failure": "failed"}.get(outcome, outcome)
    refund_id = turn.text("refund_id")
    if refund_id:
        found = gateway.objects.get("refund", refund_id)
        return public(refunds.decide(gateway, found, outcome, turn.now))
    payment_id = turn.text("payment_id") or "*"
    gateway.world.db.execute(
        "INSERT OR REPLACE INTO razorpay_refund_plans VALUES (?, ?)", (payment_id, outcome)
    )
    return {"payment_id": payment_id, "outcome": outcome}


def settle(turn: Turn) -> Entity:
    """Closes an IST day: everything captured, refunded or adjusted up to its end is paid out.

    The real cycle is T+2 working days. A closed day pays out on that same date, so that what a test names
    is what it finds in the report; `lag_days` (working days, 2 for the real cycle) moves the payout.
    """
    day = turn.day("date")
    settled_on = add_working_days(day, turn.integer("lag_days", 0) or 0)
    settlement, lines = settlements.settle(turn.gateway, day, settled_on, turn.now)
    breaks = planted.apply(turn.gateway, settled_on)
    shown = settlement or {"id": None, "utr": None, "amount": 0}
    return {
        "settlement_id": shown["id"],
        "utr": shown["utr"],
        "amount": shown["amount"],
        "date": day.isoformat(),
        "settled_on": settled_on.isoformat(),
        "lines": len(lines),
        "planted": len(breaks),
    }


def plant(turn: Turn) -> Entity:
    """Plants a break in a settlement day's recon report."""
    kind = turn.one_of("kind", planted.KINDS)
    amount = turn.integer("amount", None)
    return planted.plant(turn.gateway, turn.day("date"), kind, turn.text("payment_id"), amount)


def report(turn: Turn) -> Entity:
    """What goes wrong while the next recon report of a day is paged through, after `pages` pages."""
    fault = turn.one_of("fault", settlements.FAULTS)
    return settlements.spoil(turn.gateway, turn.day("date"), fault, turn.integer("pages", 1, 1) or 1)


def adjust(turn: Turn) -> Entity:
    """The gateway credits the merchant, or (`debit`) takes money back, with the next settlement."""
    amount = turn.integer("amount", None, 1)
    debit = turn.body.get("debit", False)
    if amount is None or not isinstance(debit, bool):
        raise ControlError("`amount` is an integer of at least 1, `debit` true or false")
    signed = -amount if debit else amount
    return public(settlements.adjust(turn.gateway, turn.text("payment_id"), signed, turn.now))


def line(turn: Turn) -> Entity:
    """Adds a line to a day's report as it is given: one that `plant` took from another day, say."""
    given = turn.body.get("line")
    if not isinstance(given, dict) or not isinstance(given.get("entity_id"), str):
        raise ControlError("`line` is a line of the report")
    settlements.add_line(turn.gateway, turn.day("date"), given)
    return given


def webhook(turn: Turn) -> Entity:
    """The dashboard's webhook page: address, secret, enabled again after a day of failures."""
    enabled = turn.body.get("enabled", True)
    if not isinstance(enabled, bool):
        raise ControlError("`enabled` is true or false")
    url, secret, _ = webhooks.endpoint(turn.gateway.world)
    url, secret = turn.text("url") or url, turn.text("secret") or secret
    webhooks.set_endpoint(turn.gateway.world, url, secret, enabled)
    return {"url": url, "secret": secret, "enabled": enabled}


PLAYS: dict[str, Play] = {
    "checkout": play_checkout,
    "debit": debit,
    "approve": approve,
    "mandate": mandate,
    "dispute": dispute,
    "refund": refund,
    "settle": settle,
    "plant": plant,
    "report": report,
    "line": line,
    "adjust": adjust,
    "webhook": webhook,
}


def control_routes(world: World) -> list[BaseRoute]:
    """One route a play."""
    gateway = Gateway(world)

    def route(play: Play) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            body = await fields(request)
            try:
                moment = parse_time(str(body["now"])) if body.get("now") is not None else world.now(request)
            except (ValueError, OverflowError) as error:
                raise ControlError("`now` is not a time with a zone") from error
            try:
                with world.transaction():
                    return JSONResponse(play(Turn(gateway, body, int(moment.timestamp()))))
            except RazorpayError as refusal:
                return refusal.response()

        return serve

    return [
        Route(f"/_control/razorpay/{name}", route(play), methods=["POST"]) for name, play in PLAYS.items()
    ]
