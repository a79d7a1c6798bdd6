"""Good-till-triggered orders: single and two-leg, a year long, at most 250 active; they fire LIMIT orders.

Source: kite.trade/docs/connect/v3/gtt. What fires is an order like any other: it can be refused or rejected.
"""

import json
import sqlite3
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from sandbox.kite import funds, market, rules
from sandbox.kite.caller import Caller, required
from sandbox.kite.errors import KiteError, input_error, ok, rupees
from sandbox.kite.hours import is_open, ist, stamp
from sandbox.kite.instruments import by_token, find
from sandbox.kite.placing import Draft, place
from sandbox.world import World

MAX_ACTIVE = 250
LIFE = timedelta(days=365)
LEGS = {"single": 1, "two-leg": 2}
MIN_DISTANCE = Decimal("0.0025")


def _read(caller: Caller) -> tuple[str, dict[str, Any], list[dict[str, Any]], int]:
    """Type, condition and orders of a body, checked; raises InputException."""
    fields = caller.form()
    kind = rules.choice(fields, "type", tuple(LEGS))
    try:
        condition = json.loads(required(fields, "condition"))
        orders = json.loads(required(fields, "orders"))
        values = [rules.paise(str(value), "trigger_values") for value in condition["trigger_values"]]
        last = rules.paise(str(condition["last_price"]), "last_price")
        instrument = find(caller.today, condition["exchange"], condition["tradingsymbol"])
    except (ValueError, KeyError, TypeError) as problem:
        raise input_error("Invalid `condition` or `orders`.") from problem
    if instrument is None or not instrument.tradable:
        raise input_error("The instrument you are placing an order for has either expired or does not exist.")
    if not isinstance(orders, list) or len(orders) != LEGS[kind] or len(values) != LEGS[kind]:
        raise input_error("Invalid number of `trigger_values` or `orders`.")
    if last <= 0 or any(abs(value - last) <= last * MIN_DISTANCE for value in values):
        raise input_error("Trigger price should differ from the last price by more than 0.25%.")
    if kind == "two-leg" and not values[0] < last < values[1]:
        raise input_error("Trigger values of a two-leg order lie below and above the last price.")
    shown = [_check_order(dict(order)) for order in orders]
    return kind, {**condition, "instrument_token": instrument.token}, shown, instrument.token


def _check_order(order: dict[str, Any]) -> dict[str, Any]:
    if order.get("order_type") != "LIMIT":
        raise input_error("Only LIMIT orders are allowed in a GTT.")
    fields = {name: str(value) for name, value in order.items()}
    rules.choice(fields, "transaction_type", rules.SIDES)
    rules.whole(required(fields, "quantity"), "quantity")
    rules.paise(required(fields, "price"), "price")
    return {**order, "result": None}


def place_gtt(caller: Caller) -> Response:
    """`POST /gtt/triggers`."""
    kind, condition, orders, token = _read(caller)
    db = caller.world.db
    active = db.execute(
        "SELECT count(*) AS n FROM kite_gtt WHERE user_id = ? AND status = 'active'", (caller.user_id,)
    ).fetchone()
    if active["n"] >= MAX_ACTIVE:
        raise input_error(f"Maximum of {MAX_ACTIVE} active GTTs reached.")
    now = caller.now
    cursor = db.execute(
        "INSERT INTO kite_gtt (user_id, api_key, type, status, token, condition, orders, created_at,"
        " updated_at, expires_at, offset_seconds) VALUES (?, ?, ?, 'active', ?, ?, ?, ?, ?, ?, ?)",
        (
            caller.user_id, caller.api_key, kind, token, json.dumps(condition), json.dumps(orders),
            stamp(now),
            stamp(now), stamp(now + LIFE), caller.offset_seconds,
        ),
    )  # fmt: skip
    caller.request.state.effect = {"trigger_id": cursor.lastrowid}
    caller.world.event("kite").set()
    return ok({"trigger_id": cursor.lastrowid})


def _own(caller: Caller) -> sqlite3.Row:
    number = caller.request.path_params["trigger_id"]
    row = caller.world.db.execute(
        "SELECT * FROM kite_gtt WHERE id = ? AND user_id = ?", (number, caller.user_id)
    ).fetchone()
    if row is None:
        raise KiteError("GeneralException", "Trigger not found.", 404)
    return row


def _active(caller: Caller) -> sqlite3.Row:
    row = _own(caller)
    if row["status"] != "active":
        raise input_error(f"Trigger is {row['status']} and cannot be changed.")
    return row


def modify_gtt(caller: Caller) -> Response:
    """`PUT /gtt/triggers/{id}`."""
    row = _active(caller)
    kind, condition, orders, token = _read(caller)
    caller.world.db.execute(
        "UPDATE kite_gtt SET type = ?, token = ?, condition = ?, orders = ?, updated_at = ? WHERE id = ?",
        (kind, token, json.dumps(condition), json.dumps(orders), stamp(caller.now), row["id"]),
    )
    caller.request.state.effect = {"trigger_id": row["id"], "modified": True}
    caller.world.event("kite").set()
    return ok({"trigger_id": row["id"]})


def delete_gtt(caller: Caller) -> Response:
    """`DELETE /gtt/triggers/{id}`."""
    row = _active(caller)
    caller.world.db.execute(
        "UPDATE kite_gtt SET status = 'deleted', updated_at = ? WHERE id = ?", (stamp(caller.now), row["id"])
    )
    caller.request.state.effect = {"trigger_id": row["id"], "deleted": True}
    return ok({"trigger_id": row["id"]})


def shown(row: sqlite3.Row) -> dict[str, Any]:
    """A trigger as the API shows it."""
    return {
        "id": row["id"], "user_id": row["user_id"], "parent_trigger": None, "type": row["type"],
        "created_at": row["created_at"], "updated_at": row["updated_at"], "expires_at": row["expires_at"],
        "status": row["status"], "condition": json.loads(row["condition"]),
        "orders": json.loads(row["orders"]),
        "meta": json.loads(row["meta"]),
    }  # fmt: skip


def gtts(caller: Caller) -> Response:
    """`GET /gtt/triggers`."""
    rows = caller.world.db.execute("SELECT * FROM kite_gtt WHERE user_id = ? ORDER BY id", (caller.user_id,))
    return ok([shown(row) for row in rows])


def gtt(caller: Caller) -> Response:
    """`GET /gtt/triggers/{id}`."""
    return ok(shown(_own(caller)))


def fire(world: World, now: datetime) -> None:
    """Fires what the last price has touched while the market is open, and expires what is a year old."""
    for row in world.db.execute("SELECT * FROM kite_gtt WHERE status = 'active' ORDER BY id").fetchall():
        moment = now + timedelta(seconds=row["offset_seconds"])
        if stamp(moment) >= row["expires_at"]:
            world.db.execute("UPDATE kite_gtt SET status = 'expired' WHERE id = ?", (row["id"],))
            continue
        instrument = by_token(ist(moment).date(), row["token"])
        if instrument is None or not is_open(instrument.exchange, moment):
            continue
        last = market.last_price(world.db, instrument, moment)
        leg = _touched(json.loads(row["condition"]), row["type"], last)
        if leg is not None:
            _trigger(world.db, row, leg, last, moment)


def _touched(condition: dict[str, Any], kind: str, last: int) -> int | None:
    """Which leg the last price sets off, or None."""
    values = [rules.paise(str(value), "trigger_values") for value in condition["trigger_values"]]
    if kind == "two-leg":
        return 0 if last <= values[0] else 1 if last >= values[1] else None
    above = values[0] > rules.paise(str(condition["last_price"]), "last_price")
    return 0 if (last >= values[0] if above else last <= values[0]) else None


def _trigger(db: sqlite3.Connection, row: sqlite3.Row, leg: int, last: int, now: datetime) -> None:
    orders = json.loads(row["orders"])
    order = orders[leg]
    fields = {name: str(value) for name, value in order.items() if name != "result"}
    result: dict[str, Any] = {"status": "success", "order_id": "", "rejection_reason": ""}
    try:
        wish = rules.read_wish(fields, "regular", now)
        draft = Draft.of(wish, row["user_id"], row["api_key"], row["offset_seconds"])
        funds.check(db, draft, now)
        result["order_id"] = place(db, draft, now, ist(now).date()).order_id
    except KiteError as refused:
        result.update(status="failed", rejection_reason=refused.message)
    order["result"] = {
        "account_id": row["user_id"], "exchange": order["exchange"], "tradingsymbol": order["tradingsymbol"],
        "validity": "DAY", "product": order["product"], "order_type": "LIMIT",
        "transaction_type": order["transaction_type"], "quantity": order["quantity"], "price": order["price"],
        "meta": "{}", "timestamp": stamp(now), "triggered_at": rupees(last), "order_result": result,
    }  # fmt: skip
    db.execute(
        "UPDATE kite_gtt SET status = 'triggered', orders = ?, updated_at = ?, meta = ? WHERE id = ?",
        (
            json.dumps(orders),
            stamp(now),
            json.dumps(
                {"rejection_reason": result["rejection_reason"]} if result["rejection_reason"] else None
            ),
            row["id"],
        ),
    )
