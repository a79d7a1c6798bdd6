"""The stores ask the table before a state is stored: every pair of states, on the real database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from domain.broker_accounts import KILL_SWITCH_NEXT, KillSwitchStatus
from domain.moves import IllegalMove
from domain.payments import NEXT as PAYMENT_NEXT
from domain.payments import PaymentStatus, Purpose
from domain.trading import NEXT as ORDER_NEXT
from domain.trading import OrderStatus
from models.contracts.identifiers import Prefix, mint
from models.messages.broker_accounts import KillSwitchReport
from store import payments, trading, trading_stops
from store.database import Connection, Database

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """One transaction that is never committed."""
    async with Database(database) as opened, opened.reading() as reading:
        async with reading.transaction(force_rollback=True):
            yield reading


async def _payment(connection: Connection) -> str:
    payment_id = mint(Prefix.PAYMENT)
    new = payments.NewPayment(
        payment_id=payment_id, user_id="usr_test", purpose=Purpose.COURSE, process=f"payment:{payment_id}",
        reference_id=mint(Prefix.ENROLLMENT), title="A course", sac="999293", amount=118_00, currency="INR",
        place_of_supply="KA",
    )  # fmt: skip
    assert await payments.open_payment(connection, new, NOW, "test")
    return payment_id


@pytest.mark.parametrize("captured_at", [NOW, None])
async def test_a_payment_takes_the_steps_of_its_table_and_no_others(
    connection: Connection, captured_at: datetime | None
) -> None:
    """Money that was held and let go, and never taken, is refunded for good: nothing of it can come again."""
    payment_id = await _payment(connection)
    await connection.execute(
        "UPDATE finance.payments SET captured_at = %s WHERE payment_id = %s", (captured_at, payment_id)
    )
    for before in PaymentStatus:
        released = before is PaymentStatus.REFUNDED and captured_at is None
        following = frozenset[PaymentStatus]() if released else PAYMENT_NEXT[before]
        for after in PaymentStatus:
            await _put(connection, "finance.payments", "payment_id", payment_id, before)
            stored = await payments.advance(connection, payment_id, after, "test", NOW)
            assert stored["status"] == (after if after in following else before)


async def test_no_capture_is_booked_from_a_state_that_has_none(connection: Connection) -> None:
    payment_id = await _payment(connection)
    told = dict.fromkeys(("id", "method", "fee", "tax", "token_id", "customer_id"))
    for before in PaymentStatus:
        await _put(connection, "finance.payments", "payment_id", payment_id, before)
        if before is PaymentStatus.CAPTURED or PaymentStatus.CAPTURED in PAYMENT_NEXT[before]:
            await payments.set_captured(connection, payment_id, told, "test", NOW)
            continue
        with pytest.raises(IllegalMove):
            await payments.set_captured(connection, payment_id, told, "test", NOW)


async def test_an_order_takes_the_steps_of_its_table_and_no_others(connection: Connection) -> None:
    account_id, order_id = mint(Prefix.ACCOUNT), mint(Prefix.ORDER)
    await connection.execute(
        """INSERT INTO trading.accounts (account_id, user_id, broker, status, made_at)
           VALUES (%s, 'usr_test', 'kite', 'awaiting_login', %s)""",
        (account_id, NOW),
    )
    await connection.execute(
        """INSERT INTO trading.orders (order_id, user_id, account_id, exchange, symbol, side, quantity,
               order_type, product, validity, variety, status, made_at, changed_at)
           VALUES (%s, 'usr_test', %s, 'NSE', 'INFY', 'BUY', 1, 'MARKET', 'CNC', 'DAY', 'regular', 'queued',
               %s, %s)""",
        (order_id, account_id, NOW, NOW),
    )
    for before in OrderStatus:
        for after in OrderStatus:
            await _put(connection, "trading.orders", "order_id", order_id, before)
            stored = await trading.advance(connection, order_id, after, now=NOW)
            assert stored.status is (after if after in ORDER_NEXT[before] else before)


async def test_a_kill_switchs_report_takes_the_steps_of_its_table(connection: Connection) -> None:
    account_id, switch_id = mint(Prefix.ACCOUNT), "kil_test"
    await connection.execute(
        """INSERT INTO trading.accounts (account_id, user_id, broker, status, made_at)
           VALUES (%s, 'usr_test', 'kite', 'awaiting_login', %s)""",
        (account_id, NOW),
    )
    await connection.execute(
        """INSERT INTO trading.kill_switches (kill_switch_id, account_id, user_id, flatten, status, made_at)
           VALUES (%s, %s, 'usr_test', false, 'blocked', %s)""",
        (switch_id, account_id, NOW),
    )
    for before in KillSwitchStatus:
        for after in KillSwitchStatus:
            await _put(connection, "trading.kill_switches", "kill_switch_id", switch_id, before)
            told = KillSwitchReport(kill_switch_id=switch_id, account_id=account_id, status=after, as_of=NOW)
            await trading_stops.report(connection, told, await trading_stops.told(connection, told), None)
            latest = await trading_stops.latest(connection, account_id)
            assert latest is not None
            assert latest["status"] == (after if after in KILL_SWITCH_NEXT[before] else before)


async def _put(connection: Connection, table: str, column: str, key: str, status: str) -> None:
    await connection.execute(
        f"UPDATE {table} SET status = %s WHERE {column} = %s",
        (status, key),
    )
