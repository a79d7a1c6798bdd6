"""Orders and their events: what a customer sees, and what stands before an order leaves."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from domain.errors import Rejected
from domain.moves import begun, sources
from domain.trading import FIRST, NEXT, TERMINAL, OrderStatus, Variety
from models.messages.broker import BrokerOrder
from models.messages.trading import OrderInput, OrderTerms
from store.changes import CHANNEL, touch
from store.database import Connection
from store.outbox import emit

TOPIC = "user-events"


@dataclass(frozen=True)
class Stored:
    """Where an order stands."""

    order_id: str
    user_id: str
    status: OrderStatus
    reason_code: str | None
    broker_order_id: str | None
    filled_quantity: int
    average_price: Decimal
    version: int
    legs: int = 1


def telling(change: str) -> str:
    """A statement that changes an order (RETURNING *), with its event and the notice to waiting readers
    in the same round trip; gives the changed row."""
    return f"""WITH moved AS ({change}),
        noted AS (INSERT INTO trading.order_events (order_id, type, reason_code, filled_quantity, at)
                  SELECT order_id, status, reason_code, filled_quantity, changed_at FROM moved)
        SELECT moved.*, pg_notify('{CHANNEL}', order_id) FROM moved"""  # noqa: S608 (our own constants)


async def insert(
    connection: Connection, order: OrderInput, status: OrderStatus, reason: str | None, now: datetime
) -> Stored | None:
    """Makes the order's row and its first event; None where it stands already."""
    terms = order.terms
    cursor = await connection.execute(
        telling(
            """INSERT INTO trading.orders (order_id, user_id, account_id, exchange, symbol, side, quantity,
               order_type, price, trigger_price, product, validity, variety, market_protection,
               disclosed_quantity, signal_id, flattens, status, reason_code, confirmed_at, made_at,
               changed_at, adopted, broker_order_id, order_value)
           VALUES (%(order_id)s, %(user_id)s, %(account_id)s, %(exchange)s, %(symbol)s, %(side)s,
               %(quantity)s, %(order_type)s, %(price)s, %(trigger_price)s, %(product)s, %(validity)s,
               %(variety)s, %(market_protection)s, %(disclosed_quantity)s, %(signal_id)s, %(flattens)s,
               %(status)s, %(reason)s, %(confirmed_at)s, %(now)s, %(now)s, %(adopts)s::text IS NOT NULL,
               %(adopts)s, CASE WHEN %(adopts)s::text IS NOT NULL
                           THEN ceil(coalesce(%(price)s::numeric, 0) * %(quantity)s * 100) END)
           ON CONFLICT (order_id) DO NOTHING RETURNING *"""
        ),
        {
            **terms.model_dump(),
            "order_id": order.order_id,
            "user_id": order.user_id,
            "account_id": order.account_id,
            "signal_id": order.origin.signal_id if order.origin else None,
            "flattens": order.flattens,
            "adopts": order.adopts,
            "status": begun(FIRST, status),
            "reason": reason,
            "confirmed_at": now if order.confirmed else None,
            "now": now,
        },
    )
    row = await cursor.fetchone()
    return _stored(row) if row else None


async def acted_before(connection: Connection, signal_id: str, account_id: str) -> bool:
    """Whether an order of this account already answers the signal and is not dead."""
    cursor = await connection.execute(
        """SELECT 1 FROM trading.orders WHERE signal_id = %s AND account_id = %s
             AND status NOT IN ('risk_rejected', 'rejected', 'cancelled', 'expired')""",
        (signal_id, account_id),
    )
    return await cursor.fetchone() is not None


async def signal_of(connection: Connection, signal_id: str) -> dict[str, Any] | None:
    """What an order has to know of a signal that was published and has not closed."""
    cursor = await connection.execute(
        """SELECT signal_id, entry_price, published_at, expires_at, target_price, stop_loss AS stop_price
           FROM signals.trading_signals
           WHERE signal_id = %s AND published_at IS NOT NULL AND status IN ('published', 'live')""",
        (signal_id,),
    )
    return await cursor.fetchone()


async def read(connection: Connection, order_id: str) -> Stored | None:
    cursor = await connection.execute("SELECT * FROM trading.orders WHERE order_id = %s", (order_id,))
    row = await cursor.fetchone()
    return _stored(row) if row else None


async def present(connection: Connection, order_id: str) -> Stored:
    """The order as it stands; raises LookupError where there is none."""
    stored = await read(connection, order_id)
    if stored is None:
        raise LookupError(order_id)
    return stored


async def advance(
    connection: Connection,
    order_id: str,
    status: OrderStatus,
    *,
    now: datetime,
    reason: str | None = None,
    broker_order_id: str | None = None,
    value: int | None = None,
    confirmed: bool = False,
) -> Stored:
    """Writes a state, with an event, if the order may go there from where it stands; late news changes
    nothing. The reason or the broker's id may come later than the state."""
    cursor = await connection.execute(
        telling(
            """UPDATE trading.orders SET status = %(status)s, reason_code = %(reason)s,
               broker_order_id = coalesce(%(broker)s, broker_order_id),
               order_value = coalesce(%(value)s, order_value),
               confirmed_at = CASE WHEN %(confirmed)s THEN coalesce(confirmed_at, %(now)s)
                                   ELSE confirmed_at END,
               changed_at = %(now)s, version = version + 1
           WHERE order_id = %(order)s AND status = ANY(%(before)s)
             AND ((status, coalesce(reason_code, ''), coalesce(broker_order_id, ''))
                  IS DISTINCT FROM
                  (%(status)s, coalesce(%(reason)s, ''), coalesce(%(broker)s, broker_order_id, ''))
                  OR %(confirmed)s AND confirmed_at IS NULL)
           RETURNING *"""
        ),
        {
            "order": order_id,
            "status": status,
            "reason": reason,
            "broker": broker_order_id,
            "value": value,
            "confirmed": confirmed,
            "now": now,
            "before": _before(status),
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return await present(connection, order_id)
    await _tell(connection, row, now)
    return _stored(row)


async def take_reading(
    connection: Connection, order_id: str, found: BrokerOrder, status: OrderStatus, now: datetime
) -> Stored:
    """Writes what the broker's book shows, if the order may go there; fills only grow."""
    cursor = await connection.execute(
        telling(
            """UPDATE trading.orders SET status = %(status)s, reason_code = %(reason)s,
               broker_order_id = %(broker)s, filled_quantity = greatest(filled_quantity, %(filled)s),
               quantity = greatest(%(quantity)s, filled_quantity), average_price = %(average)s,
               changed_at = %(now)s, version = version + 1
           WHERE order_id = %(order)s AND status = ANY(%(before)s) AND filled_quantity <= %(filled)s
             AND (status, filled_quantity, quantity, coalesce(reason_code, '')) IS DISTINCT FROM
                 (%(status)s, %(filled)s, %(quantity)s, coalesce(%(reason)s, ''))
           RETURNING *"""
        ),
        {
            "order": order_id,
            "status": status,
            "reason": found.reason_code,
            "broker": found.broker_order_id,
            "filled": found.filled_quantity,
            "quantity": found.quantity,
            "average": found.average_price,
            "now": now,
            "before": _before(status),
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return await present(connection, order_id)
    await _tell(connection, row, now)
    return _stored(row)


async def terms_of(connection: Connection, order_id: str) -> tuple[OrderTerms, int, int]:
    """The terms as every modification has left them, how much is filled, and how often it was modified.

    Raises:
        Rejected: `not_found`.
    """
    cursor = await connection.execute("SELECT * FROM trading.orders WHERE order_id = %s", (order_id,))
    row = await cursor.fetchone()
    if row is None:
        raise Rejected("not_found")
    terms = OrderTerms(**{name: row[name] for name in OrderTerms.model_fields})
    return terms, row["filled_quantity"], row["modifications"]


async def modified(
    connection: Connection, order_id: str, terms: OrderTerms, value: int, now: datetime
) -> None:
    """Writes what the broker took as a modification, worth `value` paise; the quantity is the book's to
    confirm, by its next reading."""
    await connection.execute(
        """UPDATE trading.orders SET price = %(price)s, trigger_price = %(trigger_price)s,
               order_type = %(order_type)s, validity = %(validity)s, order_value = %(value)s,
               modifications = modifications + 1, changed_at = %(now)s, version = version + 1
           WHERE order_id = %(order)s""",
        {**terms.model_dump(), "value": value, "order": order_id, "now": now},
    )
    await connection.execute(
        "INSERT INTO trading.order_events (order_id, type, at) VALUES (%s, 'modified', %s)", (order_id, now)
    )
    await touch(connection, order_id)


async def sent_on(connection: Connection, order_id: str) -> tuple[date, Variety]:
    """The trading day on which something of the order left last (one made elsewhere: on which it was found),
    and its variety."""
    cursor = await connection.execute(
        """SELECT variety, coalesce(max(a.sent_on), (o.made_at AT TIME ZONE 'Asia/Kolkata')::date) AS day
           FROM trading.orders o LEFT JOIN trading.order_attempts a USING (order_id)
           WHERE order_id = %s GROUP BY o.order_id""",
        (order_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(order_id)
    return row["day"], Variety(row["variety"])


async def by_broker_order(connection: Connection, account_id: str, broker_order_id: str) -> str | None:
    """The order that the broker knows by this id, whichever slice of it that is."""
    cursor = await connection.execute(
        """SELECT order_id FROM trading.orders WHERE account_id = %(account)s AND broker_order_id = %(broker)s
           UNION
           SELECT order_id FROM trading.order_attempts JOIN trading.orders o USING (order_id)
           WHERE order_attempts.broker_order_id = %(broker)s AND o.account_id = %(account)s""",
        {"account": account_id, "broker": broker_order_id},
    )
    row = await cursor.fetchone()
    return row["order_id"] if row else None


async def known_at_broker(connection: Connection, account_id: str) -> set[str]:
    """Everything by which the broker's book may show an order of this account as ours: the broker's ids, and
    the tags of attempts, on their way or not."""
    cursor = await connection.execute(
        """SELECT broker_order_id AS name FROM trading.orders
           WHERE account_id = %(account)s AND broker_order_id IS NOT NULL
           UNION SELECT unnest(ARRAY[a.tag, a.broker_order_id])
           FROM trading.order_attempts a JOIN trading.orders o USING (order_id)
           WHERE o.account_id = %(account)s AND o.made_at > clock_timestamp() - interval '30 days'""",
        {"account": account_id},
    )
    return {row["name"] for row in await cursor.fetchall() if row["name"]}


async def by_tag(connection: Connection, account_id: str, tag: str) -> str | None:
    """The order of an attempt's tag, if it is this account's."""
    cursor = await connection.execute(
        """SELECT o.order_id FROM trading.order_attempts a JOIN trading.orders o USING (order_id)
           WHERE a.tag = %s AND o.account_id = %s""",
        (tag, account_id),
    )
    row = await cursor.fetchone()
    return row["order_id"] if row else None


async def not_over(connection: Connection, account_id: str) -> list[str]:
    """The account's orders that have not ended."""
    cursor = await connection.execute(
        "SELECT order_id FROM trading.orders WHERE account_id = %s AND status <> ALL(%s)",
        (account_id, [str(each) for each in TERMINAL]),
    )
    return [row["order_id"] for row in await cursor.fetchall()]


async def show(connection: Connection, order_id: str) -> dict[str, Any] | None:
    """An order with its events, as the API shows it, and `user_id`."""
    cursor = await connection.execute(
        """SELECT o.*, coalesce((SELECT jsonb_agg(jsonb_build_object('type', e.type, 'at', e.at,
                   'reason_code', e.reason_code, 'filled_quantity', e.filled_quantity) ORDER BY e.number)
               FROM trading.order_events e WHERE e.order_id = o.order_id), '[]') AS events,
                  coalesce((SELECT jsonb_agg(jsonb_build_object('leg', l.leg, 'quantity', l.quantity,
                   'status', l.status, 'filled_quantity', l.filled_quantity,
                   'average_price', trim_scale(l.average_price)::text, 'broker_order_id', l.broker_order_id,
                   'reason_code', l.reason_code) ORDER BY l.leg)
               FROM trading.order_legs l WHERE l.order_id = o.order_id), '[]') AS slices,
                  (SELECT jsonb_build_object('status', x.status, 'quantity', x.quantity,
                   'target_price', trim_scale(x.target_price)::text,
                   'stop_price', trim_scale(x.stop_price)::text, 'filled_quantity', x.filled_quantity,
                   'reason_code', x.reason_code)
               FROM trading.exits x WHERE x.order_id = o.order_id) AS exits
           FROM trading.orders o WHERE order_id = %s""",
        (order_id,),
    )
    return await cursor.fetchone()


async def list_of(
    connection: Connection,
    user_id: str,
    *,
    status: str | None,
    start: datetime | None,
    end: datetime | None,
    after: str | None,
    limit: int,
) -> list[dict[str, Any]]:
    """A page of the user's orders, newest first, `limit + 1` rows. Ids of prepared and adopted orders follow
    from what they answer, not from when they were made."""
    cursor = await connection.execute(
        """SELECT * FROM trading.orders WHERE user_id = %(user)s
             AND (%(after)s::text IS NULL OR (made_at, order_id) <
                  (SELECT made_at, order_id FROM trading.orders WHERE order_id = %(after)s))
             AND (%(status)s::text IS NULL OR status = %(status)s)
             AND (%(start)s::timestamptz IS NULL OR made_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR made_at < %(end)s)
           ORDER BY made_at DESC, order_id DESC LIMIT %(limit)s""",
        {
            "user": user_id,
            "after": after,
            "status": status,
            "start": start,
            "end": end,
            "limit": limit + 1,
        },
    )
    return await cursor.fetchall()


def _before(status: OrderStatus) -> list[str]:
    """From where an order may come to `status`, itself among them: what ended never moves, not even so."""
    return sources(NEXT, status) + ([str(status)] if status not in TERMINAL else [])


async def _tell(connection: Connection, row: dict[str, Any], now: datetime) -> None:
    body = {name: row[name] for name in ("order_id", "status", "reason_code", "filled_quantity", "version")}
    await emit(connection, TOPIC, row["user_id"], f"order.{row['status']}", body, now)


def _stored(row: dict[str, Any]) -> Stored:
    return Stored(
        row["order_id"],
        row["user_id"],
        OrderStatus(row["status"]),
        row["reason_code"],
        row["broker_order_id"],
        row["filled_quantity"],
        row["average_price"],
        row["version"],
        row["legs"],
    )
