"""A price that anybody's session has read, at the paper broker: it sets off triggers and meets orders."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.paper_market import Phase
from store import paper_matching
from store.database import Connection

MAX_ACTIVE = 250
LIFE = timedelta(days=365)
"""As Kite has them (kite.trade/docs/connect/v3/gtt)."""
UNCHANGED = timedelta(seconds=5)
"""A price that stays as it is need not be written at each reading."""
OVERTAKEN = timedelta(minutes=1)
"""A reading this much older than the one on record came late; one older still is of a clock set back."""

FIRE = """
WITH touched AS MATERIALIZED (
    SELECT t.trigger_id, p.last_price
    FROM trading.paper_triggers t
    JOIN trading.last_prices p USING (exchange, symbol)
    JOIN unnest(%(open)s::text[], %(since)s::timestamptz[]) AS floor (exchange, since)
         ON floor.exchange = t.exchange AND p.quoted_at >= floor.since
    JOIN trading.accounts a USING (account_id)
    WHERE t.status = 'active' AND a.status <> 'closed'
      AND (p.last_price <= t.lower_level OR p.last_price >= t.upper_level)
      AND (t.account_id = %(account)s
           OR (t.exchange, t.symbol) IN (SELECT * FROM unnest(%(exchanges)s::text[], %(symbols)s::text[])))
    ORDER BY t.trigger_id FOR UPDATE OF t SKIP LOCKED
), fired AS (
    INSERT INTO trading.paper_orders (broker_order_id, account_id, tag, trading_day, exchange, symbol, side,
        product, order_type, validity, quantity, price, status, updated_at)
    SELECT 'PAPERGTT' || t.trigger_id, t.account_id, 'GTT' || t.trigger_id,
           (trading.paper_now() AT TIME ZONE 'Asia/Kolkata')::date, t.exchange, t.symbol, t.side, t.product,
           'LIMIT', 'DAY', t.quantity,
           CASE WHEN touched.last_price <= t.lower_level THEN t.lower_price ELSE t.upper_price END,
           'open', trading.paper_now()
    FROM touched JOIN trading.paper_triggers t USING (trigger_id)
    WHERE t.product <> 'CNC' OR t.side = 'BUY' OR t.quantity <= (
        SELECT coalesce(sum(CASE WHEN o.side = 'BUY' THEN o.filled_quantity
                                 WHEN o.status = 'open' THEN -o.quantity ELSE -o.filled_quantity END), 0)
        FROM trading.paper_orders o
        WHERE (o.account_id, o.exchange, o.symbol, o.product)
              = (t.account_id, t.exchange, t.symbol, t.product))
    RETURNING broker_order_id
)
UPDATE trading.paper_triggers t SET status = 'triggered', fired_price = touched.last_price,
       broker_order_id = (SELECT f.broker_order_id FROM fired f
                          WHERE f.broker_order_id = 'PAPERGTT' || t.trigger_id),
       updated_at = trading.paper_now()
FROM touched WHERE t.trigger_id = touched.trigger_id
"""
"""Trigger and order in one statement, the trigger's row locked: whoever comes second finds it triggered. As
a broker does, it refuses to sell shares for delivery that are not held; that trigger has fired no order."""


async def note(
    connection: Connection,
    prices: Mapping[tuple[Any, str], Decimal],
    quoted_at: datetime,
    phase: Phase,
) -> list[dict[str, Any]]:
    """Takes up what a session has read of the market, by exchange and symbol in rupees, fires the triggers
    that it touches and fills the orders that it meets: those, as `paper_matching.step` tells them."""
    names = sorted(prices)
    exchanges, symbols = [str(exchange) for exchange, _ in names], [symbol for _, symbol in names]
    given = {
        "exchanges": exchanges,
        "symbols": symbols,
        "prices": [prices[name] for name in names],
        "at": quoted_at,
        "unchanged": UNCHANGED,
        "overtaken": OVERTAKEN,
    }
    await connection.execute(
        """INSERT INTO trading.last_prices AS l (exchange, symbol, last_price, quoted_at, read_at)
           SELECT exchange, symbol, price, %(at)s, clock_timestamp()
           FROM unnest(%(exchanges)s::text[], %(symbols)s::text[], %(prices)s::numeric[])
                AS given (exchange, symbol, price)
           ON CONFLICT (exchange, symbol) DO UPDATE SET last_price = excluded.last_price,
               quoted_at = excluded.quoted_at, read_at = excluded.read_at
           WHERE (l.last_price <> excluded.last_price OR l.read_at < excluded.read_at - %(unchanged)s
                  OR l.quoted_at < excluded.quoted_at - %(unchanged)s)
             AND excluded.quoted_at NOT BETWEEN l.quoted_at - %(overtaken)s
                                        AND l.quoted_at - interval '1 microsecond'""",
        given,
    )
    touched = paper_matching.scope(phase, exchanges=exchanges, symbols=symbols)
    await connection.execute(FIRE, touched)
    return await paper_matching.step(connection, touched)


async def fire(connection: Connection, account_id: str, phase: Phase) -> None:
    """Ends the account's triggers that are a year old, and fires what the last prices have touched."""
    await connection.execute(
        """UPDATE trading.paper_triggers SET status = 'expired', updated_at = trading.paper_now()
           WHERE account_id = %s AND status = 'active' AND expires_at <= trading.paper_now()""",
        (account_id,),
    )
    await connection.execute(FIRE, paper_matching.scope(phase, account_id))


async def place(connection: Connection, account_id: str, trigger: dict[str, Any]) -> str | None:
    """The new trigger's id; None where the account has as many as it may."""
    cursor = await connection.execute(
        """INSERT INTO trading.paper_triggers (account_id, exchange, symbol, product, side, quantity,
               lower_level, lower_price, upper_level, upper_price, placed_at, updated_at, expires_at)
           SELECT %(account)s, %(exchange)s, %(symbol)s, %(product)s, %(side)s, %(quantity)s,
                  %(lower_level)s, %(lower_price)s, %(upper_level)s, %(upper_price)s, now, now, now + %(life)s
           FROM trading.paper_now() AS now
           WHERE (SELECT count(*) FROM trading.paper_triggers
                  WHERE account_id = %(account)s AND status = 'active') < %(most)s
           RETURNING trigger_id""",
        {**trigger, "account": account_id, "life": LIFE, "most": MAX_ACTIVE},
    )
    row = await cursor.fetchone()
    return str(row["trigger_id"]) if row else None


async def book(connection: Connection, account_id: str) -> list[dict[str, Any]]:
    """Every trigger of the account, fired and taken back ones too, the newest last."""
    cursor = await connection.execute(
        "SELECT * FROM trading.paper_triggers WHERE account_id = %s ORDER BY trigger_id", (account_id,)
    )
    return await cursor.fetchall()


async def drop(connection: Connection, account_id: str, trigger_id: str) -> bool:
    """Takes a trigger back; False where it is not active any more, or not the account's."""
    cursor = await connection.execute(
        """UPDATE trading.paper_triggers SET status = 'deleted', updated_at = trading.paper_now()
           WHERE account_id = %s AND trigger_id::text = %s AND status = 'active' RETURNING trigger_id""",
        (account_id, trigger_id),
    )
    return await cursor.fetchone() is not None
