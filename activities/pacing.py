"""One gate an account, passed immediately before the socket: the broker's calls a second.

A sliding window on the Redis server's clock holds every calendar second of the broker's clock too, however
the two are aligned. The minute and the day are counted in Postgres with the attempt (`store`). Source of
the numbers: kite.trade/docs/connect/v3/exceptions, API rate limit.
"""

import asyncio
import secrets
from collections import defaultdict
from enum import Enum

import redis.exceptions
from redis.asyncio import Redis

from domain.errors import RateLimited

WINDOW_MS = 1100
"""A second, and what two calls' ways to the broker may differ by."""
LONGEST_WAIT_SECONDS = 3.0
WITHOUT_REDIS_SECONDS = 1.0

TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('ZADD', KEYS[1], now, ARGV[3])
    redis.call('PEXPIRE', KEYS[1], 2 * window)
    return 0
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return math.max(1, oldest[2] + window - now)
"""


class Bucket(Enum):
    """Kinds of calls and how many of each Kite takes in a second from one account."""

    ORDER = ("order", 10)
    QUOTE = ("quote", 1)
    HISTORY = ("history", 3)
    READ = ("read", 10)


class Gate:
    """Lets a call through, or holds it until it may go."""

    def __init__(self, client: Redis) -> None:
        self._take = client.register_script(TAKE)
        self._alone: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def passed(self, account_id: str, bucket: Bucket) -> None:
        """Returns when the call may go now.

        Raises:
            RateLimited: so many wait already that it would not go within `LONGEST_WAIT_SECONDS`.
        """
        waited = 0.0
        while pause := await self._try(account_id, bucket):
            waited += pause
            if waited > LONGEST_WAIT_SECONDS:
                raise RateLimited(pause)
            await asyncio.sleep(pause)

    async def _try(self, account_id: str, bucket: Bucket) -> float:
        name, most = bucket.value
        key = f"pace:{name}:{account_id}"
        try:
            answer = await self._take(keys=[key], args=[most, WINDOW_MS, secrets.token_hex(8)])
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            # Nobody counts now: one call a second from this process is within every limit.
            async with self._alone[key]:
                await asyncio.sleep(WITHOUT_REDIS_SECONDS)
            return 0.0
        return int(answer) / 1000
