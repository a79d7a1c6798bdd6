"""Orders that end by a person's word: what is known of their fills, and the trade that the word adds."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.market_calendar import INDIA, INDIA_2026
from domain.order_day import last_day
from domain.slices import ENDED
from domain.trading import Exchange
from models.messages.broker import BrokerTrade
from store import trading, trading_positions
from store.database import Connection


@dataclass(frozen=True)
class Known:
    """An order's fills as our record has them. `worth` of its trades in rupees; `adjusted`: its position was
    taken over from the broker since the order's day."""

    broker_order_id: str
    quantity: int
    filled: int
    traded: int
    worth: Decimal
    adjusted: bool


async def known_of(connection: Connection, order_id: str) -> Known:
    """Belongs into one transaction with what is made of it: the order is locked."""
    day, _ = await trading.sent_on(connection, order_id)
    cursor = await connection.execute(
        """SELECT o.broker_order_id, o.quantity, o.filled_quantity AS filled,
                  coalesce((SELECT sum(quantity) FROM trading.trades t
                            WHERE t.order_id = o.order_id), 0)::bigint AS traded,
                  coalesce((SELECT sum(quantity * price) FROM trading.trades t
                            WHERE t.order_id = o.order_id), 0) AS worth,
                  EXISTS (SELECT 1 FROM trading.trades t WHERE t.account_id = o.account_id
                          AND t.exchange = o.exchange AND t.symbol = o.symbol AND t.product = o.product
                          AND t.kind IN ('adjustment', 'opening') AND t.order_id IS NULL
                          AND t.trading_day > %(day)s) AS adjusted
           FROM trading.orders o WHERE order_id = %(order)s FOR UPDATE""",
        {"order": order_id, "day": day},
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(order_id)
    return Known(**{**row, "broker_order_id": row["broker_order_id"] or ""})


async def add_stated(connection: Connection, order_id: str, quantity: int, price: Decimal) -> None:
    """The fill that was stated and not read, as a trade at the end of the order's day."""
    sent_on, variety = await trading.sent_on(connection, order_id)
    cursor = await connection.execute("SELECT * FROM trading.orders WHERE order_id = %s", (order_id,))
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(order_id)
    day, exchange = last_day(INDIA_2026, variety, sent_on), Exchange(row["exchange"])
    trade = BrokerTrade(
        trade_id=f"stated/{order_id}",
        broker_order_id=row["broker_order_id"],
        exchange=exchange,
        symbol=row["symbol"],
        product=row["product"],
        side=row["side"],
        quantity=quantity,
        price=price,
        traded_at=datetime.combine(day, INDIA_2026.hours_of(exchange, day).closes, INDIA),
    )
    await trading_positions.add(connection, row["account_id"], order_id, day, [trade], "adjustment")


async def end_slices(connection: Connection, order_id: str) -> None:
    """The slices that the broker shows no longer have ended with the order."""
    await connection.execute(
        """UPDATE trading.order_legs SET status = 'cancelled', reason_code = 'stated'
           WHERE order_id = %s AND status <> ALL(%s)""",
        (order_id, [str(each) for each in ENDED]),
    )
