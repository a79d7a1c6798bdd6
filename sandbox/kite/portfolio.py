"""Positions and holdings, all derived from the ledger; conversion of a position; auctions.

Source: kite.trade/docs/connect/v3/portfolio. Delivery bought on an earlier day is a holding, of the last
trading day still unsettled (T1).
"""

import sqlite3
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from starlette.responses import Response

from sandbox.kite import book, market, rules
from sandbox.kite.caller import Caller, required
from sandbox.kite.errors import input_error, ok, rupees
from sandbox.kite.hours import ist, previous_trading_day
from sandbox.kite.instruments import Instrument, find
from sandbox.kite.matching import average

DELIVERY = ("CNC", "MTF")


@dataclass
class Line:
    """Trades of one instrument and product, in shares and paise: carried over, and today's."""

    instrument: Instrument
    product: str
    carried: int = 0
    carried_value: int = 0
    day_buy: int = 0
    day_buy_value: int = 0
    day_sell: int = 0
    day_sell_value: int = 0

    @property
    def quantity(self) -> int:
        """Net quantity."""
        return self.carried + self.day_buy - self.day_sell

    def add(self, quantity: int, price: int, today: bool) -> None:
        """Adds a line of the ledger."""
        if not today:
            self.carried += quantity
            self.carried_value += quantity * price
        elif quantity > 0:
            self.day_buy += quantity
            self.day_buy_value += quantity * price
        else:
            self.day_sell -= quantity
            self.day_sell_value -= quantity * price


def lines(db: sqlite3.Connection, user_id: str, today: date) -> list[Line]:
    """Open and today's positions; expired contracts are gone, delivery of earlier days is a holding."""
    found: dict[tuple[int, str], Line] = {}
    for row in db.execute("SELECT * FROM kite_ledger WHERE user_id = ? ORDER BY n", (user_id,)):
        instrument = find(today, row["exchange"], row["tradingsymbol"])
        is_today = row["day"] == today.isoformat()
        if instrument is None or (row["product"] in DELIVERY and not is_today):
            continue
        line = found.setdefault((row["token"], row["product"]), Line(instrument, row["product"]))
        line.add(row["quantity"], row["price"], is_today)
    return [line for line in found.values() if line.quantity or line.day_buy or line.day_sell]


def _position(db: sqlite3.Connection, line: Line, now: datetime, carried: bool) -> dict[str, Any]:
    row = market.state(db, line.instrument, now)
    overnight = line.carried if carried else 0
    buy = line.day_buy + max(overnight, 0)
    buy_value = line.day_buy_value + (max(line.carried_value, 0) if carried else 0)
    sell = line.day_sell + max(-overnight, 0)
    sell_value = line.day_sell_value + (max(-line.carried_value, 0) if carried else 0)
    quantity = buy - sell
    value = sell_value - buy_value
    pnl = value + quantity * row["last"]
    held = (buy_value, buy) if quantity > 0 else (sell_value, sell)
    m2m = pnl - (overnight * row["close"] - line.carried_value if carried else 0)
    return {
        "tradingsymbol": line.instrument.tradingsymbol, "exchange": line.instrument.exchange,
        "instrument_token": line.instrument.token, "product": line.product, "quantity": quantity,
        "overnight_quantity": overnight, "multiplier": 1, "average_price": _each(*held) if quantity else 0,
        "close_price": rupees(row["close"]) if overnight else 0, "last_price": rupees(row["last"]),
        "value": rupees(value), "pnl": rupees(pnl), "m2m": rupees(m2m), "unrealised": rupees(pnl),
        "realised": 0,
        "buy_quantity": buy, "buy_price": _each(buy_value, buy), "buy_value": rupees(buy_value),
        "buy_m2m": rupees(buy_value), "sell_quantity": sell, "sell_price": _each(sell_value, sell),
        "sell_value": rupees(sell_value), "sell_m2m": rupees(sell_value), "day_buy_quantity": line.day_buy,
        "day_buy_price": _each(line.day_buy_value, line.day_buy), "day_buy_value": rupees(line.day_buy_value),
        "day_sell_quantity": line.day_sell, "day_sell_price": _each(line.day_sell_value, line.day_sell),
        "day_sell_value": rupees(line.day_sell_value),
    }  # fmt: skip


def _each(value: int, quantity: int) -> float | int:
    return rupees(average([(value, 1)]) / quantity) if quantity else 0


def positions(caller: Caller) -> Response:
    """`GET /portfolio/positions`: `net` with what was carried over, `day` with today's trades alone."""
    db, now = caller.world.db, caller.now
    found = lines(db, caller.user_id, caller.today)
    return ok({
        "net": [_position(db, line, now, carried=True) for line in found],
        "day": [_position(db, line, now, carried=False) for line in found if line.day_buy or line.day_sell],
    })  # fmt: skip


@dataclass
class Holding:
    """Delivered shares of one instrument; `unsettled` of them were bought on the last trading day."""

    instrument: Instrument
    product: str
    quantity: int = 0
    unsettled: int = 0
    bought: int = 0
    bought_value: int = 0
    sold_today: int = 0


def held(db: sqlite3.Connection, user_id: str, today: date) -> list[Holding]:
    """The user's holdings at the start of the day."""
    found: dict[tuple[str, str], Holding] = {}
    unsettled_day = previous_trading_day(today).isoformat()
    rows = db.execute(
        "SELECT * FROM kite_ledger WHERE user_id = ? AND product IN ('CNC', 'MTF') ORDER BY n", (user_id,)
    )
    for row in rows:
        instrument = find(today, row["exchange"], row["tradingsymbol"])
        if instrument is None:
            continue
        key = (row["tradingsymbol"], row["product"])
        holding = found.setdefault(key, Holding(instrument, row["product"]))
        quantity = row["quantity"]
        if row["day"] == today.isoformat():
            holding.sold_today += max(-quantity, 0)
            continue
        holding.quantity += quantity
        holding.unsettled += quantity if row["day"] == unsettled_day and quantity > 0 else 0
        if quantity > 0:
            holding.bought += quantity
            holding.bought_value += quantity * row["price"]
    return [holding for holding in found.values() if holding.quantity > 0]


def _holding(db: sqlite3.Connection, holding: Holding, now: datetime) -> dict[str, Any]:
    row = market.state(db, holding.instrument, now)
    unsettled = min(holding.unsettled, holding.quantity)
    used = min(holding.sold_today, holding.quantity)
    cost = holding.bought_value // holding.bought if holding.bought else 0
    change = row["last"] - row["close"]
    return {
        "tradingsymbol": holding.instrument.tradingsymbol, "exchange": holding.instrument.exchange,
        "instrument_token": holding.instrument.token, "isin": holding.instrument.isin,
        "product": holding.product, "price": 0, "quantity": holding.quantity - unsettled - used,
        "used_quantity": used, "t1_quantity": unsettled, "realised_quantity": holding.quantity - unsettled,
        "authorised_quantity": 0, "authorised_date": f"{ist(now):%Y-%m-%d} 00:00:00",
        "opening_quantity": holding.quantity, "collateral_quantity": 0, "collateral_type": "",
        "discrepancy": False, "average_price": _each(holding.bought_value, holding.bought),
        "last_price": rupees(row["last"]), "close_price": rupees(row["close"]),
        "pnl": rupees((row["last"] - cost) * (holding.quantity - used)), "day_change": rupees(change),
        "day_change_percentage": change * 100 / row["close"] if row["close"] else 0,
    }  # fmt: skip


def holdings(caller: Caller) -> Response:
    """`GET /portfolio/holdings`."""
    db = caller.world.db
    return ok([_holding(db, item, caller.now) for item in held(db, caller.user_id, caller.today)])


def auctions(caller: Caller) -> Response:
    """`GET /portfolio/holdings/auctions`: holdings that may be sold in today's auction."""
    db = caller.world.db
    rows = db.execute("SELECT * FROM kite_auctions WHERE user_id = ?", (caller.user_id,)).fetchall()
    shares = {item.instrument.tradingsymbol: item for item in held(db, caller.user_id, caller.today)}
    return ok([
        {**_holding(db, shares[row["tradingsymbol"]], caller.now), "auction_number": row["auction_number"]}
        for row in rows
        if row["tradingsymbol"] in shares
    ])  # fmt: skip


def convert(caller: Caller) -> Response:
    """`PUT /portfolio/positions`: the position's product, at its own average price."""
    fields = caller.form()
    instrument = find(caller.today, required(fields, "exchange"), required(fields, "tradingsymbol"))
    if instrument is None:
        raise input_error("Invalid `tradingsymbol`.")
    side = rules.choice(fields, "transaction_type", rules.SIDES)
    rules.choice(fields, "position_type", ("day", "overnight"))
    allowed = rules.PRODUCTS["equity" if instrument.is_equity else "derivative"]
    old = rules.choice(fields, "old_product", allowed)
    new = rules.choice(fields, "new_product", allowed)
    quantity = rules.whole(required(fields, "quantity"), "quantity")
    db = caller.world.db
    open_lines = lines(db, caller.user_id, caller.today)
    line = next((item for item in open_lines if item.instrument == instrument and item.product == old), None)
    available = 0 if line is None else line.quantity if side == "BUY" else -line.quantity
    if line is None or old == new or not 0 < quantity <= available:
        raise input_error("Invalid conversion: there is no such open position.")
    if side == "SELL" and new in DELIVERY:
        raise input_error("Invalid conversion: short positions cannot be converted to delivery.")
    bought = line.day_buy_value + max(line.carried_value, 0), line.day_buy + max(line.carried, 0)
    sold = line.day_sell_value + max(-line.carried_value, 0), line.day_sell + max(-line.carried, 0)
    value, count = bought if side == "BUY" else sold
    signed = quantity if side == "BUY" else -quantity
    day = caller.today.isoformat()
    book.post(db, caller.user_id, instrument, old, -signed, value // count, day, "conversion")
    book.post(db, caller.user_id, instrument, new, signed, value // count, day, "conversion")
    caller.request.state.effect = {"converted": instrument.tradingsymbol, "quantity": quantity}
    return ok(True)
