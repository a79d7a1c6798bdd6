"""Settlements to the merchant's bank, and the combined recon report, line by line."""

import json
from calendar import monthrange
from datetime import date, time
from typing import Any

from starlette.responses import Response

from sandbox.razorpay.dates import at_time, ist_date
from sandbox.razorpay.errors import RazorpayError
from sandbox.razorpay.gateway import Call, Gateway
from sandbox.razorpay.objects import Entity, number, public

SCHEMA = """
CREATE TABLE IF NOT EXISTS razorpay_recon (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, entity_id TEXT NOT NULL, line TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS razorpay_recon_by_day ON razorpay_recon (day, seq);
CREATE TABLE IF NOT EXISTS razorpay_recon_faults (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, fault TEXT NOT NULL, pages INTEGER NOT NULL
);
"""
FAULTS = ("page_repeated", "line_inserted", "line_removed")
BANK_HOUR = time(18, 0)
LINES = "SELECT day, seq, line FROM razorpay_recon WHERE"
PAGES = "razorpay.recon_pages"


def settle(gateway: Gateway, day: date, settled_on: date, now: int) -> tuple[Entity | None, list[Entity]]:
    """Pays out all that was captured, refunded or adjusted up to the end of an IST day.

    Answers the settlement (None where there is nothing to pay) and its recon lines. Debits that the
    balance does not cover wait for a later settlement.
    """
    at = now if ist_date(now) == settled_on else at_time(settled_on, BANK_HOUR)
    entities = gateway.objects.unsettled(day.isoformat())
    entities.sort(key=lambda entity: _net(entity) < 0)  # credits first: they cover the debits
    balance, paid = 0, []
    for entity in entities:
        if balance + _net(entity) >= 0:
            balance += _net(entity)
            paid.append(entity)
    if not paid:
        return None, []
    settlement: Entity = {
        "id": gateway.new_id("settlement"),
        "entity": "settlement",
        "amount": balance,
        "status": "processed",
        "fees": 0,  # zero for a normal settlement: the fees are in the payments' lines
        "tax": 0,
        "utr": f"{at}{gateway.world.new_id('', 6).lower()}",
        "created_at": at,
    }
    gateway.objects.add(settlement)
    lines = []
    for entity in paid:
        line = _line(gateway, entity, settlement)
        add_line(gateway, settled_on, line)
        lines.append(line)
        entity["_settles"] = None
        gateway.objects.save(entity)
    gateway.emit("settlement.processed", at, settlement=settlement)
    return settlement, lines


def spoil(gateway: Gateway, day: date, fault: str, pages: int) -> Entity:
    """The next report of a day goes wrong after so many pages: the last page comes again in place of the
    next, or a line before it is inserted or removed, so that every later one moves."""
    gateway.world.db.execute(
        "INSERT INTO razorpay_recon_faults (day, fault, pages) VALUES (?, ?, ?)",
        (day.isoformat(), fault, pages),
    )
    return {"date": day.isoformat(), "fault": fault, "pages": pages}


def adjust(gateway: Gateway, payment_id: str | None, amount: int, now: int) -> Entity:
    """The gateway corrects its account with the merchant: a credit (or, negative, a debit) in the next
    settlement, about a payment where one is named."""
    return gateway.objects.add(
        {
            "id": gateway.new_id("adjustment"),
            "entity": "adjustment",
            "amount": amount,
            "currency": "INR",
            "description": "Adjustment",
            "created_at": now,
            "_payment_id": payment_id,
            "_settles": ist_date(now).isoformat(),
        }
    )


def _spoiled(gateway: Gateway, day: str, skip: int, count: int) -> int:
    """Where the page really begins, once a fault of the day has had its turn."""
    db = gateway.world.db
    fault = db.execute(
        "SELECT * FROM razorpay_recon_faults WHERE day = ? ORDER BY seq LIMIT 1", (day,)
    ).fetchone()
    if fault is None or not skip:
        return skip
    if fault["pages"] > 1:
        db.execute("UPDATE razorpay_recon_faults SET pages = pages - 1 WHERE seq = ?", (fault["seq"],))
        return skip
    db.execute("DELETE FROM razorpay_recon_faults WHERE seq = ?", (fault["seq"],))
    if fault["fault"] == "page_repeated":
        return max(0, skip - count + 1)
    rows = db.execute("SELECT line FROM razorpay_recon WHERE day = ? ORDER BY seq", (day,)).fetchall()
    lines = [json.loads(row["line"]) for row in rows]
    moved = lines[1:]
    if fault["fault"] == "line_inserted":
        moved = [lines[0] | {"entity_id": gateway.new_id("payment")}, *lines]
    db.execute("DELETE FROM razorpay_recon WHERE day = ?", (day,))
    for line in moved:
        add_line(gateway, date.fromisoformat(day), line)
    forget_pages(gateway)
    return skip


def forget_pages(gateway: Gateway) -> None:
    """Call where a report changes: where its pages end is no longer known."""
    gateway.world.cache.pop(PAGES, None)


def add_line(gateway: Gateway, day: date, line: Entity) -> None:
    """Appends a line to a day's report."""
    forget_pages(gateway)
    gateway.world.db.execute(
        "INSERT INTO razorpay_recon (day, entity_id, line) VALUES (?, ?, ?)",
        (day.isoformat(), line["entity_id"], json.dumps(line)),
    )


def _net(entity: Entity) -> int:
    """What an entity adds to the balance, in paise."""
    if entity["entity"] == "payment":
        return int(entity["amount"] - entity["fee"])
    if entity["entity"] == "refund":
        return -int(entity["amount"])
    return int(entity["amount"])


def _line(gateway: Gateway, entity: Entity, settlement: Entity) -> Entity:
    kind, net = entity["entity"], _net(entity)
    payment = entity
    if kind == "refund":
        payment = gateway.objects.get("payment", entity["payment_id"])
    order = gateway.objects.look("order", payment.get("order_id")) or {}
    card = payment.get("card") or {}
    return {
        "entity_id": entity["id"],
        "type": kind,
        "debit": max(0, -net),
        "credit": max(0, net),
        "amount": abs(entity["amount"]),
        "currency": "INR",
        "fee": entity.get("fee") or 0,
        "tax": entity.get("tax") or 0,
        "on_hold": False,
        "settled": True,
        "created_at": entity["created_at"],
        "settled_at": settlement["created_at"],
        "settlement_id": settlement["id"],
        "posted_at": None,
        "credit_type": "default",
        "description": entity.get("description"),
        "notes": entity.get("notes") or [],
        # Null on payment lines, whose own id is in entity_id.
        "payment_id": None if kind == "payment" else entity.get("payment_id") or entity.get("_payment_id"),
        "settlement_utr": settlement["utr"],
        "order_id": order.get("id"),
        "order_receipt": order.get("receipt"),
        "method": payment.get("method"),
        "card_network": card.get("network"),
        "card_issuer": card.get("issuer"),
        "card_type": card.get("type"),
        "dispute_id": entity.get("_dispute_id"),
    }


async def fetch(call: Call) -> Entity:
    """`GET /v1/settlements/{id}`."""
    return public(call.gateway.objects.get("settlement", call.part("id")))


async def listing(call: Call) -> Entity:
    """`GET /v1/settlements`."""
    return call.gateway.objects.page("settlement", call.request.query_params)


async def recon(call: Call) -> Response:
    """`GET /v1/settlements/recon/combined?year&month&day&count&skip`: lines of an IST day or month.

    Lines are passed on as they are stored, and a page that follows another, or repeats its last line, starts
    where that one ended: reading a whole report page by page takes time in proportion to its length.
    """
    query: Any = call.request.query_params
    first, last = (day.isoformat() for day in _period(query))
    count, skip = number(query, "count", 10, 1, 1000), number(query, "skip", 0, 0)
    skip = _spoiled(call.gateway, first, skip, count)
    ends: dict[tuple[str, str, int], tuple[str, int]] = call.gateway.world.cache.setdefault(PAGES, {})
    db, start = call.gateway.world.db, ends.get((first, last, skip))
    rows = []
    if start:
        rows = db.execute(f"{LINES} day = ? AND seq > ? ORDER BY seq LIMIT ?", (*start, count)).fetchall()
        first_left, skip_left = start[0] + "~", 0  # sorts after that day and before the next
    else:
        first_left, skip_left = first, skip
    if len(rows) < count:
        rows += db.execute(
            f"{LINES} day BETWEEN ? AND ? ORDER BY day, seq LIMIT ? OFFSET ?",
            (first_left, last, count - len(rows), skip_left),
        ).fetchall()
    if rows:
        ends[(first, last, skip + len(rows))] = (rows[-1]["day"], rows[-1]["seq"])
    if len(rows) > 1:
        ends[(first, last, skip + len(rows) - 1)] = (rows[-2]["day"], rows[-2]["seq"])
    items = ",".join(row["line"] for row in rows)
    content = f'{{"entity":"collection","count":{len(rows)},"items":[{items}]}}'
    return Response(content, media_type="application/json")


def _period(query: Any) -> tuple[date, date]:
    year, month, day = query.get("year", ""), query.get("month", ""), query.get("day")
    if not (len(year) == 4 and year.isascii() and year.isdigit() and int(year)):
        raise RazorpayError("The year must be 4 digits.", "year")
    if not (month.isascii() and month.isdigit() and 1 <= int(month) <= 12):
        raise RazorpayError("The month is not a valid month.", "month")
    last = monthrange(int(year), int(month))[1]
    if day is None or day == "":
        return date(int(year), int(month), 1), date(int(year), int(month), last)
    if not (day.isascii() and day.isdigit() and 1 <= len(day) <= 2):
        raise RazorpayError("The day must be between 1 and 2 digits.", "day")
    if not 1 <= int(day) <= last:
        raise RazorpayError("The day is not a valid day.", "day")
    moment = date(int(year), int(month), int(day))
    return moment, moment
