"""The exchange: takes every live order on, matches, lapses, and starts what follows an order.

A step is one transaction over committed rows; a process killed anywhere goes on from them. The states are
Kite's: PUT ORDER REQ RECEIVED, VALIDATION PENDING, OPEN PENDING, OPEN (or TRIGGER PENDING), the end.
"""

import asyncio
import sqlite3
from datetime import date, datetime, timedelta

from sandbox.kite import book, gtt, market, postbacks, replay
from sandbox.kite.book import Order
from sandbox.kite.followers import after_complete
from sandbox.kite.hours import SQUARE_OFF, is_open, is_over, ist
from sandbox.kite.instruments import Instrument, find
from sandbox.kite.matching import manual_price, match, triggered
from sandbox.kite.rules import exchange_refusal
from sandbox.kite.squareoff import TAG, close_intraday
from sandbox.world import World

HEARTBEAT_SECONDS = 0.5


async def run(world: World) -> None:
    """Steps whenever something changed, and twice a second for what only time changes."""
    wake = world.event("kite")
    known: dict[int, tuple[object, ...]] = {}
    clock, full_at = asyncio.get_running_loop().time, 0.0
    while True:
        wake.clear()
        timed = clock() >= full_at
        full_at = clock() + HEARTBEAT_SECONDS if timed else full_at
        async with world.exclusive():
            pause = replay.step(world)
            before, known = known, prices(world.db)
            moved = {token for token, state in known.items() if before.get(token) != state}
            step(world, None if timed else moved)
        world.event("kite.postbacks").set()
        world.event("kite.ticks").set()
        try:
            async with asyncio.timeout(min(pause, HEARTBEAT_SECONDS)):
                await wake.wait()
        except TimeoutError:
            continue  # time itself may have moved an order


def prices(db: sqlite3.Connection) -> dict[int, tuple[object, ...]]:
    """What decides about resting orders, by token: last price, halt, manual mode, depth."""
    rows = db.execute("SELECT token, last, halted, manual, depth FROM kite_market")
    return {row["token"]: tuple(row)[1:] for row in rows}


def step(world: World, moved: set[int] | None = None) -> None:
    """Takes all live orders as far as they go now; with `moved`, resting ones only of these tokens."""
    now = world.now()
    gtt.fire(world, now)
    close_intraday(world, now)
    done: set[str] = set()
    # What an order brings about (a next leg, a stop leg) is a new row, found by looking again.
    while fresh := [item for item in book.live(world.db, moved=moved) if item.order_id not in done]:
        for order in fresh:
            advance_one(world.db, order, order.clock(now))
            done.add(order.order_id)


def advance_one(db: sqlite3.Connection, order: Order, now: datetime) -> None:
    """Takes one order as far as it goes at `now`, and places what follows it."""
    day = date.fromisoformat(order.day)
    instrument = find(day, order.exchange, order.tradingsymbol)
    if instrument is None:
        reject(db, order, now, "The instrument has expired.", "EXCH:16387:Security is not allowed to trade")
        return
    if order.status == "AMO REQ RECEIVED":
        if is_open(order.exchange, now) and ist(now).date() >= day:
            book.advance(db, order, "PUT ORDER REQ RECEIVED", now)
        elif is_over(order.exchange, day, now):
            reject(db, order, now, "The market closed before the order was sent.", "AMO:expired")
    if order.status == "PUT ORDER REQ RECEIVED":
        accept(db, order, instrument, now)
    if order.status == "MODIFY VALIDATION PENDING":
        apply_changes(db, order, instrument, now)
    if order.status == "CANCEL PENDING":
        book.advance(db, order, "CANCELLED", now)
    if order.status in book.RESTING:
        trade_or_lapse(db, order, instrument, now)
    if order.status in book.TERMINAL:
        after_complete(db, order, instrument, now)


def reject(db: sqlite3.Connection, order: Order, now: datetime, message: str, raw: str) -> None:
    """The order ends REJECTED with its reason."""
    book.advance(db, order, "REJECTED", now, status_message=message, status_message_raw=raw)


def accept(db: sqlite3.Connection, order: Order, instrument: Instrument, now: datetime) -> None:
    """From the OMS to the exchange: risk checks, then an exchange order id and a place in the book."""
    book.advance(db, order, "VALIDATION PENDING", now)
    row = market.state(db, instrument, now)
    if order.order_type in ("LIMIT", "SL"):
        refusal = exchange_refusal(instrument, order.buy, order.price, row["last"], row["close"])
        if refusal:
            reject(db, order, now, *refusal)
            return
    book.advance(db, order, "OPEN PENDING", now)
    order.doc["exchange_order_id"] = f"1{book.digits(15)}"
    order.doc["exchange_timestamp"] = order.doc["order_timestamp"]
    book.advance(db, order, resting_status(order), now)


def resting_status(order: Order) -> str:
    """Where an accepted order waits."""
    return "TRIGGER PENDING" if order.order_type in ("SL", "SL-M") and not order.triggered else "OPEN"


def apply_changes(db: sqlite3.Connection, order: Order, instrument: Instrument, now: datetime) -> None:
    """A modification the OMS took: applied, or refused by the exchange with the order as it was."""
    book.advance(db, order, "MODIFY PENDING", now)
    changes, order.changes = order.changes, {}
    row = market.state(db, instrument, now)
    price = changes.get("price", order.price)
    limited = changes.get("order_type", order.order_type) in ("LIMIT", "SL")
    refusal = exchange_refusal(instrument, order.buy, price, row["last"], row["close"]) if limited else None
    if refusal is None and changes.get("quantity", order.quantity) > order.filled:
        for name, value in changes.items():
            setattr(order, name, value)
        order.doc["modified"] = True
        book.advance(db, order, "MODIFIED", now)
        book.advance(db, order, resting_status(order), now)
        postbacks.enqueue(db, order.user_id, order.api_key, order.doc, "UPDATE")
    else:
        message = refusal[0] if refusal else "Quantity is not above what is already filled."
        book.advance(db, order, resting_status(order), now, status_message=message)


def trade_or_lapse(db: sqlite3.Connection, order: Order, instrument: Instrument, now: datetime) -> None:
    """Triggers, matches, and cancels what may not wait any longer."""
    if is_over(order.exchange, date.fromisoformat(order.day), now):
        book.advance(db, order, "CANCELLED", now, status_message="Cancelled at the end of the trading day.")
        return
    row = market.state(db, instrument, now)
    if order.status == "TRIGGER PENDING" and not row["halted"]:
        if not triggered(order.buy, order.trigger_price, row["last"]):
            lapse(db, order, now)
            return
        order.triggered = 1
        book.advance(db, order, "OPEN", now)
    if not row["manual"] and not row["halted"] and order.variety != "auction" and order.status == "OPEN":
        fill(db, order, instrument, row, now)
    if order.status == "OPEN":
        lapse(db, order, now)


def lapse(db: sqlite3.Connection, order: Order, now: datetime) -> None:
    """IOC remainders at once, TTL ones after their minutes, MIS at the square-off time."""
    if order.validity == "IOC" and order.status == "OPEN":
        book.advance(db, order, "CANCELLED", now)
    elif order.validity == "TTL":
        minutes = timedelta(minutes=order.doc["validity_ttl"])
        if now >= datetime.fromisoformat(order.placed_at) + minutes:
            book.advance(db, order, "CANCELLED", now)
    elif order.doc["tag"] == TAG:
        return  # the broker's own closing order stands until the market closes
    elif order.product in ("MIS", "CO") and ist(now).time() >= SQUARE_OFF[order.exchange]:
        book.advance(db, order, "CANCELLED", now, status_message="Cancelled at the intraday square-off time.")


def fill(
    db: sqlite3.Connection, order: Order, instrument: Instrument, row: sqlite3.Row, now: datetime
) -> None:
    """Trades what the other side offers now."""
    for trade in match(order.interest(), row["last"], market.levels(row, order.buy)):
        if row["depth"]:
            market.consume(db, market.state(db, instrument, now), order.buy, trade.price, trade.quantity)
        market.traded(db, instrument.token, trade.price, trade.quantity, now)
        book.trade(db, order, instrument, trade.price, trade.quantity, now)


def fill_by_hand(
    db: sqlite3.Connection,
    order: Order,
    instrument: Instrument,
    quantity: int,
    price: int | None,
    now: datetime,
) -> int:
    """A fill that the control interface asks for; answers its price in paise."""
    if price is None:
        price = manual_price(order.interest(), market.last_price(db, instrument, now))
    if order.status == "TRIGGER PENDING":
        order.triggered = 1
        book.advance(db, order, "OPEN", now)
    book.trade(db, order, instrument, price, quantity, now)
    if order.status in book.TERMINAL:
        after_complete(db, order, instrument, now)
    return price
