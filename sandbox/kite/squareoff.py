"""The broker closes intraday positions at the square-off time, with a market order of its own.

A position whose day is over without one (the clock jumped past the market's close) is closed in the ledger.
"""

from datetime import date, datetime

from sandbox.kite import book, market
from sandbox.kite.hours import SQUARE_OFF, is_open, is_over, ist
from sandbox.kite.instruments import Instrument, find
from sandbox.kite.placing import Draft, place
from sandbox.world import World

TAG = "squareoff"
OPEN_INTRADAY = """
SELECT user_id, exchange, tradingsymbol, token, product, sum(quantity) AS quantity, max(day) AS day
FROM kite_ledger WHERE product IN ('MIS', 'CO') GROUP BY user_id, token, product HAVING sum(quantity) != 0
"""
ATTEMPTED = """
SELECT 1 FROM kite_orders WHERE user_id = ? AND token = ? AND day = ? AND json_extract(doc, '$.tag') = ?
"""


def close_intraday(world: World, now: datetime) -> None:
    """Places the square-off orders that are due, once a position and day."""
    for row in world.db.execute(OPEN_INTRADAY).fetchall():
        day = date.fromisoformat(row["day"])
        instrument = find(day, row["exchange"], row["tradingsymbol"])
        if instrument is None:
            continue
        if is_over(row["exchange"], day, now):
            price = market.last_price(world.db, instrument, now)
            book.post(
                world.db, row["user_id"], instrument, row["product"], -row["quantity"], price, row["day"], TAG
            )
        elif _due(instrument, day, now) and not _attempted(world, row["user_id"], instrument, row["day"]):
            draft = _order(world, row["user_id"], instrument, row["product"], row["quantity"])
            place(world.db, draft, now, day)


def _due(instrument: Instrument, day: date, now: datetime) -> bool:
    late = ist(now).date() == day and ist(now).time() >= SQUARE_OFF[instrument.exchange]
    return late and is_open(instrument.exchange, now)


def _attempted(world: World, user_id: str, instrument: Instrument, day: str) -> bool:
    return world.db.execute(ATTEMPTED, (user_id, instrument.token, day, TAG)).fetchone() is not None


def _order(world: World, user_id: str, instrument: Instrument, product: str, quantity: int) -> Draft:
    return Draft(
        user_id, world.credentials["kite"]["api_key"], 0.0, instrument, "regular",
        "SELL" if quantity > 0 else "BUY",
        product, "MARKET", "DAY", 0, abs(quantity), 0, 0, "-1", 0, [TAG],
    )  # fmt: skip
