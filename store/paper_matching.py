"""What the paper broker's market does to its orders: fills, ends, and the closing of intraday positions."""

from collections.abc import Iterable
from typing import Any

from domain.paper_market import Phase
from domain.trading import Exchange
from store.database import Connection

STEP = """
WITH standing AS (
    SELECT o.*, q.last_price,
           o.triggered OR o.order_type IN ('MARKET', 'LIMIT')
           OR (o.side = 'BUY' AND q.last_price >= o.trigger_price)
           OR (o.side = 'SELL' AND q.last_price <= o.trigger_price) AS live,
           o.order_type IN ('MARKET', 'SL-M') OR (o.side = 'BUY' AND q.last_price <= o.price)
           OR (o.side = 'SELL' AND q.last_price >= o.price) AS meets,
           (o.trading_day + 1)::timestamp AT TIME ZONE 'Asia/Kolkata' - interval '1 second' AS day_end
    FROM trading.paper_orders o
    LEFT JOIN (SELECT p.* FROM trading.last_prices p
               JOIN unnest(%(open)s::text[], %(since)s::timestamptz[]) AS floor (exchange, since)
                    ON floor.exchange = p.exchange AND p.quoted_at >= floor.since) q
         ON (q.exchange, q.symbol) = (o.exchange, o.symbol)
    WHERE o.status = 'open'
      AND (o.account_id = %(account)s
           OR (o.exchange, o.symbol) IN (SELECT * FROM unnest(%(exchanges)s::text[], %(symbols)s::text[])))
    ORDER BY o.broker_order_id FOR UPDATE OF o
), judged AS (
    SELECT *, CASE
        WHEN trading_day < %(day)s OR (trading_day = %(day)s AND exchange = ANY(%(over)s)) THEN 'day_ended'
        WHEN product = 'MIS' AND trading_day = %(day)s AND exchange = ANY(%(squared)s) THEN 'square_off'
        WHEN trading_day > %(day)s OR last_price IS NULL OR NOT live THEN 'waits'
        WHEN meets THEN 'fills'
        WHEN validity = 'IOC' THEN 'immediate'
        ELSE 'rests' END AS fate
    FROM standing
)
UPDATE trading.paper_orders o SET
    status = CASE fate WHEN 'fills' THEN 'complete' WHEN 'rests' THEN 'open' ELSE 'cancelled' END,
    reason_code = CASE WHEN fate IN ('day_ended', 'square_off') THEN fate END,
    triggered = o.triggered OR fate IN ('fills', 'rests', 'immediate'),
    rests = o.rests OR fate = 'rests',
    filled_quantity = CASE fate WHEN 'fills' THEN o.quantity ELSE 0 END,
    fill_price = CASE WHEN fate = 'fills' THEN CASE WHEN o.rests THEN o.price ELSE j.last_price END END,
    updated_at = least(trading.paper_now(), CASE fate WHEN 'day_ended' THEN day_end END)
FROM judged j
WHERE o.broker_order_id = j.broker_order_id AND fate <> 'waits' AND NOT (fate = 'rests' AND o.rests)
RETURNING o.broker_order_id, o.status, (
    SELECT order_id FROM trading.order_attempts a JOIN trading.orders t USING (order_id)
    WHERE a.tag = o.tag AND t.account_id = o.account_id) AS order_id
"""
"""An order is filled whole: at the price that it finds, or at its own where it waited for the market to come.
A price of before the opening fills nothing. A day's order ends on its day, whenever somebody looks."""

HELD = """
    SELECT account_id, exchange, symbol,
           sum(CASE side WHEN 'BUY' THEN filled_quantity ELSE -filled_quantity END) AS quantity,
           max(trading_day) AS last_day, count(*) AS orders,
           (array_agg(fill_price ORDER BY updated_at DESC))[1] AS last_fill
    FROM trading.paper_orders
    WHERE account_id = %(account)s AND product = 'MIS' AND filled_quantity > 0
    GROUP BY account_id, exchange, symbol
    HAVING sum(CASE side WHEN 'BUY' THEN filled_quantity ELSE -filled_quantity END) <> 0
"""
"""Intraday positions of an account."""

SQUARE_OFF = f"""
WITH held AS ({HELD})
INSERT INTO trading.paper_orders (broker_order_id, account_id, tag, trading_day, exchange, symbol, side,
    product, order_type, validity, quantity, triggered, status, filled_quantity, fill_price, updated_at)
SELECT 'PAPER' || tag, account_id, tag, %(day)s, exchange, symbol, CASE WHEN quantity > 0 THEN 'SELL'
       ELSE 'BUY' END, 'MIS', 'MARKET', 'DAY', abs(quantity), true, 'complete', abs(quantity),
       coalesce(q.last_price, last_fill), trading.paper_now()
FROM held
LEFT JOIN trading.last_prices q USING (exchange, symbol)
CROSS JOIN LATERAL (SELECT 'SQ' || left(upper(encode(sha256(
    concat_ws('/', account_id, exchange, symbol, orders)::bytea), 'hex')), 18) AS tag) t
WHERE last_day < %(day)s OR exchange = ANY(%(squared)s)
"""  # noqa: S608
"""One closing order a position. Its tag counts the orders that made the position: what is opened after it is
closed by another."""


def scope(
    phase: Phase, account: str | None = None, exchanges: Iterable[str] = (), symbols: Iterable[str] = ()
) -> dict[str, Any]:
    """Whose orders and triggers are looked at, and what may happen to them: an account's, or of symbols."""
    return {
        **{"day": phase.day, "open": list(phase.open), "since": list(phase.open.values())},
        **{"squared": phase.squared, "over": phase.over},
        **{"account": account, "exchanges": list(exchanges), "symbols": list(symbols)},
    }


async def step(connection: Connection, given: dict[str, Any]) -> list[dict[str, Any]]:
    """Takes the open orders of a `scope` as far as the last prices take them; closes what an account holds
    beyond its day. The orders that this has filled or cancelled: id at the broker, status, and
    our id where it is one of ours."""
    if given["account"] is not None:
        # One look after another: of two at once the later one knows what the first has closed.
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"paper:{given['account']}",)
        )
    moved = await (await connection.execute(STEP, given)).fetchall()
    if given["account"] is not None:
        await connection.execute(SQUARE_OFF, given)
    return [row for row in moved if row["status"] != "open"]


async def intraday(connection: Connection, account_id: str) -> list[tuple[Exchange, str]]:
    """Exchange and symbol of what the account holds for the day."""
    cursor = await connection.execute(HELD, {"account": account_id})
    return [(Exchange(row["exchange"]), row["symbol"]) for row in await cursor.fetchall()]
