"""Breaks planted in the recon report: the books of the gateway stay right, its report is wrong."""

import json
from datetime import date, time
from typing import Any

from sandbox.razorpay.dates import at_time
from sandbox.razorpay.gateway import Gateway
from sandbox.razorpay.objects import Entity
from sandbox.razorpay.settlements import add_line, forget_pages

SCHEMA = """
CREATE TABLE IF NOT EXISTS razorpay_plants (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, kind TEXT NOT NULL, payment_id TEXT,
  amount INTEGER
);
"""
KINDS = ("missing_line", "extra_line", "wrong_amount", "wrong_fee")
DEFAULT_EXTRA_PAISE = 100_00
DEFAULT_DIFFERENCE_PAISE = 100


def plant(gateway: Gateway, day: date, kind: str, payment_id: str | None, amount: int | None) -> Entity:
    """Breaks the report of a settlement day, now or, where it has no such line yet, when it is settled.

    Answers `{kind, date, applied, entity_id, before, after}`. `amount` is the wrong amount or fee itself.
    """
    gateway.world.db.execute(
        "INSERT INTO razorpay_plants (day, kind, payment_id, amount) VALUES (?, ?, ?, ?)",
        (day.isoformat(), kind, payment_id, amount),
    )
    applied = apply(gateway, day)
    answer: Entity = {"kind": kind, "date": day.isoformat(), "applied": bool(applied)}
    return answer | (applied[-1] if applied else {"entity_id": payment_id, "before": None, "after": None})


def apply(gateway: Gateway, day: date) -> list[Entity]:
    """Applies what is planted for a day and has its line; answers what was changed."""
    db = gateway.world.db
    plants = db.execute("SELECT * FROM razorpay_plants WHERE day = ? ORDER BY seq", (day.isoformat(),))
    done = []
    for row in plants.fetchall():
        change = _apply_one(gateway, day, row)
        if change is not None:
            db.execute("DELETE FROM razorpay_plants WHERE seq = ?", (row["seq"],))
            done.append(change)
    return done


def _apply_one(gateway: Gateway, day: date, row: Any) -> Entity | None:
    db = gateway.world.db
    if row["kind"] == "extra_line":
        extra = _extra(gateway, day, row["payment_id"], row["amount"] or DEFAULT_EXTRA_PAISE)
        add_line(gateway, day, extra)
        return {"entity_id": extra["entity_id"], "before": None, "after": extra}
    found = db.execute(
        "SELECT seq, line FROM razorpay_recon WHERE day = ? AND (? IS NULL OR entity_id = ?)"
        " AND json_extract(line, '$.type') = 'payment' ORDER BY seq LIMIT 1",
        (day.isoformat(), row["payment_id"], row["payment_id"]),
    ).fetchone()
    if found is None:
        return None
    before = json.loads(found["line"])
    if row["kind"] == "missing_line":
        db.execute("DELETE FROM razorpay_recon WHERE seq = ?", (found["seq"],))
        forget_pages(gateway)
        return {"entity_id": before["entity_id"], "before": before, "after": None}
    name = "amount" if row["kind"] == "wrong_amount" else "fee"
    wrong = before[name] + DEFAULT_DIFFERENCE_PAISE if row["amount"] is None else row["amount"]
    after = before | {name: wrong}
    after["credit"] = after["amount"] - after["fee"]
    db.execute("UPDATE razorpay_recon SET line = ? WHERE seq = ?", (json.dumps(after), found["seq"]))
    return {"entity_id": before["entity_id"], "before": before, "after": after}


def _extra(gateway: Gateway, day: date, payment_id: str | None, amount: int) -> Entity:
    """A line for a payment that the merchant never saw, in the day's settlement where there is one."""
    fee, tax = gateway.rules.fee_and_tax(amount)
    row = gateway.world.db.execute(
        "SELECT line FROM razorpay_recon WHERE day = ? ORDER BY seq LIMIT 1", (day.isoformat(),)
    ).fetchone()
    other = json.loads(row["line"]) if row else {}
    at = other.get("settled_at") or at_time(day, time(18, 0))
    return {
        "entity_id": payment_id or gateway.new_id("payment"),
        "type": "payment",
        "debit": 0,
        "credit": amount - fee,
        "amount": amount,
        "currency": "INR",
        "fee": fee,
        "tax": tax,
        "on_hold": False,
        "settled": True,
        "created_at": at,
        "settled_at": at,
        "settlement_id": other.get("settlement_id"),
        "posted_at": None,
        "credit_type": "default",
        "description": None,
        "notes": [],
        "payment_id": None,
        "settlement_utr": other.get("settlement_utr"),
        "order_id": gateway.new_id("order"),
        "order_receipt": None,
        "method": "upi",
        "card_network": None,
        "card_issuer": None,
        "card_type": None,
        "dispute_id": None,
    }
