"""A day's statement on the real database: the price of what is held is that day's, or nobody's."""

from datetime import UTC, date, datetime
from decimal import Decimal

from domain.broker_day import DayStatus
from domain.trading import Side
from models.contracts.identifiers import Prefix, mint
from models.messages.broker import BrokerTrade
from models.messages.broker_days import Holding
from store import broker_days, trading_positions, trading_statements
from store.broker_days import Shown
from store.database import Database

BOUGHT, NEXT, LAST = date(2026, 11, 23), date(2026, 11, 25), date(2026, 11, 26)
NOW = datetime(2026, 11, 25, 11, tzinfo=UTC)


async def test_shares_that_are_held_are_valued_at_each_days_own_price(database: str) -> None:
    async with Database(database) as opened, opened.reading() as connection:
        async with connection.transaction(force_rollback=True):
            account_id = mint(Prefix.ACCOUNT)
            await connection.execute(
                """INSERT INTO trading.accounts (account_id, user_id, broker, status, made_at)
                   VALUES (%s, 'usr_test', 'kite', 'awaiting_login', %s)""",
                (account_id, NOW),
            )
            place = {"exchange": "NSE", "symbol": "INFY", "product": "CNC"}
            bought = BrokerTrade(
                trade_id="t1", broker_order_id="o1", side=Side.BUY, quantity=10, price=Decimal(1500),
                traded_at=NOW, **place,
            )  # fmt: skip
            await trading_positions.add(connection, account_id, None, BOUGHT, [bought])

            before = await trading_statements.statement(connection, account_id, NEXT)
            assert [before["positions"][0][name] for name in ("last_price", "unrealised")] == [None, None]
            assert before["totals"]["unrealised"] is None

            for day, price in ((NEXT, 1510), (LAST, 1490)):
                await broker_days.settle(connection, account_id, day, DayStatus.BALANCED)
                held = Holding(
                    isin="INE009A01021", quantity=10, unsettled=10, average_price=Decimal(1500),
                    last_price=Decimal(price), **place,
                )  # fmt: skip
                await broker_days.keep(connection, account_id, day, Shown([], [held], [], NOW))
            for day, profit in ((NEXT, 100_00), (LAST, -100_00)):
                told = await trading_statements.statement(connection, account_id, day)
                assert told["positions"][0]["unrealised"] == profit
                assert told["totals"]["unrealised"] == profit
