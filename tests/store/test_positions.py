"""Positions in the record: rebuilt from zero they are identical, and trade events are never changed."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from cli.positions import rebuilt
from domain.trading import Side
from models.messages.broker import BrokerTrade
from models.settings import Settings
from store import trading_positions
from store.database import Database

DAY = date(2026, 11, 23)
MORNING = datetime(2026, 11, 23, 4, tzinfo=UTC)
SEED = 20261123


def executions(number: int) -> list[BrokerTrade]:
    chance = random.Random(SEED)
    return [
        BrokerTrade(
            trade_id=f"t{each}",
            broker_order_id=f"b{each % 7}",
            exchange="NSE",
            symbol=chance.choice(("INFY", "TCS")),
            product=chance.choice(("CNC", "MIS")),
            side=chance.choice(tuple(Side)),
            quantity=chance.randint(1, 50),
            price=Decimal(chance.randint(1000, 99999)) / 20,
            traded_at=MORNING + timedelta(seconds=chance.randint(0, 200000)),
        )
        for each in range(number)
    ]


@pytest.fixture
async def store(database: str):  # type: ignore[no-untyped-def]
    async with Database(database, max_size=2) as opened:
        async with opened.transaction() as connection:
            await connection.execute(
                """INSERT INTO trading.accounts (account_id, user_id, broker, status, made_at)
                   VALUES ('acc_1', 'usr_1', 'paper', 'connected', now()) ON CONFLICT DO NOTHING"""
            )
        yield opened


async def test_rebuilt_from_zero_they_are_identical_and_a_fault_is_found_and_mended(
    store: Database, database: str
) -> None:
    for each in executions(120):
        async with store.transaction() as connection:
            await trading_positions.add(connection, "acc_1", None, DAY, [each])
    config = Settings(postgres=database)
    assert await rebuilt(config, repair=False) == (1, {})
    async with store.transaction() as connection:
        await connection.execute("UPDATE trading.positions SET realised = realised + 1 WHERE symbol = 'INFY'")
    different = {"acc_1": ["NSE/INFY/CNC", "NSE/INFY/MIS"]}
    assert await rebuilt(config, repair=False) == (1, different)
    assert await rebuilt(config, repair=False) == (1, different), "only looking changes nothing"
    assert await rebuilt(config, repair=True) == (1, different)
    assert await rebuilt(config, repair=False) == (1, {})


@pytest.mark.parametrize(
    "change",
    ["UPDATE trading.trades SET quantity = 1", "DELETE FROM trading.trades", "TRUNCATE trading.trades"],
)
async def test_trade_events_are_never_changed(store: Database, change: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        async with store.transaction() as connection:
            await connection.execute(change)
