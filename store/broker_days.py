"""An account's trading day beside the broker's: our side of it, and what was read of the other."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from domain.broker_day import DAY_NEXT, DayStatus, Execution, OurOrder, Ours, Place
from domain.market_calendar import INDIA
from domain.moves import moved
from domain.trading import OrderStatus, Product, Side
from models.messages.broker import BrokerTrade
from models.messages.broker_days import Charge, DayPosition, DueAccount, Executed, Holding
from store import trading_positions
from store.changes import touch
from store.database import Connection

CARRIED = (Product.INTRADAY.value, Product.CARRY_FORWARD.value)
"""Products whose whole quantity is a position at the broker; delivery of earlier days is a holding."""


@dataclass(frozen=True)
class Shown:
    """What a reading of the broker's day brought beside orders and trades."""

    positions: Sequence[DayPosition]
    holdings: Sequence[Holding]
    charges: Sequence[tuple[Executed, Charge]]
    read_at: datetime


async def due(connection: Connection, day: date, after: str | None, limit: int) -> list[DueAccount]:
    """Accounts whose day has something to compare, or may have: every one that is signed in."""
    cursor = await connection.execute(
        """SELECT account_id, user_id FROM trading.accounts a
           WHERE status <> 'closed' AND (%(after)s::text IS NULL OR account_id > %(after)s)
             AND (status = 'connected'
                  OR EXISTS (SELECT FROM trading.positions p
                             WHERE p.account_id = a.account_id AND p.quantity <> 0)
                  OR EXISTS (SELECT FROM trading.orders o JOIN trading.order_attempts t USING (order_id)
                             WHERE o.account_id = a.account_id AND t.sent_on = %(day)s))
           ORDER BY account_id LIMIT %(limit)s""",
        {"day": day, "after": after, "limit": limit},
    )
    return [DueAccount(**row) for row in await cursor.fetchall()]


async def waiting(connection: Connection, account_id: str) -> list[date]:
    """The account's days that nobody could read yet for want of a session."""
    cursor = await connection.execute(
        "SELECT day FROM trading.broker_days WHERE account_id = %s AND status = %s",
        (account_id, DayStatus.WAITING),
    )
    return [row["day"] for row in await cursor.fetchall()]


async def matters(connection: Connection, account_id: str, day: date) -> bool:
    """Whether the record has anything of that day to hold against the broker's book: held at its end, traded
    or sent on it."""
    cursor = await connection.execute(
        """SELECT EXISTS (SELECT FROM trading.trades WHERE account_id = %(account)s AND trading_day <= %(day)s
                          GROUP BY exchange, symbol, product
                          HAVING sum(CASE side WHEN 'BUY' THEN quantity ELSE -quantity END) <> 0
                              OR bool_or(trading_day = %(day)s))
               OR EXISTS (SELECT FROM trading.orders o JOIN trading.order_attempts t USING (order_id)
                          WHERE o.account_id = %(account)s AND t.sent_on = %(day)s) AS matters""",
        {"account": account_id, "day": day},
    )
    row = await cursor.fetchone()
    return bool(row and row["matters"])


async def ours(
    connection: Connection, account_id: str, day: date, shown: Collection[str], tags: Collection[str]
) -> Ours:
    """Our record of the day; `shown` and `tags`: the broker's order ids and tags of its book."""
    cursor = await connection.execute(
        """SELECT o.order_id, o.status, o.filled_quantity, array_agg(b.id) AS broker_ids
           FROM trading.orders o JOIN LATERAL (
               SELECT t.broker_order_id AS id FROM trading.order_attempts t
               WHERE t.order_id = o.order_id AND t.status = 'sent'
                 AND (t.sent_on = %(day)s OR t.broker_order_id = ANY(%(shown)s))
               UNION SELECT o.broker_order_id WHERE o.broker_order_id = ANY(%(shown)s)) b ON true
           WHERE o.account_id = %(account)s GROUP BY o.order_id""",
        {"account": account_id, "day": day, "shown": list(shown)},
    )
    orders = tuple(
        OurOrder(
            row["order_id"], frozenset(row["broker_ids"]), OrderStatus(row["status"]), row["filled_quantity"]
        )
        for row in await cursor.fetchall()
    )
    cursor = await connection.execute(
        """SELECT t.tag, t.broker_order_id
           FROM trading.order_attempts t JOIN trading.orders o USING (order_id)
           WHERE o.account_id = %s AND t.tag = ANY(%s)""",
        (account_id, list(tags)),
    )
    known = {row["tag"]: row["broker_order_id"] for row in await cursor.fetchall()}
    return Ours(
        orders,
        known,
        tuple(await executions(connection, account_id, day)),
        await positions(connection, account_id, day),
    )


async def executions(connection: Connection, account_id: str, day: date) -> list[Execution]:
    cursor = await connection.execute(
        """SELECT exchange, trade_id, broker_order_id, quantity, price FROM trading.trades
           WHERE account_id = %s AND trading_day = %s AND kind IN ('fill', 'elsewhere')""",
        (account_id, day),
    )
    return [Execution(**row) for row in await cursor.fetchall()]


async def positions(connection: Connection, account_id: str, day: date) -> dict[Place, int]:
    """Signed quantities as a broker counts them on that day."""
    cursor = await connection.execute(
        """SELECT exchange, symbol, product,
                  sum(CASE side WHEN 'BUY' THEN quantity ELSE -quantity END)::bigint AS quantity
           FROM trading.trades WHERE account_id = %s AND trading_day <= %s
             AND (product = ANY(%s) OR trading_day = %s)
           GROUP BY exchange, symbol, product""",
        (account_id, day, list(CARRIED), day),
    )
    return {
        Place(row["exchange"], row["symbol"], row["product"]): row["quantity"]
        for row in await cursor.fetchall()
    }


async def take_over(
    connection: Connection, account_id: str, day: date, elsewhere: Sequence[BrokerTrade]
) -> None:
    """Trades of orders made at the broker's own desk become events of ours; a repeat changes nothing."""
    await trading_positions.add(connection, account_id, None, day, elsewhere, "elsewhere")


async def open_with(
    connection: Connection, account_id: str, day: date, carried: Sequence[DayPosition]
) -> None:
    """What the customer brought along: before the account's first comparison, positions carried into the
    day that no trade of ours explains."""
    cursor = await connection.execute(
        """SELECT EXISTS (SELECT FROM trading.broker_days
                          WHERE account_id = %s AND read_at IS NOT NULL) AS compared""",
        (account_id,),
    )
    row = await cursor.fetchone()
    if row is None or row["compared"]:
        return
    for position in carried:
        place = (position.exchange, position.symbol, position.product)
        if position.overnight_quantity and not await trading_positions.trades_of(
            connection, account_id, place, before=day
        ):
            event = _event(position, f"opening/{'/'.join(place)}", position.overnight_quantity, day)
            await trading_positions.add(connection, account_id, None, day, [event], "opening")


def _event(position: DayPosition, name: str, quantity: int, day: date) -> BrokerTrade:
    """A trade event that no exchange made, at the broker's average; it stands before the day's trades."""
    return BrokerTrade(
        trade_id=name,
        broker_order_id=name,
        exchange=position.exchange,
        symbol=position.symbol,
        product=position.product,
        side=Side.BUY if quantity > 0 else Side.SELL,
        quantity=abs(quantity),
        price=position.average_price or position.last_price,
        traded_at=datetime.combine(day, time.min, INDIA),
    )


async def lock(connection: Connection, account_id: str) -> None:
    """Comparisons and decisions of one account take turns."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"broker-day:{account_id}",)
    )


async def find(connection: Connection, account_id: str, day: date) -> dict[str, Any] | None:
    cursor = await connection.execute(
        "SELECT * FROM trading.broker_days WHERE account_id = %s AND day = %s", (account_id, day)
    )
    return await cursor.fetchone()


async def settle(
    connection: Connection, account_id: str, day: date, status: DayStatus, **figures: Any
) -> int:
    """Where the day stands, with its figures; the version, the same where nothing changed."""
    row = await find(connection, account_id, day)
    if row is None:
        values = {"account_id": account_id, "day": day, "status": status, **figures}
        names = ", ".join(values)
        await connection.execute(
            f"INSERT INTO trading.broker_days ({names}) VALUES ({', '.join(['%s'] * len(values))})",  # noqa: S608
            list(values.values()),
        )
        await touch(connection, account_id)
        return 1
    moved(DAY_NEXT, DayStatus(row["status"]), status)
    news = {"status": status, **figures}
    counted = {name: value for name, value in news.items() if name != "read_at"}
    changed = any(row[name] != value for name, value in counted.items())
    sets = ", ".join(f"{name} = %s" for name in news)
    await connection.execute(
        f"""UPDATE trading.broker_days SET {sets}, version = version + %s
            WHERE account_id = %s AND day = %s""",  # noqa: S608
        [*news.values(), int(changed), account_id, day],
    )
    if changed:
        await touch(connection, account_id)
    return int(row["version"]) + changed


async def keep(connection: Connection, account_id: str, day: date, shown: Shown) -> None:
    """Prices, holdings and charges as the broker gave them last; the day's row stands already. Of shares that
    are held and were not traded that day it keeps the day's price too, as a position of none."""
    await connection.execute(
        "DELETE FROM trading.day_positions WHERE account_id = %s AND day = %s", (account_id, day)
    )
    for position in shown.positions:
        await connection.execute(PRICED, {"account": account_id, "day": day, **position.model_dump()})
    await connection.execute("DELETE FROM trading.holdings WHERE account_id = %s", (account_id,))
    for holding in shown.holdings:
        priced = {"account": account_id, "day": day, **holding.model_dump(), "quantity": 0}
        await connection.execute(PRICED, priced)
        await connection.execute(
            """INSERT INTO trading.holdings (account_id, exchange, symbol, product, isin, quantity, unsettled,
                   average_price, last_price, read_at)
               VALUES (%(account)s, %(exchange)s, %(symbol)s, %(product)s, %(isin)s, %(quantity)s,
                   %(unsettled)s, %(average_price)s, %(last_price)s, %(read_at)s)""",
            {"account": account_id, "read_at": shown.read_at, **holding.model_dump()},
        )
    for executed, charge in shown.charges:
        values = {**_names(executed), **charge.model_dump(), "account": account_id, "day": day}
        await connection.execute(CHARGED, values)


PRICED = """
INSERT INTO trading.day_positions (account_id, day, exchange, symbol, product, quantity, average_price,
    last_price)
VALUES (%(account)s, %(day)s, %(exchange)s, %(symbol)s, %(product)s, %(quantity)s, %(average_price)s,
    %(last_price)s)
ON CONFLICT (account_id, day, exchange, symbol, product) DO NOTHING
"""

CHARGED = """
INSERT INTO trading.charges (account_id, day, broker_order_id, exchange, symbol, product, quantity, brokerage,
    transaction_tax, exchange_fee, regulator_fee, stamp_duty, gst, total)
VALUES (%(account)s, %(day)s, %(broker_order_id)s, %(exchange)s, %(symbol)s, %(product)s, %(quantity)s,
    %(brokerage)s, %(transaction_tax)s, %(exchange_fee)s, %(regulator_fee)s, %(stamp_duty)s, %(gst)s,
    %(total)s)
ON CONFLICT (account_id, day, broker_order_id) DO UPDATE SET quantity = excluded.quantity,
    brokerage = excluded.brokerage, transaction_tax = excluded.transaction_tax,
    exchange_fee = excluded.exchange_fee, regulator_fee = excluded.regulator_fee,
    stamp_duty = excluded.stamp_duty, gst = excluded.gst, total = excluded.total
"""


def _names(executed: Executed) -> dict[str, Any]:
    return executed.model_dump(include={"exchange", "symbol", "product", "quantity"})
