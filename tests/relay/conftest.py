"""A record and a Redis database of the module's own, and a publisher between them."""

import secrets
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from cli.embedded import EmbeddedEngines
from models.contracts.topics import stream
from relay.publisher import Publisher
from store.database import Database

OWN_DATABASE = 7


class Line:
    """One topic's stream in Redis, as its readers see it."""

    def __init__(self, redis: Redis, topic: str) -> None:
        self.redis = redis
        self.topic = topic

    async def read(self) -> list[tuple[int, str]]:
        """(sequence, key) of each entry, in the stream's order."""
        entries = await self.redis.xrange(stream(self.topic))
        return [(int(name.split(b"-")[0]), fields[b"key"].decode()) for name, fields in entries]


@pytest.fixture(scope="module")
async def record(database: str) -> AsyncIterator[Database]:
    async with Database(database) as opened:
        yield opened


@pytest.fixture(scope="module")
async def redis(engines: EmbeddedEngines) -> AsyncIterator[Redis]:
    client = Redis.from_url(engines.settings.redis, db=OWN_DATABASE, socket_timeout=2.0)
    yield client
    await client.aclose()


@pytest.fixture
def line(redis: Redis) -> Line:
    return Line(redis, f"topic-{secrets.token_hex(4)}")


@pytest.fixture
def publisher(record: Database, redis: Redis) -> Publisher:
    return Publisher(record, redis)
