"""What a customer reads of a day and of holdings: from our events, with the broker's prices and charges."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from domain.positions import Position, Trade
from domain.statements import DatedTrade, Line, line_of
from domain.trading import Side
from store import broker_breaks, broker_days
from store.database import Connection

COSTS = ("brokerage", "transaction_tax", "exchange_fee", "regulator_fee", "stamp_duty", "gst", "total")
Key = tuple[str, str, str]


async def holdings(connection: Connection, user_id: str) -> list[dict[str, Any]]:
    """Delivered shares of all of the user's accounts, as each broker showed them last."""
    cursor = await connection.execute(
        """SELECT h.* FROM trading.holdings h JOIN trading.accounts a USING (account_id)
           WHERE a.user_id = %s ORDER BY h.account_id, h.symbol, h.exchange, h.product""",
        (user_id,),
    )
    return await cursor.fetchall()


async def statement(connection: Connection, account_id: str, day: date) -> dict[str, Any]:
    """The account's day: `positions`, `trades`, `charges`, `totals`, `breaks`, and how the comparison with
    the broker stands (`status` None: it was never compared). Decimal prices, paise; `unrealised` None where
    nobody gave a price of that day for what is held, and so in all."""
    trades = await _trades(connection, account_id, day)
    charges = await _charges(connection, account_id, day)
    prices = await _prices(connection, account_id, day)
    compared = await broker_days.find(connection, account_id, day)
    of_day = [row for row in trades if row["trading_day"] == day]
    lines = [
        _line(key, line_of(dated, day), [row for row in of_day if _key(row) == key], charges, prices.get(key))
        for key, dated in sorted(_dated(trades).items())
    ]
    shown = [line for line in lines if line["traded"] or line["closing_quantity"]]
    costs = _costs(of_day, charges)
    realised = sum(line["realised"] for line in shown)
    return {
        "account_id": account_id,
        "day": day,
        "status": compared["status"] if compared else None,
        "read_at": compared["read_at"] if compared else None,
        "version": compared["version"] if compared else 0,
        "positions": shown,
        "trades": of_day,
        "charges": list(charges.values()),
        "totals": {
            "realised": realised,
            "unrealised": _whole(line["unrealised"] for line in shown),
            "charges": costs,
            "net": realised - costs["total"] if costs else None,
        },
        "breaks": await broker_breaks.of_day(connection, account_id, day),
    }


async def _trades(connection: Connection, account_id: str, day: date) -> list[dict[str, Any]]:
    cursor = await connection.execute(
        """SELECT trading_day, trade_id, order_id, broker_order_id, exchange, symbol, product, side, quantity,
                  price, traded_at, kind
           FROM trading.trades WHERE account_id = %s AND trading_day <= %s ORDER BY traded_at, trade_id""",
        (account_id, day),
    )
    return await cursor.fetchall()


async def _charges(connection: Connection, account_id: str, day: date) -> dict[str, dict[str, Any]]:
    cursor = await connection.execute(
        """SELECT broker_order_id, exchange, symbol, product, quantity, brokerage, transaction_tax,
                  exchange_fee, regulator_fee, stamp_duty, gst, total
           FROM trading.charges WHERE account_id = %s AND day = %s ORDER BY broker_order_id""",
        (account_id, day),
    )
    return {row["broker_order_id"]: row for row in await cursor.fetchall()}


async def _prices(connection: Connection, account_id: str, day: date) -> dict[Key, Decimal]:
    cursor = await connection.execute(
        """SELECT exchange, symbol, product, last_price FROM trading.day_positions
           WHERE account_id = %s AND day = %s""",
        (account_id, day),
    )
    return {_key(row): row["last_price"] for row in await cursor.fetchall()}


def _key(row: dict[str, Any]) -> Key:
    return row["exchange"], row["symbol"], row["product"]


def _dated(rows: list[dict[str, Any]]) -> dict[Key, list[DatedTrade]]:
    found: defaultdict[Key, list[DatedTrade]] = defaultdict(list)
    for row in rows:
        side = Side(row["side"])
        trade = Trade(row["trade_id"], side, row["quantity"], row["price"], row["traded_at"])
        found[_key(row)].append(DatedTrade(row["trading_day"], trade))
    return found


def _line(
    key: Key,
    line: Line,
    of_day: list[dict[str, Any]],
    charges: dict[str, dict[str, Any]],
    last: Decimal | None,
) -> dict[str, Any]:
    exchange, symbol, product = key
    known = last if last is not None else of_day[-1]["price"] if of_day else None
    held = line.closing
    costs = _costs(of_day, charges)
    return {
        "exchange": exchange,
        "symbol": symbol,
        "product": product,
        "traded": len(of_day),
        "opening_quantity": line.opening_quantity,
        "bought": line.bought,
        "sold": line.sold,
        "closing_quantity": held.quantity,
        "average_price": held.average_price,
        "last_price": known,
        "realised": line.realised,
        "unrealised": _unrealised(held, known),
        "charges": costs["total"] if costs else None,
    }


def _unrealised(held: Position, known: Decimal | None) -> int | None:
    if not held.quantity:
        return 0
    return held.unrealised(known) if known is not None else None


def _whole(figures: Iterable[int | None]) -> int | None:
    """The sum; None where a part of it is not known."""
    known = list(figures)
    return None if None in known else sum(each for each in known if each is not None)


def _costs(of_day: list[dict[str, Any]], charges: dict[str, dict[str, Any]]) -> dict[str, int] | None:
    """What these trades' orders cost, by component; None while the broker's figures are not complete."""
    traded: defaultdict[str, int] = defaultdict(int)
    for row in of_day:
        if row["kind"] in ("fill", "elsewhere"):
            traded[row["broker_order_id"]] += row["quantity"]
    if any(order not in charges or charges[order]["quantity"] != number for order, number in traded.items()):
        return None
    return {name: sum(charges[order][name] for order in traded) for name in COSTS}
