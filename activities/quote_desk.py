"""Quotes of an account's orders: those who wait for its turn together are served by one call."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg_pool import PoolTimeout

from activities.pacing import Bucket
from activities.paper import heard
from models.messages.broker import MarketQuote
from providers.broker import Name, Quotes, Reading
from store import trading_market
from store.database import Database
from store.vault import Vault

if TYPE_CHECKING:
    from activities.brokers import Brokers, Session

MOST_NAMES = 500
"""In one call (kite.trade/docs/connect/v3/market-quotes)."""


@dataclass
class Together:
    """Whoever waits for the same turn; `answer` is theirs once it came."""

    names: set[Name] = field(default_factory=set)
    answer: "asyncio.Task[Reading[Quotes]] | None" = None


class QuoteDesk:
    """Of one process: a turn is the account's, whichever process has it (`activities.pacing`)."""

    def __init__(self, brokers: "Brokers", database: Database, vault: Vault) -> None:
        self._brokers = brokers
        self._database = database
        self._vault = vault
        self._waiting: dict[str, Together] = {}

    async def quote(self, session: "Session", name: Name) -> Reading[MarketQuote | None]:
        """The quote of one symbol, asked for after this call began; None for one that is unknown.

        Raises what `Brokers.call` raises.
        """
        account = session.account.account_id
        together = self._waiting.get(account)
        if together is None or together.answer is None or len(together.names) >= MOST_NAMES:
            together = self._waiting[account] = Together()
            together.answer = asyncio.create_task(self._ask(session, together))
            # Where everybody who waited has been cancelled, nobody asks what became of it.
            together.answer.add_done_callback(lambda task: task.cancelled() or task.exception())
        together.names.add(name)
        # Shielded: one that gives up must not take the answer from the others.
        told = await asyncio.shield(together.answer)
        return Reading(told.value.get(name), told.at)

    async def _ask(self, session: "Session", together: Together) -> Reading[Quotes]:
        try:
            answer = await self._brokers.call(session, Bucket.QUOTE, self._at_its_turn(session, together))
        finally:
            self._leave(session, together)
        await self._keep(session.account.broker, answer)
        return answer

    async def _at_its_turn(self, session: "Session", together: Together) -> Reading[Quotes]:
        self._leave(session, together)  # whoever comes from here on waits for the next turn
        return await session.broker.quotes(sorted(together.names))

    async def _keep(self, broker: str, answer: Reading[Quotes]) -> None:
        """For every account's orders of the next seconds, and as the paper broker's market. Who asked is not
        held up by a note that could not be written: the next one asks again."""
        with suppress(psycopg.Error, PoolTimeout):
            async with self._database.reading() as connection:
                await trading_market.store_quotes(connection, broker, list(answer.value.values()), answer.at)
        prices = {name: quote.last_price for name, quote in answer.value.items()}
        await heard(self._database, self._vault, prices, answer.at)

    def _leave(self, session: "Session", together: Together) -> None:
        if self._waiting.get(session.account.account_id) is together:
            del self._waiting[session.account.account_id]
