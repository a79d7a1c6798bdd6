"""Mutual funds: orders and SIPs that wait for the day's NAV, holdings, the CSV of schemes.

Source: kite.trade/docs/connect/v3/mutual-funds. Schemes are synthetic and say so in their names.
"""

import csv
import io
import json
import sqlite3
import uuid
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from sandbox.kite import rules
from sandbox.kite.caller import Caller, required
from sandbox.kite.errors import KiteError, input_error, ok, rupees
from sandbox.kite.hours import stamp

# tradingsymbol -> (name, AMC, NAV in paise); ISIN-like symbols of no real scheme.
SCHEMES = {
    "INF000SBX011": ("Sandbox Flexi Cap Fund - Direct Plan (synthetic)", "SandboxMutualFund_MF", 10_000),
    "INF000SBX029": ("Sandbox Liquid Fund - Direct Plan (synthetic)", "SandboxMutualFund_MF", 250_000),
}
MINIMUM_PAISE = 100_00
FREQUENCIES = ("weekly", "monthly", "quarterly")
COLUMNS = (
    "tradingsymbol", "amc", "name", "purchase_allowed", "redemption_allowed", "minimum_purchase_amount",
    "purchase_amount_multiplier", "minimum_additional_purchase_amount", "minimum_redemption_quantity",
    "redemption_quantity_multiplier", "dividend_type", "scheme_type", "plan", "settlement_type", "last_price",
    "last_price_date",
)  # fmt: skip


def _scheme(symbol: str) -> tuple[str, str, int]:
    if symbol not in SCHEMES:
        raise input_error("Invalid `tradingsymbol`.")
    return SCHEMES[symbol]


def _amount(text: str) -> int:
    amount = rules.paise(text, "amount")
    if amount < MINIMUM_PAISE:
        raise input_error("Minimum amount is 100.")
    return amount


def place(caller: Caller) -> Response:
    """`POST /mf/orders`: an amount to buy, a quantity to sell; stays OPEN, as no NAV is simulated."""
    fields = caller.form()
    symbol = required(fields, "tradingsymbol")
    name, _, nav = _scheme(symbol)
    side = rules.choice(fields, "transaction_type", rules.SIDES)
    amount = _amount(required(fields, "amount")) if side == "BUY" else 0
    quantity = float(rules.paise(required(fields, "quantity"), "quantity")) / 100 if side == "SELL" else 0
    if side == "SELL":
        raise KiteError("HoldingException", "Insufficient units to redeem.")
    doc = _order(caller, symbol, name, nav, amount, quantity, fields.get("tag") or None)
    caller.request.state.effect = {"mf_order_id": doc["order_id"]}
    return ok({"order_id": doc["order_id"]})


def _order(
    caller: Caller, symbol: str, name: str, nav: int, amount: int, quantity: float, tag: str | None,
    variety: str = "regular",
) -> dict[str, Any]:  # fmt: skip
    doc = {
        "order_id": str(uuid.uuid4()), "exchange_order_id": None, "tradingsymbol": symbol, "status": "OPEN",
        "status_message": None, "folio": None, "fund": name, "order_timestamp": stamp(caller.now),
        "exchange_timestamp": None, "settlement_id": None, "transaction_type": "BUY", "variety": variety,
        "purchase_type": "FRESH", "quantity": quantity, "amount": rupees(amount), "last_price": rupees(nav),
        "last_price_date": str(caller.today - timedelta(days=1)), "average_price": 0,
        "placed_by": caller.user_id, "tag": tag,
    }  # fmt: skip
    caller.world.db.execute(
        "INSERT INTO kite_mf_orders"
        " VALUES (?, (SELECT coalesce(max(seq), 0) + 1 FROM kite_mf_orders), ?, 'OPEN', ?)",
        (doc["order_id"], caller.user_id, json.dumps(doc)),
    )
    return doc


def _own(caller: Caller, table: str, key: str) -> sqlite3.Row:
    number = caller.request.path_params[key]
    row = caller.world.db.execute(
        f"SELECT * FROM {table} WHERE {key} = ? AND user_id = ?",  # noqa: S608 - names of our own
        (number, caller.user_id),
    ).fetchone()
    if row is None:
        raise KiteError("GeneralException", f"Couldn't find that `{key}`.", 404)
    return row


def _all(caller: Caller, table: str) -> Response:
    rows = caller.world.db.execute(
        f"SELECT doc FROM {table} WHERE user_id = ? ORDER BY seq DESC",  # noqa: S608 - a name of our own
        (caller.user_id,),
    )
    return ok([json.loads(row["doc"]) for row in rows])


def _close(caller: Caller, table: str, key: str, row: sqlite3.Row) -> Response:
    if row["status"] not in ("OPEN", "ACTIVE", "PAUSED"):
        raise KiteError("OrderException", f"It is already {row['status'].lower()}.")
    doc = {**json.loads(row["doc"]), "status": "CANCELLED"}
    caller.world.db.execute(
        f"UPDATE {table} SET status = 'CANCELLED', doc = ? WHERE {key} = ?",  # noqa: S608 - our own names
        (json.dumps(doc), row[key]),
    )
    caller.request.state.effect = {f"mf_{key}": row[key], "cancelled": True}
    return ok({key: row[key]})


def orders(caller: Caller) -> Response:
    """`GET /mf/orders`."""
    return _all(caller, "kite_mf_orders")


def order(caller: Caller) -> Response:
    """`GET /mf/orders/{order_id}`."""
    return ok(json.loads(_own(caller, "kite_mf_orders", "order_id")["doc"]))


def cancel(caller: Caller) -> Response:
    """`DELETE /mf/orders/{order_id}`."""
    return _close(caller, "kite_mf_orders", "order_id", _own(caller, "kite_mf_orders", "order_id"))


def place_sip(caller: Caller) -> Response:
    """`POST /mf/sips`: a plan; an initial amount is an order of its own."""
    fields = caller.form()
    symbol = required(fields, "tradingsymbol")
    name, _, nav = _scheme(symbol)
    amount = _amount(required(fields, "amount"))
    count = int(required(fields, "instalments")) if fields["instalments"].lstrip("-").isdigit() else 0
    if count < 1 and count != -1:
        raise input_error("Invalid `instalments`.")
    day = rules.whole(fields.get("instalment_day") or "1", "instalment_day")
    if not 1 <= day <= 28:
        raise input_error("Invalid `instalment_day`.")
    frequency = rules.choice(fields, "frequency", FREQUENCIES)
    doc: dict[str, Any] = {
        "sip_id": str(uuid.uuid4()), "tradingsymbol": symbol, "fund": name, "dividend_type": "growth",
        "transaction_type": "BUY", "status": "ACTIVE", "sip_type": "sip", "created": stamp(caller.now),
        "frequency": frequency, "instalment_amount": rupees(amount), "instalments": count,
        "last_instalment": stamp(caller.now), "pending_instalments": count, "instalment_day": day,
        "completed_instalments": 0, "next_instalment": str(caller.today + timedelta(days=30)),
        "trigger_price": 0, "step_up": {}, "tag": fields.get("tag") or None,
    }  # fmt: skip
    answer = {"sip_id": doc["sip_id"]}
    if fields.get("initial_amount"):
        first = _order(caller, symbol, name, nav, _amount(fields["initial_amount"]), 0, doc["tag"], "sip")
        answer["order_id"] = first["order_id"]
    caller.world.db.execute(
        "INSERT INTO kite_mf_sips"
        " VALUES (?, (SELECT coalesce(max(seq), 0) + 1 FROM kite_mf_sips), ?, 'ACTIVE', ?)",
        (doc["sip_id"], caller.user_id, json.dumps(doc)),
    )
    caller.request.state.effect = {"mf_sip_id": doc["sip_id"]}
    return ok(answer)


def sips(caller: Caller) -> Response:
    """`GET /mf/sips`."""
    return _all(caller, "kite_mf_sips")


def sip(caller: Caller) -> Response:
    """`GET /mf/sips/{sip_id}`."""
    return ok(json.loads(_own(caller, "kite_mf_sips", "sip_id")["doc"]))


def modify_sip(caller: Caller) -> Response:
    """`PUT /mf/sips/{sip_id}`: amount, status (active or paused), instalments, frequency, day."""
    row = _own(caller, "kite_mf_sips", "sip_id")
    if row["status"] == "CANCELLED":
        raise KiteError("OrderException", "It is already cancelled.")
    fields, doc = caller.form(), json.loads(row["doc"])
    if fields.get("amount"):
        doc["instalment_amount"] = rupees(_amount(fields["amount"]))
    if fields.get("status"):
        doc["status"] = rules.choice(fields, "status", ("active", "paused")).upper()
    if fields.get("instalments"):
        doc["instalments"] = doc["pending_instalments"] = rules.whole(fields["instalments"], "instalments")
    if fields.get("frequency"):
        doc["frequency"] = rules.choice(fields, "frequency", FREQUENCIES)
    if fields.get("instalment_day"):
        doc["instalment_day"] = rules.whole(fields["instalment_day"], "instalment_day")
    caller.world.db.execute(
        "UPDATE kite_mf_sips SET status = ?, doc = ? WHERE sip_id = ?",
        (doc["status"], json.dumps(doc), row["sip_id"]),
    )
    caller.request.state.effect = {"mf_sip_id": row["sip_id"], "modified": True}
    return ok({"sip_id": row["sip_id"]})


def cancel_sip(caller: Caller) -> Response:
    """`DELETE /mf/sips/{sip_id}`."""
    return _close(caller, "kite_mf_sips", "sip_id", _own(caller, "kite_mf_sips", "sip_id"))


def holdings(caller: Caller) -> Response:
    """`GET /mf/holdings`: none, as no NAV is ever allotted here."""
    return ok([])


def instruments(caller: Caller) -> Response:
    """`GET /mf/instruments`: the schemes, CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    yesterday = str(caller.today - timedelta(days=1))
    for symbol, (name, amc, nav) in SCHEMES.items():
        writer.writerow((
            symbol, amc, name, 1, 1, 100.0, 1.0, 100.0, 0.001, 0.001, "growth", "equity", "direct", "T2",
            nav / 100, yesterday,
        ))  # fmt: skip
    return Response(out.getvalue(), media_type="text/csv", headers={"X-Sandbox-Data": "synthetic"})
