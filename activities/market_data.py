"""The house's market data: one session at the broker, one pace for all workers, one call for all watchers."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from redis.asyncio import Redis

from activities.pacing import Bucket, Gate
from activities.paper import heard
from domain.errors import Rejected
from models.messages.broker import Instrument
from models.settings import Settings
from providers.broker import Name, Reading
from providers.candles import HouseMarket
from providers.kite import Kite
from store import signals_market
from store.database import Database
from store.vault import Vault

T = TypeVar("T")

ACCOUNT = "house"
"""Whose pace is counted: all of the house's calls are one account's at the broker."""
MOST_PRICES = 1000


class House:
    """The house's calls at Kite."""

    def __init__(self, settings: Settings, database: Database, vault: Vault, redis: Redis) -> None:
        secret = settings.kite_api_secret.get_secret_value()
        self.kite = Kite(settings.kite_base, settings.kite_api_key, secret)
        self._gate = Gate(redis, database)
        self._database = database
        self._vault = vault

    async def call(
        self, bucket: Bucket, ask: Callable[[HouseMarket], Coroutine[Any, Any, Reading[T]]]
    ) -> Reading[T]:
        """One call by the newest session.

        Raises Rejected `market_data_closed`: nobody of the house is signed in at the broker.
        """
        while True:
            async with self._gate.turn(ACCOUNT, bucket):
                # Read after the gate: while it held us someone may have signed in anew, which ends older
                # sessions.
                session = await self._newest()
                if session is None:
                    raise Rejected("market_data_closed")
                session_id, token = session
                try:
                    return await ask(HouseMarket(self.kite, token))
                except Rejected as refusal:
                    if refusal.code != "session_expired":
                        raise
            async with self._database.reading() as connection:
                await signals_market.end_session(connection, session_id, datetime.now(UTC))

    async def prices(self, names: Sequence[Name]) -> Reading[dict[Name, Decimal]]:
        """Last prices by one call; they are the paper broker's market too."""
        reading = await self.call(Bucket.QUOTE, lambda market: market.prices(names))
        await heard(self._database, self._vault, reading.value, reading.at)
        return reading

    async def is_open(self) -> bool:
        """Whether somebody of the house is signed in."""
        return await self._newest() is not None

    async def instruments(self) -> Reading[list[Instrument]]:
        """The broker's list of the day."""
        return await self.call(Bucket.READ, lambda market: market.instruments())

    async def _newest(self) -> tuple[str, str] | None:
        async with self._database.reading() as connection:
            return await signals_market.newest_token(connection, self._vault)


@dataclass(frozen=True)
class Look:
    """One reading for everyone who watched when it was made."""

    asked: frozenset[Name]
    prices: dict[Name, Decimal]
    at: datetime


class QuoteBoard:
    """Last prices of what this process watches: at most one call at a time, whoever waits for it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._watched: Counter[Name] = Counter()
        self._looking: asyncio.Task[Look] | None = None

    async def price(self, name: Name) -> tuple[Decimal, datetime] | None:
        """A price read after this call began, with the broker's time of it; None for an unknown name.

        Raises what `House.call` raises.
        """
        self._watched[name] += 1
        try:
            while True:
                if self._looking is None or self._looking.done():
                    self._looking = asyncio.create_task(self._look())
                    # Where everybody who waited has given up, nobody asks what became of it.
                    self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())
                # Shielded: one watcher that gives up must not take the reading from the others.
                look = await asyncio.shield(self._looking)
                if name in look.asked:
                    found = look.prices.get(name)
                    return None if found is None else (found, look.at)
        finally:
            self._watched[name] -= 1
            if not self._watched[name]:
                del self._watched[name]

    async def _look(self) -> Look:
        # A moment for the watchers who come together, so that they share one call.
        await asyncio.sleep(0.02)
        asked = list(self._watched)[:MOST_PRICES]
        reading = await self.house.prices(asked)
        return Look(frozenset(asked), reading.value, reading.at)
