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
KINDS = (
    "missing_line",
    "extra_line",
    "wrong_amount",
    "wrong_fee",
    "wrong_tax",
    "unsettled_line",
    "wrong_payout",
)
DEFAULT_EXTRA_PAISE = 100_00
DEFAULT_DIFFERENCE_PAISE = 100


def plant(gateway: Gateway, day: date, kind: str, payment_id: str | None, amount: int | None) -> Entity:
    """Breaks the report of a settlement day, now or, where it has no such line yet, when it is settled.

    `payment_id` names the thing of the line: a payment, or also a refund or an adjustment; without it, the
    day's first payment line. `unsettled_line` shows it as held back, `wrong_payout` lets the settlement be of
    another amount than its lines. Answers `{kind, date, applied, entity_id, before, after}`. `amount` is the
    wrong amount, fee, tax or payout itself.
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
        "SELECT seq, line FROM razorpay_recon WHERE day = ?"
        " AND coalesce(entity_id = ?, json_extract(line, '$.type') = 'payment') ORDER BY seq LIMIT 1",
        (day.isoformat(), row["payment_id"]),
    ).fetchone()
    if found is None:
        return None
    before = json.loads(found["line"])
    if row["kind"] == "wrong_payout":
        return _paid_otherwise(gateway, before["settlement_id"], row["amount"])
    if row["kind"] == "missing_line":
        db.execute("DELETE FROM razorpay_recon WHERE seq = ?", (found["seq"],))
        forget_pages(gateway)
        return {"entity_id": before["entity_id"], "before": before, "after": None}
    after = _changed(before, row["kind"], row["amount"])
    db.execute("UPDATE razorpay_recon SET line = ? WHERE seq = ?", (json.dumps(after), found["seq"]))
    return {"entity_id": before["entity_id"], "before": before, "after": after}


def _changed(line: Entity, kind: str, amount: int | None) -> Entity:
    """The line as the report shows it wrongly, its credit or debit as its own figures add up."""
    if kind == "unsettled_line":
        held = {"on_hold": True, "settled": False, "settled_at": None}
        return line | held | {"settlement_id": None, "settlement_utr": None}
    name = kind.removeprefix("wrong_")
    wrong = line[name] + DEFAULT_DIFFERENCE_PAISE if amount is None else amount
    after = line | {name: wrong}
    if line["debit"]:
        return after | {"debit": after["amount"] + after["fee"]}
    return after | {"credit": after["amount"] - after["fee"]}


def _paid_otherwise(gateway: Gateway, settlement_id: str, amount: int | None) -> Entity:
    """The bank got another amount than the lines add up to."""
    before = gateway.objects.get("settlement", settlement_id)
    wrong = before["amount"] - DEFAULT_DIFFERENCE_PAISE if amount is None else amount
    after = gateway.objects.save(before | {"amount": wrong})
    return {"entity_id": settlement_id, "before": before, "after": after}


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
        "settlement_id": other.get("settlement_id") or gateway.new_id("settlement"),
        "posted_at": None,
        "credit_type": "default",
        "description": None,
        "notes": [],
        "payment_id": None,
        "settlement_utr": other.get("settlement_utr") or f"{at}{gateway.world.new_id('', 6).lower()}",
        "order_id": gateway.new_id("order"),
        "order_receipt": None,
        "method": "upi",
        "card_network": None,
        "card_issuer": None,
        "card_type": None,
        "dispute_id": None,
    }
