"""The order calls: place (every variety, autoslice), modify, cancel, the day's book, history and trades.

Source: kite.trade/docs/connect/v3/orders. An answered order id means that the OMS took the order, no more.
"""

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from sandbox.kite import book, funds, rules
from sandbox.kite.book import Order
from sandbox.kite.caller import Caller
from sandbox.kite.errors import KiteError, input_error, ok, order_error
from sandbox.kite.followers import exit_cover
from sandbox.kite.hours import amo_day
from sandbox.kite.instruments import find
from sandbox.kite.matching import slices
from sandbox.kite.placing import Draft, place

MAX_MODIFICATIONS = 25
CHANGEABLE = frozenset({"OPEN", "TRIGGER PENDING", "AMO REQ RECEIVED"})


def place_order(caller: Caller) -> Response:
    """`POST /orders/{variety}`."""
    variety = caller.request.path_params["variety"]
    wish = rules.read_wish(caller.form(), variety, caller.now)
    draft = Draft.of(wish, caller.user_id, caller.api_key, caller.offset_seconds)
    day = amo_day(wish.instrument.exchange, caller.now) if variety == "amo" else caller.today
    sliced = wish.autoslice and wish.instrument.freeze is not None and draft.quantity > wish.instrument.freeze
    if sliced:
        answer = place_slices(caller, draft)
    else:
        funds.check(caller.world.db, draft, caller.now)
        answer = {"order_id": place(caller.world.db, draft, caller.now, day).order_id}
    caller.request.state.effect = {**answer, **({"tag": wish.tag} if wish.tag else {})}
    caller.world.event("kite").set()
    return ok(answer)


def place_slices(caller: Caller, draft: Draft) -> dict[str, Any]:
    """Autoslice: the first slice is the parent; each child is an order id or its own error."""
    instrument = draft.instrument
    quantities = slices(draft.quantity, instrument.freeze or draft.quantity, instrument.lot)
    first = replace(draft, quantity=quantities[0])
    funds.check(caller.world.db, first, caller.now)
    parent = place(caller.world.db, first, caller.now, caller.today)
    tags = [*draft.tags, "autoslice", f"autoslice:{parent.order_id}"]
    children: list[dict[str, Any]] = []
    for quantity in quantities[1:]:
        part = replace(draft, quantity=quantity, tags=tags, parent_order_id=parent.order_id)
        try:
            funds.check(caller.world.db, part, caller.now)
            children.append({"order_id": place(caller.world.db, part, caller.now, caller.today).order_id})
        except KiteError as refused:
            children.append({"error": refused.payload()})
    return {"order_id": parent.order_id, "children": children}


def own_order(caller: Caller, status: int = 400) -> Order:
    """The caller's order of the path; OrderException for an unknown, another's or another day's id."""
    order = book.get(caller.world.db, caller.request.path_params["order_id"])
    if order is None or order.user_id != caller.user_id or order.day < caller.today.isoformat():
        raise KiteError("OrderException", "Couldn't find that `order_id`.", status)
    return order


def changeable(caller: Caller, what: str) -> Order:
    """The caller's order of the path, if it can still be changed; raises OrderException."""
    order = own_order(caller)
    if order.variety != caller.request.path_params["variety"]:
        raise order_error("Couldn't find that `order_id`.")
    if order.status in book.TERMINAL:
        raise order_error(f"Order cannot be {what} as it is already {order.status.lower()}.")
    if order.status not in CHANGEABLE:
        raise order_error(f"Order cannot be {what} as it is being processed. Try later.")
    return order


def modify_order(caller: Caller) -> Response:
    """`PUT /orders/{variety}/{order_id}`; at most 25 times an order."""
    order = changeable(caller, "modified")
    if order.modifications >= MAX_MODIFICATIONS:
        raise order_error("Maximum allowed order modifications exceeded")
    changes = read_changes(caller, order)
    order.modifications += 1
    if order.status == "AMO REQ RECEIVED":
        for name, value in changes.items():
            setattr(order, name, value)
        order.doc["modified"] = True
        book.advance(caller.world.db, order, "AMO REQ RECEIVED", caller.now)
    else:
        order.changes = changes
        book.advance(caller.world.db, order, "MODIFY VALIDATION PENDING", order_now(caller, order))
    caller.request.state.effect = {"order_id": order.order_id, "modified": True}
    caller.world.event("kite").set()
    return ok({"order_id": order.order_id})


def order_now(caller: Caller, order: Order) -> datetime:
    """The time of a call about an order; a call with its own time moves the order's clock along."""
    if "x-sandbox-now" in caller.request.headers:
        order.offset_seconds = caller.offset_seconds
        return caller.now
    return order.clock(caller.world.now())


def read_changes(caller: Caller, order: Order) -> dict[str, Any]:
    """What a modification changes, checked as at placing; raises InputException."""
    fields = caller.form()
    instrument = find(caller.today, order.exchange, order.tradingsymbol)
    if instrument is None:
        raise order_error("The instrument has expired.")
    order_type = rules.choice(fields, "order_type", rules.TYPES, order.order_type)
    quantity = order.quantity
    if fields.get("quantity"):
        quantity = rules.whole(fields["quantity"], "quantity")
    price = rules.paise(fields["price"], "price") if fields.get("price") else order.price
    trigger = order.trigger_price
    if fields.get("trigger_price"):
        trigger = rules.paise(fields["trigger_price"], "trigger_price")
    guard = Decimal(order.protection)
    if fields.get("market_protection") or order_type != order.order_type:
        guard = rules.protection(fields, order_type)
    validity = rules.choice(fields, "validity", rules.VALIDITIES, order.validity)
    rules.check_prices(instrument, order_type, order.side, price, trigger)
    rules.check_quantity(instrument, quantity, sliced=False)
    if validity == "IOC" and order.exchange == "MCX":
        raise input_error("IOC orders are not allowed on MCX.")
    return {
        "order_type": order_type, "quantity": quantity, "price": price, "trigger_price": trigger,
        "protection": str(guard), "validity": validity,
    }  # fmt: skip


def cancel_order(caller: Caller) -> Response:
    """`DELETE /orders/{variety}/{order_id}`; of a filled cover order it is the exit."""
    order = own_order(caller)
    leg = exit_cover(caller.world.db, order, order_now(caller, order)) if order.variety == "co" else None
    if leg is None:
        order = changeable(caller, "cancelled")
        book.advance(caller.world.db, order, "CANCEL PENDING", order_now(caller, order))
    caller.request.state.effect = {"order_id": order.order_id, "cancelled": True}
    caller.world.event("kite").set()
    return ok({"order_id": order.order_id})


def orders(caller: Caller) -> Response:
    """`GET /orders`: the caller's orders of the trading day; the order of the list means nothing."""
    rows = caller.world.db.execute(
        "SELECT doc FROM kite_orders WHERE user_id = ? AND (day = ? OR status = 'AMO REQ RECEIVED')",
        (caller.user_id, caller.today.isoformat()),
    )
    return ok([json.loads(row["doc"]) for row in rows])


def history(caller: Caller) -> Response:
    """`GET /orders/{order_id}`: every state of an order, oldest first."""
    order = own_order(caller, 404)
    rows = caller.world.db.execute(
        "SELECT doc FROM kite_order_history WHERE order_id = ? ORDER BY n", (order.order_id,)
    )
    return ok([json.loads(row["doc"]) for row in rows])


def order_trades(caller: Caller) -> Response:
    """`GET /orders/{order_id}/trades`."""
    return ok(book.trades(caller.world.db, own_order(caller, 404).order_id))


def trades(caller: Caller) -> Response:
    """`GET /trades`: the caller's trades of the day."""
    rows = caller.world.db.execute(
        "SELECT doc FROM kite_trades WHERE user_id = ? AND day = ? ORDER BY rowid",
        (caller.user_id, caller.today.isoformat()),
    )
    return ok([json.loads(row["doc"]) for row in rows])
