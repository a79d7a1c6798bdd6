"""Kill switches: the block of an account, what was taken back, the report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from psycopg.types.json import Jsonb

from domain.broker_accounts import KILL_SWITCH_NEXT, KillSwitchStatus
from domain.broker_day import Place
from domain.exits import TRIGGER_UNKNOWN, ExitStatus
from domain.moves import sources
from domain.trading import TERMINAL, Product
from models.messages.broker_accounts import BlockAccount, KillSwitchReport, LiftBlock
from store.changes import touch
from store.database import Connection


async def block(connection: Connection, command: BlockAccount) -> bool:
    """Blocks the account under this switch; a repeat changes nothing. False: another one blocks it."""
    cursor = await connection.execute(
        """UPDATE trading.accounts SET blocked_by = %(switch)s, version = version + 1
           WHERE account_id = %(account)s AND (blocked_by IS NULL OR blocked_by = %(switch)s)
             AND NOT EXISTS (SELECT 1 FROM trading.kill_switches
                             WHERE kill_switch_id = %(switch)s AND lifted_at IS NOT NULL)
           RETURNING account_id""",
        {"switch": command.kill_switch_id, "account": command.account_id},
    )
    if await cursor.fetchone() is None:
        return False
    await connection.execute(
        """INSERT INTO trading.kill_switches
               (kill_switch_id, account_id, user_id, flatten, status, made_at)
           VALUES (%s, %s, %s, %s, 'blocked', %s) ON CONFLICT (kill_switch_id) DO NOTHING""",
        (command.kill_switch_id, command.account_id, command.user_id, command.flatten, command.as_of),
    )
    await touch(connection, command.account_id)
    return True


async def lift(connection: Connection, command: LiftBlock) -> None:
    """Lets orders through again, if it is this switch that blocks."""
    await connection.execute(
        "UPDATE trading.accounts SET blocked_by = NULL, version = version + 1 WHERE blocked_by = %s",
        (command.kill_switch_id,),
    )
    await connection.execute(
        """UPDATE trading.kill_switches SET status = 'lifted', lifted_at = %s, version = version + 1
           WHERE kill_switch_id = %s AND status = ANY(%s)""",
        (command.as_of, command.kill_switch_id, sources(KILL_SWITCH_NEXT, KillSwitchStatus.LIFTED)),
    )
    await touch(connection, command.account_id)


async def told(connection: Connection, report: KillSwitchReport) -> dict[str, Any]:
    """The report's words: every order with what became of it, and what is still held. Texts and whole
    numbers alone, so that it can be signed and shown as it is."""
    cursor = await connection.execute(
        """SELECT order_id, exchange, symbol, product, side, quantity, status, filled_quantity,
                  broker_order_id, flattens IS NOT NULL AS closes
           FROM trading.orders WHERE order_id = ANY(%s) ORDER BY order_id""",
        ([*report.taken_back, *report.left_open, *report.flattening],),
    )
    orders = await cursor.fetchall()
    cursor = await connection.execute(
        "SELECT made_at FROM trading.kill_switches WHERE kill_switch_id = %s", (report.kill_switch_id,)
    )
    made = await cursor.fetchone()
    return {
        **report.model_dump(mode="json"),
        "blocked_at": made["made_at"].isoformat() if made else None,
        "orders": orders,
        "positions": [
            {name: row[name] for name in ("exchange", "symbol", "product", "quantity")}
            for row in await held(connection, report.account_id)
        ],
    }


async def report(
    connection: Connection, command: KillSwitchReport, told: dict[str, Any], signed: str | None
) -> int:
    """Writes what was done; a switch that was lifted meanwhile stays lifted."""
    cursor = await connection.execute(
        """UPDATE trading.kill_switches SET report = %(report)s, version = version + 1,
               signed_report = coalesce(%(signed)s, signed_report),
               status = CASE WHEN status = ANY(%(before)s) THEN %(status)s ELSE status END
           WHERE kill_switch_id = %(id)s RETURNING version, account_id""",
        {
            "id": command.kill_switch_id,
            "status": command.status,
            "before": sources(KILL_SWITCH_NEXT, command.status),
            "report": Jsonb(told),
            "signed": signed,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return 0
    await touch(connection, row["account_id"])
    return row["version"]


async def latest(connection: Connection, account_id: str) -> dict[str, Any] | None:
    """The account's newest switch."""
    cursor = await connection.execute(
        """SELECT kill_switch_id, account_id, user_id, flatten, status, report, signed_report, made_at,
                  lifted_at, version
           FROM trading.kill_switches WHERE account_id = %s ORDER BY kill_switch_id DESC LIMIT 1""",
        (account_id,),
    )
    return await cursor.fetchone()


async def live_orders(connection: Connection, account_id: str, kill_switch_id: str) -> list[str]:
    """Orders that have not ended, without those that close positions for this switch: what an earlier one,
    lifted since, has left on its way is taken back like any other."""
    cursor = await connection.execute(
        """SELECT order_id FROM trading.orders
           WHERE account_id = %s AND status <> ALL(%s) AND flattens IS DISTINCT FROM %s ORDER BY order_id""",
        (account_id, [str(each) for each in TERMINAL], kill_switch_id),
    )
    return [row["order_id"] for row in await cursor.fetchall()]


async def leaving_triggers(connection: Connection, account_id: str) -> list[str]:
    """Exits whose trigger may be on its way to the broker: their orders' ids."""
    cursor = await connection.execute(
        """SELECT order_id FROM trading.exits
           WHERE account_id = %s AND (status = %s OR (status = %s AND reason_code = %s)) ORDER BY order_id""",
        (account_id, ExitStatus.SENDING, ExitStatus.UNPROTECTED, TRIGGER_UNKNOWN),
    )
    return [row["order_id"] for row in await cursor.fetchall()]


async def blocks(connection: Connection, account_id: str, kill_switch_id: str) -> bool:
    """Whether it is this switch that blocks the account now."""
    cursor = await connection.execute(
        "SELECT 1 FROM trading.accounts WHERE account_id = %s AND blocked_by = %s",
        (account_id, kill_switch_id),
    )
    return await cursor.fetchone() is not None


async def closing(connection: Connection, kill_switch_id: str) -> list[str]:
    """Orders that close positions for this switch and have not ended."""
    cursor = await connection.execute(
        "SELECT order_id FROM trading.orders WHERE flattens = %s AND status <> ALL(%s)",
        (kill_switch_id, [str(each) for each in TERMINAL]),
    )
    return [row["order_id"] for row in await cursor.fetchall()]


async def closing_orders(connection: Connection, kill_switch_id: str) -> list[str]:
    """Every order that closes a position for this switch, ended or not."""
    cursor = await connection.execute(
        "SELECT order_id FROM trading.orders WHERE flattens = %s ORDER BY made_at, order_id",
        (kill_switch_id,),
    )
    return [row["order_id"] for row in await cursor.fetchall()]


async def known_at_broker(connection: Connection, account_id: str, shown: Sequence[str]) -> set[str]:
    """Those of the broker's order ids under which an order of this account is held as sent."""
    cursor = await connection.execute(
        """SELECT t.broker_order_id FROM trading.order_attempts t JOIN trading.orders o USING (order_id)
           WHERE o.account_id = %(account)s AND t.broker_order_id = ANY(%(shown)s)
           UNION SELECT broker_order_id FROM trading.orders
           WHERE account_id = %(account)s AND broker_order_id = ANY(%(shown)s)""",
        {"account": account_id, "shown": list(shown)},
    )
    return {row["broker_order_id"] for row in await cursor.fetchall()}


async def held(connection: Connection, account_id: str) -> list[dict[str, Any]]:
    """Open positions of our book: exchange, symbol, product, signed quantity."""
    cursor = await connection.execute(
        """SELECT exchange, symbol, product, quantity FROM trading.positions
           WHERE account_id = %s AND quantity <> 0 ORDER BY exchange, symbol, product""",
        (account_id,),
    )
    return await cursor.fetchall()


async def to_close(
    connection: Connection, account_id: str, day: date, shown: Mapping[Place, int]
) -> list[dict[str, Any]]:
    """What is held by the broker's own word: its positions of the day, and the delivered shares that we
    bought on earlier days, which it shows as holdings among the customer's own. Exchange, symbol, product,
    signed quantity; underlying and lot of a derivative."""
    cursor = await connection.execute(
        """SELECT exchange, symbol, product,
                  sum(CASE side WHEN 'BUY' THEN quantity ELSE -quantity END)::bigint AS quantity
           FROM trading.trades WHERE account_id = %s AND trading_day < %s AND product = %s
           GROUP BY exchange, symbol, product""",
        (account_id, day, Product.DELIVERY),
    )
    quantities = Counter(dict(shown))
    for row in await cursor.fetchall():
        quantities[Place(row["exchange"], row["symbol"], row["product"])] += row["quantity"]
    found = [place for place in sorted(quantities) if quantities[place]]
    listed = await _listed(connection, found)
    nothing = {"lot": None, "underlying": None}
    return [
        {**vars(place), "quantity": quantities[place], **listed.get((place.exchange, place.symbol), nothing)}
        for place in found
    ]


async def _listed(connection: Connection, places: Sequence[Place]) -> dict[tuple[str, str], dict[str, Any]]:
    """Lot, and the underlying of a derivative."""
    cursor = await connection.execute(
        """SELECT exchange, symbol, lot, CASE WHEN expiry IS NOT NULL THEN underlying END AS underlying
           FROM trading.instruments JOIN unnest(%s::text[], %s::text[]) AS asked(exchange, symbol)
               USING (exchange, symbol)
           WHERE broker = 'kite'""",
        ([each.exchange for each in places], [each.symbol for each in places]),
    )
    return {
        (row["exchange"], row["symbol"]): {"lot": row["lot"], "underlying": row["underlying"]}
        for row in await cursor.fetchall()
    }
