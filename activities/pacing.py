"""One gate an account, passed immediately before the socket: the broker's calls a second.

A sliding window on the Redis server's clock holds every calendar second of the broker's clock too, however
the two are aligned. What must hold through every restart is in Postgres: an order's second, minute and day
with its attempt (`store.trading_attempts`), quotes and history by turns (`store.read_turns`). Source of the
numbers: kite.trade/docs/connect/v3/exceptions, API rate limit.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum

import psycopg
import redis.exceptions
from psycopg_pool import PoolTimeout
from redis.asyncio import Redis

from domain.errors import RateLimited, TreumError
from store import read_turns
from store.database import Database

WINDOW_MS = 1100
"""A second, and what two calls' ways to the broker may differ by."""
LONGEST_WAIT_SECONDS = 3.0
WITHOUT_REDIS_SECONDS = 1.0
POLL_SECONDS = 0.1
"""How often a turn is looked at that somebody holds: when the answer comes nobody knows."""

# Places in the window, also to come: who is given one waits for it and asks no more, in the order of asking.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local longest, calls = tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local at = now
local before = redis.call('ZRANGE', KEYS[1], calls - most - 1, calls - most - 1, 'WITHSCORES')
if before[2] then at = math.max(now, before[2] + window) end
local wait = at - now
if wait > longest then return {0, wait} end
for call = 1, calls do redis.call('ZADD', KEYS[1], at, ARGV[5] .. call) end
redis.call('PEXPIRE', KEYS[1], wait + 2 * window)
return {1, wait}
"""


class Bucket(Enum):
    """Kinds of calls and how many of each Kite takes in a second from one account.

    ORDER is placing alone; changing and cancelling are among `READ`, Kite's "all other endpoints".
    """

    ORDER = ("order", 10)
    QUOTE = ("quote", 1)
    HISTORY = ("history", 3)
    READ = ("read", 10)


BY_TURNS = frozenset({Bucket.QUOTE, Bucket.HISTORY})


class Gate:
    """Lets a call through, or holds it until it may go."""

    def __init__(self, client: Redis, database: Database) -> None:
        self._database = database
        self._take = client.register_script(TAKE)
        self._alone: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def turn(self, account_id: str, bucket: Bucket, calls: int = 1) -> AsyncIterator[None]:
        """Entered when the call may go now; to be left once it is answered.

        Raises RateLimited as `passed` does. Without Postgres no quote and no history is asked for.
        """
        if bucket not in BY_TURNS:
            await self.passed(account_id, bucket, calls)
            yield
            return
        kind, most = bucket.value
        holder = secrets.token_hex(8)
        await self._turn_comes(account_id, kind, most, holder)
        try:
            yield
        except TreumError:
            await self._over(account_id, kind, holder)
            raise
        # A call that was given up, its caller cancelled, may still leave: its turn is held to the end.
        await self._over(account_id, kind, holder)

    async def _turn_comes(self, account_id: str, kind: str, most: int, holder: str) -> None:
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            async with self._database.reading() as connection:
                pause = await read_turns.take(connection, account_id, kind, most, holder)
            if not pause:
                return
            pause = min(pause, POLL_SECONDS)
            if time.monotonic() + pause > until:
                raise RateLimited(1.0)
            await asyncio.sleep(pause)

    async def _over(self, account_id: str, kind: str, holder: str) -> None:
        with suppress(psycopg.Error, PoolTimeout):  # then the turn is held longer than it need be
            async with self._database.reading() as connection:
                await read_turns.answered(connection, account_id, kind, holder)

    async def passed(self, account_id: str, bucket: Bucket, calls: int = 1) -> None:
        """Returns when so many calls may go now; not for quotes and history, which go by turns.

        Raises:
            RateLimited: so many wait already that it would not go within `LONGEST_WAIT_SECONDS`.
        """
        name, most = bucket.value
        key = f"pace:{name}:{account_id}"
        longest, name_of_call = LONGEST_WAIT_SECONDS * 1000, secrets.token_hex(8)
        try:
            given, wait = await self._take(keys=[key], args=[most, WINDOW_MS, longest, calls, name_of_call])
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            # Nobody counts now: one call a second from this process is within every limit.
            async with self._alone[key]:
                await asyncio.sleep(WITHOUT_REDIS_SECONDS * calls)
            return
        if not given:
            raise RateLimited(wait / 1000)
        if wait:
            await asyncio.sleep(wait / 1000)
