"""Putting a new order into the book: its row, the document the API shows, its first line of history."""

import json
import sqlite3
import uuid
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Self

from sandbox.kite import book, postbacks
from sandbox.kite.book import Order
from sandbox.kite.errors import rupees
from sandbox.kite.hours import stamp
from sandbox.kite.instruments import Instrument
from sandbox.kite.rules import Wish


@dataclass(frozen=True)
class Draft:
    """All that a new order is made of; prices in paise."""

    user_id: str
    api_key: str
    offset_seconds: float
    instrument: Instrument
    variety: str
    side: str
    product: str
    order_type: str
    validity: str
    ttl: int
    quantity: int
    price: int
    trigger_price: int
    protection: str
    disclosed: int
    tags: list[str] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    parent_order_id: str | None = None
    auction_number: str | None = None

    @classmethod
    def of(cls, wish: Wish, user_id: str, api_key: str, offset_seconds: float) -> Self:
        """The draft of a checked wish."""
        quantity, meta = wish.quantity, {}
        if wish.variety == "iceberg":
            quantity = wish.leg_quantity
            meta = {
                "iceberg": {
                    "leg": 1, "legs": wish.legs, "leg_quantity": quantity, "total_quantity": wish.quantity,
                    "remaining_quantity": wish.quantity - quantity,
                }
            }  # fmt: skip
        return cls(
            user_id, api_key, offset_seconds, wish.instrument, wish.variety, wish.side, wish.product,
            wish.order_type, wish.validity, wish.ttl, quantity, wish.price, wish.trigger_price,
            str(wish.protection), wish.disclosed, [wish.tag] if wish.tag else [], meta,
            auction_number=wish.auction_number,
        )  # fmt: skip

    @classmethod
    def like(cls, order: Order, instrument: Instrument, **different: Any) -> Self:
        """The draft of an order that follows another."""
        same = cls(
            order.user_id, order.api_key, order.offset_seconds, instrument, order.variety, order.side,
            order.product, order.order_type, order.validity, order.doc["validity_ttl"], order.quantity,
            order.price, order.trigger_price, order.protection, 0, order.doc.get("tags", []),
            order.doc["meta"],
        )  # fmt: skip
        return replace(same, **different)


def place(db: sqlite3.Connection, draft: Draft, now: datetime, day: date) -> Order:
    """Adds the order, PUT ORDER REQ RECEIVED (or AMO REQ RECEIVED); the exchange takes it from there."""
    order_id = book.new_order_id(day)
    while book.get(db, order_id):
        order_id = book.new_order_id(day)
    status = "AMO REQ RECEIVED" if draft.variety == "amo" else "PUT ORDER REQ RECEIVED"
    item = draft.instrument
    order = Order(
        order_id, 0, draft.user_id, draft.api_key, day.isoformat(), draft.offset_seconds, item.exchange,
        item.tradingsymbol, item.token, draft.variety, draft.side, draft.product, draft.order_type,
        draft.validity, status, draft.quantity, 0, draft.price, draft.trigger_price, 0, draft.protection, 0,
        now.isoformat(), doc=_document(draft, order_id, status, now),
    )  # fmt: skip
    book.insert(db, order)
    db.execute(
        "INSERT INTO kite_order_history (order_id, doc) VALUES (?, ?)", (order_id, json.dumps(order.doc))
    )
    postbacks.stream_only(db, order.user_id, order.api_key, order.doc)
    return order


def _document(draft: Draft, order_id: str, status: str, now: datetime) -> dict[str, Any]:
    item = draft.instrument
    protection = float(draft.protection)
    document: dict[str, Any] = {
        "placed_by": draft.user_id, "order_id": order_id, "exchange_order_id": None,
        "parent_order_id": draft.parent_order_id, "status": status, "status_message": None,
        "status_message_raw": None, "order_timestamp": stamp(now), "exchange_update_timestamp": None,
        "exchange_timestamp": None, "variety": draft.variety, "modified": False, "exchange": item.exchange,
        "tradingsymbol": item.tradingsymbol, "instrument_token": item.token, "order_type": draft.order_type,
        "transaction_type": draft.side, "validity": draft.validity, "validity_ttl": draft.ttl,
        "product": draft.product, "quantity": draft.quantity, "disclosed_quantity": draft.disclosed,
        "price": rupees(draft.price), "trigger_price": rupees(draft.trigger_price), "average_price": 0,
        "filled_quantity": 0, "pending_quantity": draft.quantity, "cancelled_quantity": 0,
        "market_protection": int(protection) if protection.is_integer() else protection, "meta": draft.meta,
        "tag": draft.tags[0] if draft.tags else None, "guid": uuid.uuid4().hex,
    }  # fmt: skip
    if draft.tags:
        document["tags"] = draft.tags
    if draft.auction_number:
        document["auction_number"] = draft.auction_number
    return document
