"""What signals do to the record, and what they learn from the market."""

import asyncio
import hashlib
import time
from contextlib import suppress
from datetime import UTC, timedelta

from pydantic_core import to_json
from temporalio import activity

from activities.brokers import beating
from activities.market_data import House, QuoteBoard
from domain.errors import Rejected
from domain.market_calendar import INDIA_2026, session_end
from domain.signals import reached
from models.messages.signals import (
    CloseSignal,
    DraftSignal,
    EnterSignal,
    ExchangeMarketToken,
    MarketSession,
    Priced,
    PriceNow,
    PublishSignal,
    Sighting,
    Standing,
    WatchMarket,
)
from store import notes, signals, signals_market
from store.database import Connection, Database
from store.vault import Vault
from workflows.ports.signals import SignalPort

WATCH_FOR = timedelta(minutes=10)
"""One activity's watch: long enough that a day leaves few events, short enough to move between workers."""
PAUSE_SECONDS = 1.0
UNSEEN_PAUSE_SECONDS = 60.0
"""While the house is not signed in at the broker, or the instrument has no price."""
LONGEST_PAUSE_SECONDS = 3600.0
"""While the market is shut: the next look is at its opening, or after this."""


class SignalActivities(SignalPort):
    """`workflows.ports.signals.SignalPort`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    @activity.defn(name="signals.draft")
    async def draft(self, command: DraftSignal) -> Standing:
        """The signal's row, once."""
        async with self._database.transaction() as connection:
            return await signals.add_draft(connection, command.signal, command.as_of)

    @activity.defn(name="signals.publish")
    async def publish(self, command: PublishSignal) -> Standing:
        """Makes a draft public with its event, once; a refusal comes back as a standing."""
        async with self._database.transaction() as connection:
            return await signals.publish(
                connection,
                command.signal_id,
                published_by=command.published_by,
                registration_number=command.registration_number,
                seal=await self._seal(connection, command),
                market=command.market,
                now=command.as_of,
            )

    @activity.defn(name="signals.enter")
    async def enter(self, command: EnterSignal) -> Standing:
        """The first price seen after publication, once."""
        async with self._database.transaction() as connection:
            return await signals.enter(
                connection, command.signal_id, command.price, command.seen_at, command.as_of
            )

    @activity.defn(name="signals.close")
    async def close(self, command: CloseSignal) -> Standing:
        """The signal's end with its true return, once: the first end stands."""
        async with self._database.transaction() as connection:
            return await signals.close(
                connection,
                command.signal_id,
                command.status,
                exit_price=command.exit_price,
                reason_note=command.reason_note,
                now=command.as_of,
            )

    async def _seal(self, connection: Connection, command: PublishSignal) -> bytes:
        """Who published what: the API's signed word beside the digest of terms and texts."""
        row = await signals.find(connection, command.signal_id)
        if row is None:
            raise Rejected("signal_unknown")
        texts = [
            await notes.read(connection, self._vault, row[name])
            for name in ("rationale_note", "disclosure_note")
        ]
        told = {name: row[name] for name in signals.TOLD if name not in ("status", "version", "published_at")}
        digest = hashlib.sha256(to_json([told, texts])).hexdigest()
        return to_json({"sha256": digest, **command.assertion.model_dump()})


class MarketActivities:
    """Of `workflows.ports.signals.MarketPort`: watching, and the house's session."""

    def __init__(self, database: Database, vault: Vault, house: House) -> None:
        self._database = database
        self._vault = vault
        self._house = house
        self._board = QuoteBoard(house)

    @activity.defn(name="signals.watch")
    async def watch(self, command: WatchMarket) -> Sighting:
        """Looks until a level is reached, the first price is there, the market cannot be seen, or the watch
        is over. Changes nothing."""
        over = time.monotonic() + WATCH_FOR.total_seconds()
        last = Sighting()
        async with beating():
            while time.monotonic() < over and not activity.is_worker_shutdown():
                seen = await self._look(command)
                if seen.price is None:
                    return last.model_copy(update={"pause_seconds": seen.pause_seconds})
                last = seen
                if seen.reached is not None or not command.entered:
                    break
                await _pause(PAUSE_SECONDS)
        return last

    @activity.defn(name="signals.price_now")
    async def price_now(self, command: PriceNow) -> Priced:
        """The last price, while the market is shut too: it is the last that anybody traded at."""
        try:
            found = await self._board.price((command.exchange, command.symbol))
        except Rejected:
            return Priced()
        return Priced(price=found[0], seen_at=found[1]) if found else Priced()

    @activity.defn(name="signals.open_market_data")
    async def open_market_data(self, command: ExchangeMarketToken) -> MarketSession:
        """Spends the request token for a session.

        Raises Rejected `login_refused`; Unknown for a lost answer, after which someone signs in again.
        """
        async with self._database.reading() as connection:
            opened = await signals_market.session_of(connection, command.session_id)
            token = await notes.read(connection, self._vault, command.token_note)
        if opened is not None:
            return opened
        async with beating():
            try:
                grant = await self._house.kite.exchange(token or "")
            except Rejected:
                raise Rejected("login_refused") from None
        expires_at = session_end(grant.at).astimezone(UTC)
        async with self._database.transaction() as connection:
            await signals_market.open_session(
                connection,
                self._vault,
                session_id=command.session_id,
                opened_by=command.opened_by,
                access_token=grant.value.access_token,
                opened_at=command.as_of,
                expires_at=expires_at,
            )
        return MarketSession(session_id=command.session_id, expires_at=expires_at)

    async def _look(self, command: WatchMarket) -> Sighting:
        """The market's price now, or none and how long to leave it alone.

        Raises Unavailable, RateLimited: the server tries the watch again.
        """
        exchange, symbol = command.terms.exchange, command.terms.symbol
        try:
            found = await self._board.price((exchange, symbol))
        except Rejected:
            return Sighting(pause_seconds=UNSEEN_PAUSE_SECONDS)
        if found is None:
            return Sighting(pause_seconds=UNSEEN_PAUSE_SECONDS)
        price, at = found
        # While the exchange is shut a quote repeats the last close: nobody could have traded at it.
        if not INDIA_2026.is_open(exchange, at):
            shut = (INDIA_2026.next_open(exchange, at) - at).total_seconds()
            return Sighting(pause_seconds=min(shut, LONGEST_PAUSE_SECONDS))
        return Sighting(price=price, seen_at=at, reached=reached(command.terms.levels, price))


async def _pause(seconds: float) -> None:
    """Waits; less where the worker is asked to stop."""
    with suppress(TimeoutError):
        await asyncio.wait_for(activity.wait_for_worker_shutdown(), seconds)
