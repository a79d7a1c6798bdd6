"""No trigger leaves for a blocked account, and none beside one whose sender is still there."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest

from models.contracts.identifiers import Prefix, mint
from store import trading_exits, trading_stops
from store.database import Connection, Database

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
DAY = date(2026, 11, 23)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """One transaction that is never committed."""
    async with Database(database) as opened, opened.reading() as reading:
        async with reading.transaction(force_rollback=True):
            yield reading


async def exit_of(connection: Connection) -> tuple[str, str]:
    """A connected account and an exit of it that is about to be placed."""
    account_id, order_id = mint(Prefix.ACCOUNT), mint(Prefix.ORDER)
    await connection.execute(
        """INSERT INTO trading.accounts (account_id, user_id, broker, status, made_at)
           VALUES (%s, 'usr_test', 'paper', 'connected', %s)""",
        (account_id, NOW),
    )
    await connection.execute(
        """INSERT INTO trading.orders (order_id, user_id, account_id, exchange, symbol, side, quantity,
               order_type, product, validity, variety, status, made_at, changed_at)
           VALUES (%s, 'usr_test', %s, 'NSE', 'INFY', 'BUY', 1, 'MARKET', 'CNC', 'DAY', 'regular', 'filled',
               %s, %s)""",
        (order_id, account_id, NOW, NOW),
    )
    await connection.execute(
        """INSERT INTO trading.exits (order_id, account_id, user_id, exchange, symbol, product, side,
               quantity, target_price, stop_price, status, changed_at)
           VALUES (%s, %s, 'usr_test', 'NSE', 'INFY', 'CNC', 'SELL', 1, 1600, 1400, 'placing', %s)""",
        (order_id, account_id, NOW),
    )
    return account_id, order_id


async def test_no_trigger_begins_on_a_blocked_account_and_one_that_has_begun_counts_as_leaving(
    connection: Connection,
) -> None:
    account_id, order_id = await exit_of(connection)
    block = "UPDATE trading.accounts SET blocked_by = %s WHERE account_id = %s"
    await connection.execute(block, ("kil_test", account_id))
    assert not await trading_exits.begin(connection, order_id, 1, DAY)
    assert await trading_stops.leaving_triggers(connection, account_id) == []
    await connection.execute(block, (None, account_id))
    assert await trading_exits.begin(connection, order_id, 1, DAY)
    assert await trading_stops.leaving_triggers(connection, account_id) == [order_id]
    await trading_exits.unlock(connection, order_id)


async def test_no_trigger_begins_while_an_earlier_sender_holds_its_lock(
    connection: Connection, database: str
) -> None:
    _, order_id = await exit_of(connection)
    lock = "SELECT pg_advisory_lock(hashtextextended('exit:' || %s, 0))"
    async with Database(database) as other, other.reading() as paused:
        await paused.execute(lock, (order_id,))
        assert not await trading_exits.begin(connection, order_id, 1, DAY)
        await trading_exits.unlock(paused, order_id)
    assert await trading_exits.begin(connection, order_id, 1, DAY)
    await trading_exits.unlock(connection, order_id)
