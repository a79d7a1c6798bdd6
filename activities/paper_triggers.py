"""Triggers of two legs at the paper broker: the same protocol as a real broker's, on our own rows."""

from decimal import Decimal
from typing import Any

from activities.paper import PaperAccount
from domain.errors import Rejected
from domain.exits import Leg, too_near
from domain.market_calendar import INDIA_2026
from domain.paper_market import phase_of
from domain.trading import Side
from models.contracts.killpoints import Stage, reached
from models.messages.exits import BrokerTrigger
from providers.broker import Reading
from store import paper_triggers, trading_paper
from store.database import Database


class PaperTriggers:
    """`providers.triggers.Triggers` on Postgres. A price that anybody's session reads sets them off in that
    moment (`store.paper_triggers.note`), and once more at each reading of the account."""

    def __init__(self, database: Database, account: PaperAccount) -> None:
        self._database = database
        self._account_id = account.account_id

    async def place(
        self,
        exchange: str,
        symbol: str,
        product: str,
        side: Side,
        quantity: int,
        legs: tuple[Leg, Leg],
        last: Decimal,
    ) -> Reading[str]:
        if too_near(legs, last):
            raise Rejected("broker_refused_input")
        lower, upper = legs
        trigger = {
            **{"exchange": exchange, "symbol": symbol, "product": product},
            **{"side": side.value, "quantity": quantity},
            **{"lower_level": lower.trigger, "lower_price": lower.price},
            **{"upper_level": upper.trigger, "upper_price": upper.price},
        }
        async with self._database.transaction() as connection:
            placed = await paper_triggers.place(connection, self._account_id, trigger)
            now = await trading_paper.now(connection)
        if placed is None:
            raise Rejected("broker_refused_input")
        reached(Stage.AFTER_SEND)  # the broker is in this process: nothing lies between it and its answer
        return Reading(placed, now)

    async def book(self) -> Reading[list[BrokerTrigger]]:
        async with self._database.transaction() as connection:
            now = await trading_paper.now(connection)
            await paper_triggers.fire(connection, self._account_id, phase_of(INDIA_2026, now))
            rows = await paper_triggers.book(connection, self._account_id)
        return Reading([_trigger(row) for row in rows], now)

    async def drop(self, trigger_id: str) -> Reading[str]:
        async with self._database.transaction() as connection:
            if not await paper_triggers.drop(connection, self._account_id, trigger_id):
                raise Rejected("broker_refused_input")
            return Reading(trigger_id, await trading_paper.now(connection))


def _trigger(row: dict[str, Any]) -> BrokerTrigger:
    return BrokerTrigger(
        trigger_id=str(row["trigger_id"]),
        status=row["status"],
        exchange=row["exchange"],
        symbol=row["symbol"],
        side=row["side"],
        levels=(row["lower_level"], row["upper_level"]),
        prices=(row["lower_price"], row["upper_price"]),
        quantity=row["quantity"],
        fired=row["broker_order_id"],
    )
