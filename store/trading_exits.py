"""Target and stop of signal orders: each step a compare-and-set, and told in the same transaction."""

from datetime import date, datetime
from typing import Any

from domain.exits import EXIT_FIRST, EXIT_NEXT, ExitStatus
from domain.moves import begun, sources
from domain.trading import TERMINAL
from models.messages.exits import ExitInput, ExitStanding
from store.database import Connection
from store.outbox import emit

TOPIC = "user-events"


async def open_exit(
    connection: Connection, given: ExitInput, status: ExitStatus, reason: str | None, now: datetime
) -> ExitStanding:
    """Makes the exit's row; a repeat gives the one that stands."""
    cursor = await connection.execute(
        """INSERT INTO trading.exits (order_id, account_id, user_id, exchange, symbol, product, side,
               quantity, target_price, stop_price, status, reason_code, changed_at)
           VALUES (%(order_id)s, %(account_id)s, %(user_id)s, %(exchange)s, %(symbol)s, %(product)s, %(side)s,
               %(quantity)s, %(target_price)s, %(stop_price)s, %(status)s, %(reason)s, %(now)s)
           ON CONFLICT (order_id) DO UPDATE SET order_id = excluded.order_id RETURNING *""",
        {**given.model_dump(), "status": begun(EXIT_FIRST, status), "reason": reason, "now": now},
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(given.order_id)
    return standing(row)


async def read(connection: Connection, order_id: str) -> dict[str, Any]:
    """The row, with what its order has filled and whether more may come, what is held now in its instrument
    (signed), what earlier exits are to close of that, whether its account is blocked or closed; whoever last
    sent for it is surely gone if its lock is free on the `same_server` start (`store.trading_attempts`)."""
    cursor = await connection.execute(
        """SELECT e.*, coalesce(p.quantity, 0) AS held, entry.filled_quantity AS entered,
                  entry.status = ANY(%(ended)s) AS entry_over,
                  coalesce((SELECT sum(x.quantity) FROM trading.exits x WHERE x.account_id = e.account_id
                            AND (x.exchange, x.symbol, x.product, x.side)
                                = (e.exchange, e.symbol, e.product, e.side)
                            AND x.order_id < e.order_id
                            AND x.status NOT IN ('filled', 'cancelled')), 0)::bigint AS before,
                  a.blocked_by IS NOT NULL AS blocked,
                  a.status = 'closed' AS closed, a.broker,
                  EXISTS (SELECT FROM trading.orders o
                          WHERE o.account_id = e.account_id AND o.broker_order_id = e.broker_order_id
                            AND o.status = ANY(%(ended)s)) AS fired_ended,
                  coalesce(clock_timestamp() - e.sending_at, interval '0') AS age,
                  coalesce(e.server_started_at = pg_postmaster_start_time(), true) AS same_server,
                  pg_try_advisory_xact_lock(hashtextextended('exit:' || e.order_id, 0)) AS unlocked
           FROM trading.exits e JOIN trading.accounts a USING (account_id)
           JOIN trading.orders entry ON entry.order_id = e.order_id
           LEFT JOIN trading.positions p ON p.account_id = e.account_id AND p.exchange = e.exchange
                AND p.symbol = e.symbol AND p.product = e.product
           WHERE e.order_id = %(order)s""",
        {"order": order_id, "ended": [str(each) for each in TERMINAL]},
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(order_id)
    return row


async def begin(connection: Connection, order_id: str, quantity: int, day: Any) -> bool:
    """From placing to sending, under the sender's lock, which the connection holds until `unlock` or its own
    end. False where another step was faster, an earlier sender still holds the lock, or the account is
    blocked or has no session. The account's row is locked for it: whoever blocks the account afterwards sees
    what is on its way."""
    cursor = await connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended('exit:' || %s, 0)) AS locked", (order_id,)
    )
    row = await cursor.fetchone()
    if row is None or not row["locked"]:
        return False
    cursor = await connection.execute(
        """UPDATE trading.exits e SET status = 'sending', quantity = %s, sending_at = clock_timestamp(),
               sent_on = %s, server_started_at = pg_postmaster_start_time(), looks = 0,
               broker_order_id = NULL, reason_code = NULL, version = version + 1
           WHERE order_id = %s AND status = ANY(%s)
             AND EXISTS (SELECT 1 FROM trading.accounts a
                         WHERE a.account_id = e.account_id AND a.blocked_by IS NULL
                           AND a.status = 'connected' FOR SHARE)
           RETURNING order_id""",
        (quantity, day, order_id, sources(EXIT_NEXT, ExitStatus.SENDING)),
    )
    begun = await cursor.fetchone() is not None
    if not begun:
        await unlock(connection, order_id)
    return begun


async def unlock(connection: Connection, order_id: str) -> None:
    await connection.execute("SELECT pg_advisory_unlock(hashtextextended('exit:' || %s, 0))", (order_id,))


async def move(
    connection: Connection,
    order_id: str,
    to: ExitStatus,
    *,
    now: datetime,
    reason: str | None = None,
    trigger_id: str | None = None,
    broker_order_id: str | None = None,
    filled: int | None = None,
    day: date | None = None,
) -> ExitStanding:
    """Goes on, if it may from where it stands; late news changes nothing. `placing` counts a new attempt;
    `day`: the broker's, on which what was fired went to the exchange."""
    cursor = await connection.execute(
        """UPDATE trading.exits SET status = %(to)s, reason_code = %(reason)s,
               attempt = attempt + (%(to)s = 'placing')::integer,
               trigger_id = coalesce(%(trigger)s, trigger_id),
               known_triggers = known_triggers || array_remove(ARRAY[%(trigger)s::text], NULL),
               broker_order_id = coalesce(%(broker)s, broker_order_id),
               filled_quantity = coalesce(%(filled)s, filled_quantity),
               sent_on = coalesce(%(day)s, sent_on),
               changed_at = %(now)s, version = version + 1
           WHERE order_id = %(order)s AND status = ANY(%(before)s) RETURNING *""",
        {
            "order": order_id,
            "to": to,
            "reason": reason,
            "trigger": trigger_id,
            "broker": broker_order_id,
            "filled": filled,
            "day": day,
            "now": now,
            "before": sources(EXIT_NEXT, to),
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return standing(await read(connection, order_id))
    told = {name: row[name] for name in ("order_id", "status", "reason_code", "filled_quantity", "version")}
    await emit(connection, TOPIC, row["user_id"], f"exit.{row['status']}", told, now)
    return standing(row)


async def looked(connection: Connection, order_id: str) -> int:
    """Counts a reading of the broker's book that held no such trigger; how many there were."""
    cursor = await connection.execute(
        "UPDATE trading.exits SET looks = looks + 1 WHERE order_id = %s RETURNING looks", (order_id,)
    )
    row = await cursor.fetchone()
    return row["looks"] if row else 0


async def claimed(connection: Connection, account_id: str) -> set[str]:
    """The broker's ids of triggers that exits of this account are known by."""
    cursor = await connection.execute(
        "SELECT unnest(known_triggers) AS trigger_id FROM trading.exits WHERE account_id = %s", (account_id,)
    )
    return {row["trigger_id"] for row in await cursor.fetchall()}


async def tick_of(connection: Connection, broker: str, exchange: str, symbol: str) -> Any:
    cursor = await connection.execute(
        "SELECT tick FROM trading.instruments WHERE broker = %s AND exchange = %s AND symbol = %s",
        (broker, exchange, symbol),
    )
    row = await cursor.fetchone()
    return row["tick"] if row else None


def standing(row: dict[str, Any]) -> ExitStanding:
    return ExitStanding(
        **{
            name: row[name]
            for name in ("status", "attempt", "trigger_id", "broker_order_id", "reason_code", "version")
        }
    )
