"""The paper broker's own book, matched against the last prices that real sessions have read."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from domain.trading import Exchange
from models.messages.broker import Instrument, MarketQuote
from models.messages.trading import OrderTerms
from store.database import Connection
from store.trading_market import QUOTE_FRESH

SOURCE = "kite"
"""Whose market the paper broker trades on."""


async def now(connection: Connection) -> datetime:
    """The paper broker's clock: the market's, as last heard with a price, carried on by the book's server."""
    cursor = await connection.execute("SELECT trading.paper_now() AS now")
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("the server did not tell its time")
    return row["now"]


async def quote(connection: Connection, exchange: str, symbol: str) -> MarketQuote | None:
    """The last price, with the limits of its day where a customer's session has read them."""
    cursor = await connection.execute(
        """SELECT p.exchange, p.symbol, p.last_price, q.close, q.lower_limit, q.upper_limit
           FROM trading.last_prices p
           LEFT JOIN trading.quotes q ON q.broker = %s AND (q.exchange, q.symbol) = (p.exchange, p.symbol)
                AND (q.quoted_at AT TIME ZONE 'Asia/Kolkata')::date
                    = (p.quoted_at AT TIME ZONE 'Asia/Kolkata')::date
           WHERE p.exchange = %s AND p.symbol = %s""",
        (SOURCE, exchange, symbol),
    )
    row = await cursor.fetchone()
    return MarketQuote(**row) if row else None


async def waiting(connection: Connection, account_id: str) -> list[tuple[Exchange, str]]:
    """Exchange and symbol of what the account's open orders are for."""
    cursor = await connection.execute(
        """SELECT DISTINCT exchange, symbol FROM trading.paper_orders
           WHERE account_id = %s AND status = 'open'""",
        (account_id,),
    )
    return [(Exchange(row["exchange"]), row["symbol"]) for row in await cursor.fetchall()]


async def stale(connection: Connection, names: Sequence[tuple[str, str]]) -> list[tuple[Exchange, str]]:
    """Of instruments by exchange and symbol those whose price nobody has read lately."""
    cursor = await connection.execute(
        """SELECT exchange, symbol FROM unnest(%s::text[], %s::text[]) AS asked (exchange, symbol)
           WHERE NOT EXISTS (SELECT FROM trading.last_prices p
                             WHERE (p.exchange, p.symbol) = (asked.exchange, asked.symbol)
                               AND p.read_at > clock_timestamp() - %s)""",
        ([str(exchange) for exchange, _ in names], [symbol for _, symbol in names], QUOTE_FRESH),
    )
    return [(Exchange(row["exchange"]), row["symbol"]) for row in await cursor.fetchall()]


async def instruments(connection: Connection) -> list[Instrument]:
    cursor = await connection.execute(
        """SELECT exchange, symbol, token, segment, kind, underlying, tick, lot, expiry
           FROM trading.instruments WHERE broker = %s""",
        (SOURCE,),
    )
    return [Instrument(**row) for row in await cursor.fetchall()]


async def place(
    connection: Connection, account_id: str, broker_order_id: str, tag: str, terms: OrderTerms, day: date
) -> str:
    """Adds the order; the tag is unique, so that a repeat finds the first one. Answers its id."""
    cursor = await connection.execute(
        """INSERT INTO trading.paper_orders (broker_order_id, account_id, tag, trading_day, exchange, symbol,
               side, product, order_type, validity, quantity, price, trigger_price, status, updated_at)
           VALUES (%(id)s, %(account)s, %(tag)s, %(day)s, %(exchange)s, %(symbol)s, %(side)s, %(product)s,
               %(order_type)s, %(validity)s, %(quantity)s, %(price)s, %(trigger_price)s, 'open',
               trading.paper_now())
           ON CONFLICT (tag) DO UPDATE SET tag = excluded.tag RETURNING broker_order_id""",
        {**terms.model_dump(), "id": broker_order_id, "account": account_id, "tag": tag, "day": day},
    )
    row = await cursor.fetchone()
    return row["broker_order_id"] if row else broker_order_id


async def change(
    connection: Connection, broker_order_id: str, *, status: str | None = None, terms: dict[str, Any]
) -> bool:
    """Cancels or modifies an open order; False where it is not open any more."""
    cursor = await connection.execute(
        """UPDATE trading.paper_orders SET status = coalesce(%(status)s, status),
               quantity = coalesce(%(quantity)s, quantity), price = coalesce(%(price)s, price),
               trigger_price = coalesce(%(trigger_price)s, trigger_price),
               order_type = coalesce(%(order_type)s, order_type),
               validity = coalesce(%(validity)s, validity), rests = false,
               updated_at = trading.paper_now()
           WHERE broker_order_id = %(id)s AND status = 'open' RETURNING broker_order_id""",
        {
            **dict.fromkeys(("quantity", "price", "trigger_price", "order_type", "validity")),
            **terms,
            "status": status,
            "id": broker_order_id,
        },
    )
    return await cursor.fetchone() is not None


async def book(connection: Connection, account_id: str, today: date) -> list[dict[str, Any]]:
    cursor = await connection.execute(
        "SELECT * FROM trading.paper_orders WHERE account_id = %s AND trading_day >= %s", (account_id, today)
    )
    return await cursor.fetchall()


async def one(connection: Connection, broker_order_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(
        "SELECT * FROM trading.paper_orders WHERE broker_order_id = %s", (broker_order_id,)
    )
    return await cursor.fetchone()


async def fills(connection: Connection, account_id: str) -> list[dict[str, Any]]:
    """Every order of the account that was filled, in the order of its filling, with the last price seen."""
    cursor = await connection.execute(
        """SELECT o.*, q.last_price FROM trading.paper_orders o
           LEFT JOIN trading.last_prices q USING (exchange, symbol)
           WHERE o.account_id = %s AND o.filled_quantity > 0 ORDER BY o.updated_at, o.tag""",
        (account_id,),
    )
    return await cursor.fetchall()
