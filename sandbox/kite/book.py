"""The order book as rows: orders, their history, trades, and the ledger of what each user holds."""

import json
import secrets
import sqlite3
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.kite import postbacks
from sandbox.kite.errors import rupees
from sandbox.kite.hours import ist, stamp
from sandbox.kite.instruments import Instrument
from sandbox.kite.matching import AUTO_PROTECTION_PERCENT, Interest, average

TERMINAL = frozenset({"COMPLETE", "CANCELLED", "REJECTED"})
RESTING = frozenset({"OPEN", "TRIGGER PENDING"})
FIELDS = (
    "order_id", "seq", "user_id", "api_key", "day", "offset_seconds", "exchange", "tradingsymbol", "token",
    "variety", "side", "product", "order_type", "validity", "status", "quantity", "filled", "price",
    "trigger_price", "triggered", "protection", "modifications", "placed_at",
)  # fmt: skip


@dataclass
class Order:
    """One order. Prices in paise; `doc` is what the API shows; `changes` a modification under way."""

    order_id: str
    seq: int
    user_id: str
    api_key: str
    day: str
    offset_seconds: float
    exchange: str
    tradingsymbol: str
    token: int
    variety: str
    side: str
    product: str
    order_type: str
    validity: str
    status: str
    quantity: int
    filled: int
    price: int
    trigger_price: int
    triggered: int
    protection: str
    modifications: int
    placed_at: str
    changes: dict[str, Any] = field(default_factory=dict)
    doc: dict[str, Any] = field(default_factory=dict)

    @property
    def buy(self) -> bool:
        """Whether it buys."""
        return self.side == "BUY"

    @property
    def pending(self) -> int:
        """What is not traded yet."""
        return self.quantity - self.filled

    def clock(self, world_now: datetime) -> datetime:
        """The time by which this order is judged: the sandbox's, or what its caller's header said."""
        return world_now + timedelta(seconds=self.offset_seconds)

    def interest(self) -> Interest:
        """What it would trade for now."""
        market = self.order_type in ("MARKET", "SL-M")
        percent = Decimal(self.protection)
        return Interest(
            self.buy,
            self.pending,
            None if market else self.price,
            percent if percent > 0 else AUTO_PROTECTION_PERCENT,
        )


def digits(count: int) -> str:
    """So many random digits."""
    return str(secrets.randbelow(10**count)).zfill(count)


def new_order_id(day: date) -> str:
    """An opaque id, of 15 or of 19 digits: Kite gives out both."""
    return f"{day:%y%m%d}{digits(9)}" if secrets.randbelow(2) else f"{day:%Y%m%d}{digits(11)}"


def insert(db: sqlite3.Connection, order: Order) -> None:
    """Adds a new order with its first line of history."""
    row = db.execute("SELECT coalesce(max(seq), 0) + 1 AS n FROM kite_orders").fetchone()
    order.seq = row["n"]
    names = ", ".join((*FIELDS, "changes", "doc"))
    values = [getattr(order, name) for name in FIELDS] + [json.dumps(order.changes), json.dumps(order.doc)]
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO kite_orders ({names}) VALUES ({marks})", values)  # noqa: S608 - our own names


def save(db: sqlite3.Connection, order: Order) -> None:
    """Writes the order's present state."""
    assigned = ", ".join(f"{name} = ?" for name in (*FIELDS[1:], "changes", "doc"))
    values = [getattr(order, name) for name in FIELDS[1:]] + [
        json.dumps(order.changes),
        json.dumps(order.doc),
    ]
    db.execute(
        f"UPDATE kite_orders SET {assigned} WHERE order_id = ?",  # noqa: S608 - our own names
        (*values, order.order_id),
    )


def load(row: sqlite3.Row) -> Order:
    """The order of a row."""
    plain = {name: row[name] for name in FIELDS}
    return Order(**plain, changes=json.loads(row["changes"]), doc=json.loads(row["doc"]))


def get(db: sqlite3.Connection, order_id: str) -> Order | None:
    """The order of that id."""
    row = db.execute("SELECT * FROM kite_orders WHERE order_id = ?", (order_id,)).fetchone()
    return load(row) if row else None


def live(db: sqlite3.Connection, user_id: str | None = None, moved: set[int] | None = None) -> list[Order]:
    """Orders that are not at their end, oldest first; with `moved`, resting ones of these tokens only."""
    rows = db.execute(
        "SELECT * FROM kite_orders WHERE status NOT IN ('COMPLETE', 'CANCELLED', 'REJECTED')"
        " AND (:user IS NULL OR user_id = :user)"
        " AND (:moved IS NULL OR status NOT IN ('OPEN', 'TRIGGER PENDING')"
        " OR token IN (SELECT value FROM json_each(:moved))) ORDER BY seq",
        {"user": user_id, "moved": None if moved is None else json.dumps(sorted(moved))},
    )
    return [load(row) for row in rows.fetchall()]


def advance(db: sqlite3.Connection, order: Order, status: str, now: datetime, **shown: Any) -> None:
    """The next state: row, shown document, a line of history. `shown` are further fields of the document."""
    order.status = status
    order.doc.update(
        status=status,
        order_timestamp=stamp(now),
        order_type=order.order_type,
        validity=order.validity,
        quantity=order.quantity,
        price=rupees(order.price),
        trigger_price=rupees(order.trigger_price),
        filled_quantity=order.filled,
        pending_quantity=0 if status == "REJECTED" else order.pending,
        cancelled_quantity=order.pending if status == "CANCELLED" else 0,
        **shown,
    )
    if order.doc["exchange_order_id"]:
        order.doc["exchange_update_timestamp"] = stamp(now)
    save(db, order)
    db.execute(
        "INSERT INTO kite_order_history (order_id, doc) VALUES (?, ?)",
        (order.order_id, json.dumps(order.doc)),
    )
    if status in TERMINAL:
        postbacks.enqueue(db, order.user_id, order.api_key, order.doc, status)
    elif status not in ("OPEN", "TRIGGER PENDING") or not order.doc.get("filled_quantity"):
        postbacks.stream_only(db, order.user_id, order.api_key, order.doc)


def trade(
    db: sqlite3.Connection, order: Order, instrument: Instrument, price: int, quantity: int, now: datetime
) -> None:
    """Books a fill: trade, ledger, the order's average and state. COMPLETE when nothing is left."""
    trade_id = digits(8)
    while db.execute("SELECT 1 FROM kite_trades WHERE trade_id = ?", (trade_id,)).fetchone():
        trade_id = digits(8)
    doc = {
        "trade_id": trade_id, "order_id": order.order_id, "exchange": order.exchange,
        "tradingsymbol": order.tradingsymbol, "instrument_token": order.token, "product": order.product,
        "average_price": rupees(price), "quantity": quantity,
        "exchange_order_id": order.doc["exchange_order_id"], "transaction_type": order.side,
        "fill_timestamp": stamp(now), "order_timestamp": ist(now).strftime("%H:%M:%S"),
        "exchange_timestamp": stamp(now),
    }  # fmt: skip
    day = ist(now).date().isoformat()
    db.execute(
        "INSERT INTO kite_trades VALUES (?, ?, ?, ?, ?)",
        (trade_id, order.order_id, order.user_id, day, json.dumps(doc)),
    )
    signed = quantity if order.buy else -quantity
    post(db, order.user_id, instrument, order.product, signed, price, day, "trade")
    order.filled += quantity
    pairs = [
        (round(Decimal(str(item["average_price"])) * 100), item["quantity"])
        for item in trades(db, order.order_id)
    ]
    shown = {"average_price": rupees(average(pairs)), "exchange_timestamp": stamp(now)}
    if order.pending == 0:
        advance(db, order, "COMPLETE", now, **shown)
    else:
        advance(db, order, "OPEN", now, **shown)
        postbacks.enqueue(db, order.user_id, order.api_key, order.doc, "UPDATE")


def trades(db: sqlite3.Connection, order_id: str) -> list[dict[str, Any]]:
    """The trades of one order, oldest first."""
    rows = db.execute("SELECT doc FROM kite_trades WHERE order_id = ? ORDER BY rowid", (order_id,))
    return [json.loads(row["doc"]) for row in rows]


def post(
    db: sqlite3.Connection, user_id: str, instrument: Instrument, product: str, quantity: int, price: int,
    day: str, kind: str,
) -> None:  # fmt: skip
    """A line of the ledger: signed quantity, paise, day; kind trade, conversion, opening or squareoff."""
    db.execute(
        "INSERT INTO kite_ledger (user_id, exchange, tradingsymbol, token, product, quantity, price, day,"
        " kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            user_id, instrument.exchange, instrument.tradingsymbol, instrument.token, product, quantity,
            price,
            day, kind,
        ),
    )  # fmt: skip
