"""Kill switches: the block of an account, what was taken back, the report."""

from typing import Any

from psycopg.types.json import Jsonb

from domain.broker_accounts import KILL_SWITCH_NEXT, KillSwitchStatus
from domain.moves import sources
from domain.trading import TERMINAL
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


async def report(connection: Connection, told: KillSwitchReport) -> int:
    """Writes what was done; a switch that was lifted meanwhile stays lifted."""
    cursor = await connection.execute(
        """UPDATE trading.kill_switches SET report = %(report)s, version = version + 1,
               status = CASE WHEN status = ANY(%(before)s) THEN %(status)s ELSE status END
           WHERE kill_switch_id = %(id)s RETURNING version, account_id""",
        {
            "id": told.kill_switch_id,
            "status": told.status,
            "before": sources(KILL_SWITCH_NEXT, told.status),
            "report": Jsonb(told.model_dump(mode="json", exclude={"kill_switch_id", "status"})),
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
        """SELECT kill_switch_id, account_id, user_id, flatten, status, report, made_at, lifted_at, version
           FROM trading.kill_switches WHERE account_id = %s ORDER BY kill_switch_id DESC LIMIT 1""",
        (account_id,),
    )
    return await cursor.fetchone()


async def live_orders(connection: Connection, account_id: str) -> list[str]:
    """Orders that have not ended, without those that close positions for a switch."""
    cursor = await connection.execute(
        """SELECT order_id FROM trading.orders
           WHERE account_id = %s AND status <> ALL(%s) AND flattens IS NULL""",
        (account_id, [str(each) for each in TERMINAL]),
    )
    return [row["order_id"] for row in await cursor.fetchall()]


async def held(connection: Connection, account_id: str) -> list[dict[str, Any]]:
    """Open positions: exchange, symbol, product, signed quantity."""
    cursor = await connection.execute(
        """SELECT exchange, symbol, product, quantity FROM trading.positions
           WHERE account_id = %s AND quantity <> 0 ORDER BY exchange, symbol, product""",
        (account_id,),
    )
    return await cursor.fetchall()
