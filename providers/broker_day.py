"""What a broker shows of one account's trading day, whichever broker it is."""

from collections.abc import Sequence
from typing import Protocol

from models.messages.broker import BrokerTrade
from models.messages.broker_days import Charge, DayOrder, DayPosition, Executed, Holding
from providers.broker import Reading


class DayBook(Protocol):
    """One customer's session, for reading. Every call raises the closed set of `domain.errors`;
    `Rejected("session_expired")` means a new login is due."""

    async def orders(self) -> Reading[list[DayOrder]]:
        """Every order of the broker's present day, whoever made it."""
        ...

    async def day_trades(self) -> Reading[list[BrokerTrade]]:
        """Every trade of the broker's present day."""
        ...

    async def positions(self) -> Reading[list[DayPosition]]:
        """Net positions: delivery of the day alone, everything else with what was carried into it."""
        ...

    async def holdings(self) -> Reading[list[Holding]]: ...

    async def triggers(self) -> Reading[list[str]]:
        """Ids of the triggers that stand at the broker and may still fire."""
        ...

    async def drop_trigger(self, trigger_id: str) -> Reading[None]:
        """Takes a trigger back. Raises Rejected where it has fired or is gone."""
        ...

    async def charges(self, executed: Sequence[Executed]) -> Reading[list[Charge]]:
        """What each order costs, by the broker's own calculation."""
        ...
