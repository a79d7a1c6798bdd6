"""Trades, append-only, and the positions folded from them."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from domain.positions import Position, Projection, Trade, project
from domain.trading import Side
from models.messages.broker import BrokerTrade
from store.changes import touch
from store.database import Connection

Key = tuple[str, str, str]
"""Exchange, symbol, product."""


async def add(
    connection: Connection,
    account_id: str,
    order_id: str | None,
    day: date,
    trades: Iterable[BrokerTrade],
    kind: str = "fill",
) -> list[BrokerTrade]:
    """Stores the trades that are not stored yet, folds them into their positions, gives back the new ones."""
    new = [trade for trade in trades if await _insert(connection, account_id, order_id, day, trade, kind)]
    for key in sorted({(trade.exchange, trade.symbol, trade.product) for trade in new}):
        of_key = [trade for trade in new if (trade.exchange, trade.symbol, trade.product) == key]
        await _carry_on(connection, account_id, key, [_trade(trade.model_dump()) for trade in of_key])
    if new:
        await touch(connection, account_id)
    return new


async def _insert(
    connection: Connection, account_id: str, order_id: str | None, day: date, trade: BrokerTrade, kind: str
) -> bool:
    cursor = await connection.execute(
        """INSERT INTO trading.trades (account_id, trading_day, trade_id, order_id, broker_order_id, exchange,
               symbol, product, side, quantity, price, traded_at, kind)
           VALUES (%(account)s, %(day)s, %(trade_id)s, %(order)s, %(broker_order_id)s, %(exchange)s,
               %(symbol)s, %(product)s, %(side)s, %(quantity)s, %(price)s, %(traded_at)s, %(kind)s)
           ON CONFLICT (account_id, trading_day, exchange, trade_id) DO NOTHING RETURNING number""",
        {"account": account_id, "order": order_id, "day": day, "kind": kind, **trade.model_dump()},
    )
    return await cursor.fetchone() is not None


async def _carry_on(connection: Connection, account_id: str, key: Key, new: list[Trade]) -> None:
    """Writers of one position take turns. A late report, which belongs before what is folded already,
    has all of the position's trades folded again."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ("/".join((account_id, *key)),)
    )
    kept = await _kept(connection, account_id, key)
    if kept is None or min(trade.order for trade in new) <= kept.last:
        carried = project(await trades_of(connection, account_id, key))
    else:
        carried = project(new, kept)
    if carried is not None:
        await _keep(connection, account_id, key, carried)


async def _kept(connection: Connection, account_id: str, key: Key) -> Projection | None:
    cursor = await connection.execute(
        """SELECT quantity, cost, realised, last_traded_at, last_trade_id, day, realised_before
           FROM trading.positions
           WHERE account_id = %s AND exchange = %s AND symbol = %s AND product = %s""",
        (account_id, *key),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    position = Position(row["quantity"], row["cost"], row["realised"])
    last = (row["last_traded_at"], row["last_trade_id"])
    return Projection(position, last, row["day"], row["realised_before"])


async def _keep(connection: Connection, account_id: str, key: Key, kept: Projection) -> None:
    position = kept.position
    await connection.execute(
        """INSERT INTO trading.positions (account_id, exchange, symbol, product, quantity, cost, realised,
               last_traded_at, last_trade_id, day, realised_before)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (account_id, exchange, symbol, product) DO UPDATE SET quantity = excluded.quantity,
               cost = excluded.cost, realised = excluded.realised, last_traded_at = excluded.last_traded_at,
               last_trade_id = excluded.last_trade_id, day = excluded.day,
               realised_before = excluded.realised_before, version = trading.positions.version + 1""",
        (
            *(account_id, *key, position.quantity, position.cost, position.realised, *kept.last),
            *(kept.day, kept.realised_before),
        ),
    )


async def trades_of(
    connection: Connection, account_id: str, key: Key, *, before: date | None = None
) -> list[Trade]:
    """The position's trades; with `before` those of earlier trading days."""
    cursor = await connection.execute(
        """SELECT trade_id, side, quantity, price, traded_at FROM trading.trades
           WHERE account_id = %s AND exchange = %s AND symbol = %s AND product = %s
             AND (%s::date IS NULL OR trading_day < %s)""",
        (account_id, *key, before, before),
    )
    return [_trade(row) for row in await cursor.fetchall()]


async def rebuild(connection: Connection, account_id: str) -> None:
    """Throws the account's positions away and folds them again from its trades."""
    await connection.execute("DELETE FROM trading.positions WHERE account_id = %s", (account_id,))
    cursor = await connection.execute(
        "SELECT DISTINCT exchange, symbol, product FROM trading.trades WHERE account_id = %s", (account_id,)
    )
    for row in await cursor.fetchall():
        key = (row["exchange"], row["symbol"], row["product"])
        kept = project(await trades_of(connection, account_id, key))
        if kept is not None:
            await _keep(connection, account_id, key, kept)


async def rebuilt_differs(connection: Connection, account_id: str) -> list[str]:
    """Rebuilds the account's positions from zero and names those that are not what they were, as
    ``exchange/symbol/product``. The caller keeps what was rebuilt, or rolls it back."""
    before = await _all_of(connection, account_id)
    await rebuild(connection, account_id)
    after = await _all_of(connection, account_id)
    return sorted("/".join(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key))


async def _all_of(connection: Connection, account_id: str) -> dict[Key, dict[str, Any]]:
    cursor = await connection.execute(
        """SELECT exchange, symbol, product, quantity, cost, realised, last_traded_at, last_trade_id, day,
                  realised_before
           FROM trading.positions WHERE account_id = %s""",
        (account_id,),
    )
    return {(row["exchange"], row["symbol"], row["product"]): row for row in await cursor.fetchall()}


async def accounts_with_trades(connection: Connection) -> list[str]:
    """Of every account that has a trade or a position."""
    cursor = await connection.execute(
        """SELECT account_id FROM trading.trades UNION SELECT account_id FROM trading.positions
           ORDER BY account_id"""
    )
    return [row["account_id"] for row in await cursor.fetchall()]


async def list_of(connection: Connection, user_id: str, *, flat_too: bool) -> list[dict[str, Any]]:
    """The user's positions as the API shows them; the last price is the last quote (paper trades on Kite's
    market), else the last trade. `charges` in paise; None until the broker has calculated all of them."""
    cursor = await connection.execute(
        """SELECT p.account_id, p.exchange, p.symbol, p.product, p.quantity, p.cost, p.realised,
                  coalesce(q.last_price, t.price) AS last_price, c.charges
           FROM trading.positions p
           JOIN trading.accounts a USING (account_id)
           JOIN LATERAL (SELECT price FROM trading.trades t WHERE t.account_id = p.account_id
                           AND t.exchange = p.exchange AND t.symbol = p.symbol
                         ORDER BY traded_at DESC, trade_id DESC LIMIT 1) t ON true
           JOIN LATERAL (SELECT CASE WHEN bool_and(c.total IS NOT NULL) THEN sum(c.total)::bigint END
                                AS charges
                         FROM (SELECT DISTINCT trading_day, broker_order_id FROM trading.trades f
                               WHERE f.account_id = p.account_id AND f.exchange = p.exchange
                                 AND f.symbol = p.symbol AND f.product = p.product
                                 AND f.kind IN ('fill', 'elsewhere')) o
                         LEFT JOIN trading.charges c ON c.account_id = p.account_id
                              AND c.day = o.trading_day AND c.broker_order_id = o.broker_order_id) c ON true
           LEFT JOIN LATERAL (SELECT q.last_price FROM trading.quotes q
                              WHERE q.broker IN (a.broker, 'kite') AND q.exchange = p.exchange
                                AND q.symbol = p.symbol AND q.quoted_at >= p.last_traded_at
                              ORDER BY q.quoted_at DESC LIMIT 1) q ON true
           WHERE a.user_id = %s AND (%s OR p.quantity <> 0)
           ORDER BY p.account_id, p.exchange, p.symbol, p.product""",
        (user_id, flat_too),
    )
    return [_shown(row) for row in await cursor.fetchall()]


def _trade(row: dict[str, Any]) -> Trade:
    side = Side(row["side"])
    return Trade(row["trade_id"], side, row["quantity"], row["price"], row["traded_at"])


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    position = Position(row["quantity"], row["cost"], row["realised"])
    last: Decimal = row["last_price"]
    return {
        **{name: row[name] for name in ("account_id", "exchange", "symbol", "product", "quantity")},
        "average_price": str(position.average_price),
        "last_price": str(last),
        "realised": position.realised,
        "unrealised": position.unrealised(last) if position.quantity else 0,
        "charges": row["charges"],
    }
