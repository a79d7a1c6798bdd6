"""The exchange's state of each instrument: last price, day's range, halt, manual mode, depth. Paise."""

import json
import sqlite3
from datetime import datetime
from typing import Any

from sandbox.kite.instruments import Instrument, opening_bar
from sandbox.kite.matching import Level

SPREAD_TICKS = 1
LEVELS = 5


def state(db: sqlite3.Connection, instrument: Instrument, now: datetime) -> sqlite3.Row:
    """The instrument's row, made from its opening bar on first sight."""
    row = db.execute("SELECT * FROM kite_market WHERE token = ?", (instrument.token,)).fetchone()
    if row is None:
        bar = opening_bar(instrument)
        db.execute(
            "INSERT INTO kite_market (token, last, open, high, low, close, volume, last_quantity, traded_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (
                instrument.token,
                bar.close,
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                bar.volume,
                now.isoformat(),
            ),
        )
        row = db.execute("SELECT * FROM kite_market WHERE token = ?", (instrument.token,)).fetchone()
    return row


def last_price(db: sqlite3.Connection, instrument: Instrument, now: datetime) -> int:
    """Last traded price in paise."""
    return int(state(db, instrument, now)["last"])


def move(db: sqlite3.Connection, instrument: Instrument, price: int, now: datetime) -> None:
    """The market trades at `price`."""
    state(db, instrument, now)
    db.execute(
        "UPDATE kite_market SET last = ?, high = max(high, ?), low = min(low, ?), traded_at = ?"
        " WHERE token = ?",
        (price, price, price, now.isoformat(), instrument.token),
    )


def traded(db: sqlite3.Connection, token: int, price: int, quantity: int, now: datetime) -> None:
    """Adds a trade of our own book to the tape."""
    db.execute(
        "UPDATE kite_market SET last = ?, high = max(high, ?), low = min(low, ?), volume = volume + ?,"
        " last_quantity = ?, traded_at = ? WHERE token = ?",
        (price, price, price, quantity, quantity, now.isoformat(), token),
    )


def set_flags(db: sqlite3.Connection, token: int, halted: bool | None, manual: bool | None) -> None:
    """Halts or resumes, and switches matching by hand on or off; None leaves as it is."""
    if halted is not None:
        db.execute("UPDATE kite_market SET halted = ? WHERE token = ?", (int(halted), token))
    if manual is not None:
        db.execute("UPDATE kite_market SET manual = ? WHERE token = ?", (int(manual), token))


def set_depth(db: sqlite3.Connection, token: int, depth: dict[str, Any] | None) -> None:
    """Gives a finite book `{"buy": [{price, quantity, orders}], "sell": [...]}` in paise, or none."""
    db.execute(
        "UPDATE kite_market SET depth = ? WHERE token = ?", (json.dumps(depth) if depth else "", token)
    )


def levels(row: sqlite3.Row, buy: bool) -> list[Level] | None:
    """The other side's levels for an order, or None where the book is as deep as the order."""
    if not row["depth"]:
        return None
    book = json.loads(row["depth"])
    return [Level(level["price"], level["quantity"]) for level in book["sell" if buy else "buy"]]


def consume(db: sqlite3.Connection, row: sqlite3.Row, buy: bool, price: int, quantity: int) -> None:
    """Takes traded shares out of a finite book."""
    book = json.loads(row["depth"])
    side = "sell" if buy else "buy"
    for level in book[side]:
        if level["price"] == price:
            level["quantity"] -= quantity
    book[side] = [level for level in book[side] if level["quantity"] > 0]
    set_depth(db, row["token"], book)


def depth(row: sqlite3.Row, instrument: Instrument) -> dict[str, list[dict[str, int]]]:
    """Five levels a side, prices in paise: the given book, or a synthetic one around the last price."""
    if row["depth"]:
        given = json.loads(row["depth"])
        blank = {"price": 0, "quantity": 0, "orders": 0}
        return {side: (given[side] + [blank] * LEVELS)[:LEVELS] for side in ("buy", "sell")}
    step = instrument.tick
    return {
        "buy": [
            {"price": row["last"] - step * n, "quantity": 100 * n, "orders": n}
            for n in range(SPREAD_TICKS, SPREAD_TICKS + LEVELS)
        ],
        "sell": [
            {"price": row["last"] + step * n, "quantity": 100 * n, "orders": n}
            for n in range(SPREAD_TICKS, SPREAD_TICKS + LEVELS)
        ],
    }
