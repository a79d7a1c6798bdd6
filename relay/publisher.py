"""Outbox to Redis Streams: one leader numbers what has committed, then adds it under that number.

A plain "id greater than the last" would skip a transaction that took its id early and committed late. Here
the sequence is given after commit by the holder of an advisory lock. A crash between adding and marking
repeats the add, and Redis refuses an entry id that is not above the stream's last.
"""

import asyncio
from datetime import UTC, datetime

import psycopg
import structlog
from prometheus_client import Counter, Gauge
from psycopg_pool import PoolTimeout
from pydantic_core import to_json
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from models.contracts.topics import KEPT_IN_REDIS, stream
from relay.listener import Wakeup
from store import topics
from store.database import Connection, Database

log = structlog.get_logger()
BATCH = 500
PUBLISHED = Counter("treum_relay_published", "Events added to a topic's stream", ["topic"])
LAG = Gauge("treum_relay_lag_seconds", "Age of the event published last, at its publication", ["topic"])


class Publisher:
    def __init__(self, database: Database, redis: Redis) -> None:
        self._database = database
        self._redis = redis

    async def run(self, wake: Wakeup) -> None:
        """Leads if nobody else does, publishes what there is, sleeps until woken; for ever."""
        while True:
            try:
                async with self._database.reading() as connection:
                    if await topics.try_lead(connection):
                        try:
                            await self._lead(connection, wake)
                        finally:
                            await topics.resign(connection)
            except (psycopg.OperationalError, PoolTimeout, RedisError, OSError) as error:
                log.warning("relay_pause", error=type(error).__name__)
            await asyncio.sleep(0.5)

    async def _lead(self, connection: Connection, wake: Wakeup) -> None:
        while True:
            await self.publish(connection)
            await wake.wait(1.0)

    async def publish(self, connection: Connection) -> int:
        """Numbers and publishes until nothing is left; how many events."""
        total = 0
        while True:
            await topics.number_fresh(connection, BATCH)
            batch = await topics.unpublished(connection, BATCH)
            if not batch:
                return total
            for event in batch:
                await self._add(event)
            for topic in {event.topic for event in batch}:
                newest = max(event.sequence for event in batch if event.topic == topic)
                await topics.mark_published(connection, topic, newest)
            total += len(batch)

    async def _add(self, event: topics.Published) -> None:
        fields = {
            "key": event.key,
            "type": event.type,
            "at": event.made_at.isoformat(),
            "body": to_json(event.body),
        }
        try:
            await self._redis.xadd(
                stream(event.topic),
                fields,  # type: ignore[arg-type]  # the stub wants one type for all values
                id=f"{event.sequence}-0",
                maxlen=KEPT_IN_REDIS,
            )
        except ResponseError as error:
            # "equal or smaller": added before a crash, not yet marked. Anything else is not ours to hide.
            if "equal or smaller" not in str(error):
                raise
        PUBLISHED.labels(event.topic).inc()
        LAG.labels(event.topic).set((datetime.now(UTC) - event.made_at).total_seconds())
