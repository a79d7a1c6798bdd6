"""From an account of ours to the broker's session behind it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import psycopg
from psycopg_pool import PoolTimeout
from redis.asyncio import Redis
from temporalio import activity

from activities.market_data import House, QuoteBoard
from activities.pacing import Bucket, Gate
from activities.paper import PaperAccount
from activities.quote_desk import QuoteDesk
from domain.errors import TreumError, Unavailable, Unknown
from domain.trading import Exchange
from models.messages.broker import MarketQuote
from models.settings import Settings
from providers.broker import Broker, Reading
from providers.kite import Kite
from store import broker_health, trading_accounts
from store.database import Connection, Database
from store.trading_accounts import Account
from store.vault import Vault

T = TypeVar("T")

CLOCK_FRESH = 5.0
"""Seconds for which a broker's time is carried on by our monotonic clock; then it is asked again."""
HEARTBEAT_SECONDS = 0.5
PAPER = "paper"


@dataclass(frozen=True)
class Session:
    """An account with a live session."""

    account: Account
    broker: Broker
    ailing: bool = False
    """The broker failed to answer lately: its next answer is to be noted."""


class BrokerClock:
    """The broker's time as last heard, carried on by the monotonic clock: never the host's time of day."""

    def __init__(self) -> None:
        self._heard: tuple[datetime, float] | None = None

    def heard(self, at: datetime) -> None:
        self._heard = at, time.monotonic()

    def now(self) -> datetime | None:
        if self._heard is None or time.monotonic() - self._heard[1] > CLOCK_FRESH:
            return None
        return self._heard[0] + timedelta(seconds=time.monotonic() - self._heard[1])


class Brokers:
    """Sessions by account, with the gate of each account's pace."""

    def __init__(self, settings: Settings, database: Database, vault: Vault, client: Redis) -> None:
        secret = settings.kite_api_secret.get_secret_value()
        self.kite = Kite(settings.kite_base, settings.kite_api_key, secret, algo_id=settings.kite_algo_id)
        self.gate = Gate(client, database)
        self._database = database
        self._vault = vault
        self._clocks: dict[str, BrokerClock] = {}
        self._tokens: dict[str, tuple[bytes, str]] = {}
        self._desk = QuoteDesk(self, database, vault)
        self._board = QuoteBoard(House(settings, database, vault, client))

    async def session(self, account_id: str) -> Session | None:
        """The account's session, None where there is none any more.

        Raises Unavailable `broker_down` while nobody asks a broker that does not answer; once its pause is
        over one caller is let through, to find out for all.
        """
        async with self._database.reading() as connection:
            account = await trading_accounts.account_of(connection, account_id)
            if account is None or account.status != "connected":
                return None
            if account.broker == PAPER:
                return Session(account, PaperAccount(self._database, account_id, self._board))
            token = await self._token(connection, account)
            health = await broker_health.ask(connection, account.broker) if token else None
        if token is None or health is None:
            return None
        if health.wait:
            raise Unavailable("broker_down", health.wait)
        return Session(account, self.kite.account(token), health.ailing)

    async def _token(self, connection: Connection, account: Account) -> str | None:
        """Opened once a session and process: the person's ring is a row that opening writes to."""
        known = self._tokens.get(account.account_id)
        if known is not None and known[0] == account.access_token:
            return known[1]
        token = await trading_accounts.token_of(connection, self._vault, account)
        if account.access_token is None or token is None:
            self._tokens.pop(account.account_id, None)
            return None
        self._tokens[account.account_id] = account.access_token, token
        return token

    async def closed(self, account_id: str) -> bool:
        """Whether the customer has taken the connection back for good."""
        async with self._database.reading() as connection:
            account = await trading_accounts.account_of(connection, account_id)
        return account is None or account.status == "closed"

    async def lost(self, session: Session) -> None:
        """The broker does not know the session any more: a new login is due. Late word of an old session does
        not end the one that has taken its place."""
        async with self._database.transaction() as connection:
            await trading_accounts.end_session(
                connection,
                session.account.account_id,
                close=False,
                token=session.account.access_token,
            )

    def algo_id(self, session: Session) -> str:
        """What our orders name themselves by at that broker; paper asks for nothing."""
        return self.kite.algo_id if session.account.broker != PAPER else "PAPER"

    def clock(self, broker: str) -> BrokerClock:
        return self._clocks.setdefault(broker, BrokerClock())

    async def call(
        self, session: Session, bucket: Bucket, call: Coroutine[Any, Any, Reading[T]], calls: int = 1
    ) -> Reading[T]:
        """Passes the gate, makes the call, hears its time, and notes whether the broker answers. `calls`: how
        many of the broker's it is."""
        paper = session.account.broker == PAPER
        try:
            async with nullcontext() if paper else self.gate.turn(session.account.account_id, bucket, calls):
                answer = await self.noted(session, call)
        finally:
            call.close()  # where its turn never came
        self.clock(session.account.broker).heard(answer.at)
        return answer

    async def passed(self, session: Session, bucket: Bucket) -> None:
        """Passes the gate of the account's pace; paper has none. Raises RateLimited."""
        if session.account.broker != PAPER:
            await self.gate.passed(session.account.account_id, bucket)

    async def quote(self, session: Session, exchange: Exchange, symbol: str) -> Reading[MarketQuote | None]:
        """A quote by `call`, together with whoever waits for one of the same account; paper has no pace."""
        if session.account.broker == PAPER:
            told = await self.call(session, Bucket.QUOTE, session.broker.quotes([(exchange, symbol)]))
            return Reading(told.value.get((exchange, symbol)), told.at)
        return await self._desk.quote(session, (exchange, symbol))

    async def noted(self, session: Session, call: Coroutine[Any, Any, Reading[T]]) -> Reading[T]:
        """Makes a call that has passed its gate, and notes whether the broker answers at all."""
        try:
            answer = await call
        except (Unavailable, Unknown):
            await self._note(session, answered=False)
            raise
        except TreumError:
            await self._note(session, answered=True)
            raise
        await self._note(session, answered=True)
        return answer

    async def _note(self, session: Session, *, answered: bool) -> None:
        if session.account.broker == PAPER or (answered and not session.ailing):
            return
        # A call's own fate is never hidden behind a note that could not be written.
        with suppress(psycopg.Error, PoolTimeout):
            async with self._database.reading() as connection:
                if answered:
                    await broker_health.answered(connection, session.account.broker)
                else:
                    await broker_health.failed(connection, session.account.broker)


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Heartbeats while a provider is called, so that a lost worker is noticed within seconds."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            activity.heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def to_the_end(work: Awaitable[T]) -> T:
    """Awaits work that a cancelled activity must not leave behind half done: it is finished first."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
