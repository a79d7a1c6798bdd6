"""Orders that another order brings about: the next leg of an iceberg, the stop leg of a cover order."""

import sqlite3
from datetime import datetime

from sandbox.kite import book
from sandbox.kite.book import Order
from sandbox.kite.hours import ist
from sandbox.kite.instruments import Instrument
from sandbox.kite.placing import Draft, place


def after_complete(db: sqlite3.Connection, order: Order, instrument: Instrument, now: datetime) -> None:
    """What an order that has just ended leads to."""
    if order.variety == "iceberg" and order.status == "COMPLETE":
        next_leg(db, order, instrument, now)
    if order.variety == "co" and order.filled and order.doc["parent_order_id"] is None:
        stop_leg(db, order, instrument, now)


def next_leg(db: sqlite3.Connection, order: Order, instrument: Instrument, now: datetime) -> None:
    """The iceberg shows its next part once one is traded."""
    iceberg = order.doc["meta"]["iceberg"]
    remaining = iceberg["remaining_quantity"]
    if remaining <= 0:
        return
    quantity = min(iceberg["leg_quantity"], remaining)
    meta = {"iceberg": {**iceberg, "leg": iceberg["leg"] + 1, "remaining_quantity": remaining - quantity}}
    draft = Draft.like(order, instrument, quantity=quantity, meta=meta, parent_order_id=order.order_id)
    place(db, draft, now, ist(now).date())


def stop_leg(db: sqlite3.Connection, order: Order, instrument: Instrument, now: datetime) -> None:
    """A filled cover order is protected by a stop order of the other side."""
    draft = Draft.like(
        order, instrument, quantity=order.filled, side="SELL" if order.buy else "BUY", order_type="SL-M",
        price=0,
        protection="-1", parent_order_id=order.order_id, meta={}, validity="DAY",
    )  # fmt: skip
    place(db, draft, now, ist(now).date())


def exit_cover(db: sqlite3.Connection, order: Order, now: datetime) -> Order | None:
    """Exiting a cover order: its waiting stop leg becomes a market order. None where there is none."""
    leg = next(
        (item for item in book.live(db, order.user_id) if item.doc["parent_order_id"] == order.order_id), None
    )
    if leg is None and order.doc["parent_order_id"]:
        leg = order
    if leg is not None and leg.status == "TRIGGER PENDING":
        leg.order_type, leg.triggered, leg.trigger_price = "MARKET", 1, 0
        book.advance(db, leg, "OPEN", now)
        return leg
    return None
