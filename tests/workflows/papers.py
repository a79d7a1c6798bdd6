"""A customer with a paper account beside one at the real broker, whose session reads the market."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.brokers import Brokers
from cli.embedded import EmbeddedEngines
from models.messages.trading import BrokerEvent
from tests.workflows.traders import Floor, Trader, eventually, floor_of, signalled, working

SYMBOL = "SBIN"
"""A share that no other test's signal orders hold."""


@dataclass
class PaperDesk:
    """`reader`: whose session reads the market of `SYMBOL`; `trader` holds the paper account."""

    floor: Floor
    brokers: Brokers
    reader: Trader
    trader: Trader

    async def market(self, price: float) -> None:
        """The real market trades at `price`, and a session of somebody else's reads it."""
        await self.floor.market(SYMBOL, price=price)
        session = await self.brokers.session(self.reader.account_id)
        assert session is not None
        quote = await self.brokers.quote(session, "NSE", SYMBOL)
        assert quote.value is not None
        assert quote.value.last_price == Decimal(str(price))

    async def acted(self, quantity: int = 10) -> str:
        """A filled paper order at 880 on a signal: target 900, stop 860."""
        # Another test's market may have been heard last, at another hour.
        await self.floor.rows("DELETE FROM trading.last_prices RETURNING symbol")
        await self.market(880)
        origin = signalled(880, 900, 860)
        answer = await self.floor.place(
            self.trader, symbol=SYMBOL, price=Decimal(880), quantity=quantity, origin=origin
        )
        await self.floor.reaches(answer["order_id"], "filled")
        return str(answer["order_id"])

    async def held_for_the_day(self) -> str:
        """A filled intraday order at 880, a minute before the broker closes such positions."""
        await self.floor.rows("DELETE FROM trading.last_prices RETURNING symbol")
        await self.floor.clock("2026-11-23T15:19:00+05:30")
        await self.market(880)
        answer = await self.floor.place(
            self.trader, symbol=SYMBOL, price=Decimal(880), quantity=3, product="MIS"
        )
        await self.floor.reaches(answer["order_id"], "filled")
        return str(answer["order_id"])

    async def followed(self) -> bool:
        """Whether somebody waits for the closing."""
        follower = self.floor.client.get_workflow_handle(f"foreign-orders:{self.trader.account_id}")
        return (await follower.describe()).status is WorkflowExecutionStatus.RUNNING

    async def closing_time(self) -> None:
        """The market's clock is moved; in life who follows the account has a timer for it."""
        await self.floor.clock("2026-11-23T15:20:30+05:30")
        await self.market(881)
        follower = self.floor.client.get_workflow_handle(f"foreign-orders:{self.trader.account_id}")
        await follower.signal("broker_event", BrokerEvent(event_number=1))

    async def exit_is(self, order_id: str, *statuses: str) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            rows = await self.floor.rows("SELECT * FROM trading.exits WHERE order_id = %s", order_id)
            return rows[0] if rows and rows[0]["status"] in statuses else None

        return await eventually(there, f"the exit of {order_id} to be {statuses}")

    async def triggers(self) -> list[dict[str, Any]]:
        return await self.floor.rows(
            "SELECT * FROM trading.paper_triggers WHERE account_id = %s ORDER BY trigger_id",
            self.trader.account_id,
        )

    async def flat(self) -> None:
        """Until the position holds nothing: what was fired is in the book, once."""

        async def closed() -> bool:
            return (await self.floor.position(self.trader))["quantity"] == 0

        await eventually(closed, "the fired order's trades to be in the position")
        sold = await self.floor.rows(
            "SELECT sum(quantity) AS sold FROM trading.trades WHERE account_id = %s AND side = 'SELL'",
            self.trader.account_id,
        )
        bought = await self.floor.rows(
            "SELECT sum(quantity) AS bought FROM trading.trades WHERE account_id = %s AND side = 'BUY'",
            self.trader.account_id,
        )
        assert sold[0]["sold"] == bought[0]["bought"]


@asynccontextmanager
async def paper_desk(floor: Floor) -> AsyncIterator[PaperDesk]:
    redis = Redis.from_url(floor.settings.redis, socket_timeout=2.0)
    try:
        brokers = Brokers(floor.settings, floor.database, floor.vault, redis)
        reader = await floor.trader()
        await floor.market(SYMBOL, price=880)
        # A real order has the day's list read, which paper trades on too.
        first = await floor.place(reader, symbol=SYMBOL, price=Decimal(880), quantity=1)
        await floor.reaches(first["order_id"], "filled")
        user_id = await floor.customer()
        begun = await floor.begin(user_id, "paper")
        yield PaperDesk(floor, brokers, reader, Trader(user_id, begun.body["account_id"], ""))
    finally:
        await redis.aclose()
        # What a test leaves held goes on being watched.
        for row in await floor.rows(
            "SELECT order_id FROM trading.exits WHERE status NOT IN ('filled', 'cancelled')"
        ):
            with suppress(RPCError):  # it has just ended by itself
                await floor.client.get_workflow_handle(f"exit:{row['order_id']}").terminate()


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


@pytest.fixture
async def desk(floor: Floor) -> AsyncIterator[PaperDesk]:
    async with paper_desk(floor) as desk:
        yield desk
    await floor.clock()
