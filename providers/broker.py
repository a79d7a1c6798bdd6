"""What a broker does for one account, whichever broker it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from domain.trading import Exchange
from models.messages.broker import BrokerOrder, BrokerTrade, Instrument, MarginAnswer, MarketQuote
from models.messages.trading import Modify, OrderTerms

T = TypeVar("T", covariant=True)
Name = tuple[Exchange, str]
"""Exchange and symbol of an instrument."""
Quotes = dict[Name, MarketQuote]


@dataclass(frozen=True)
class Reading(Generic[T]):
    """An answer and the broker's own time when it gave it: the clock that market hours follow."""

    value: T
    at: datetime


class Broker(Protocol):
    """One customer's session. Every call raises the closed set of `domain.errors`.

    `Rejected("session_expired")` means a new login is due. `place` alone raises `Unknown`; from it,
    `RateLimited` and `Unavailable` say that nothing has reached the broker.
    """

    async def place(self, terms: OrderTerms, tag: str) -> Reading[str]:
        """Sends an order; the broker's order id: taken by its order management, no more."""
        ...

    async def modify(self, variety: str, broker_order_id: str, change: Modify) -> Reading[str]: ...

    async def cancel(self, variety: str, broker_order_id: str) -> Reading[str]: ...

    async def book(self) -> Reading[list[BrokerOrder]]:
        """Every order of the trading day, in no particular order."""
        ...

    async def order(self, broker_order_id: str) -> Reading[BrokerOrder]:
        """The order's latest state. Raises Rejected where the day's book does not have it."""
        ...

    async def trades(self, broker_order_id: str) -> Reading[list[BrokerTrade]]: ...

    async def quotes(self, names: Sequence[Name]) -> Reading[Quotes]:
        """By exchange and symbol; what the broker does not know is left out."""
        ...

    async def margin(self, terms: OrderTerms) -> Reading[MarginAnswer]: ...

    async def instruments(self) -> Reading[list[Instrument]]: ...
