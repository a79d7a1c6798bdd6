"""Whatever commits late, dies or is flushed: a topic has no gap, no repeat, and one order."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from cli.embedded import EmbeddedEngines
from relay.listener import Wakeup
from relay.publisher import Publisher
from store import outbox, topics
from store.database import Connection, Database
from tests.relay.conftest import OWN_DATABASE, Line


async def emit(connection: Connection, topic: str, key: str) -> None:
    await outbox.emit(connection, topic, key, "told", {"key": key}, datetime.now(UTC))


async def emitted(record: Database, topic: str, *keys: str) -> None:
    for key in keys:
        async with record.transaction() as connection:
            await emit(connection, topic, key)


async def publish(record: Database, publisher: Publisher) -> None:
    async with record.reading() as connection:
        await publisher.publish(connection)


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while not await holds():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.02)


async def test_a_transaction_that_commits_late_is_not_skipped(
    record: Database, publisher: Publisher, line: Line
) -> None:
    async with record.transaction() as slow:
        await emit(slow, line.topic, "numbered first, committed last")
        await emitted(record, line.topic, "quick")
        await publish(record, publisher)
        assert await line.read() == [(1, "quick")]
    await publish(record, publisher)
    assert await line.read() == [(1, "quick"), (2, "numbered first, committed last")]


@pytest.mark.parametrize("seed", [3, 17, 2026])
async def test_random_commits_leave_no_gap(
    record: Database, publisher: Publisher, line: Line, seed: int
) -> None:
    """Eight transactions open at a time, ended in any order, a third of them rolled back."""
    chance = random.Random(seed)
    kept: set[str] = set()
    async with AsyncExitStack() as lent:
        connections = [await lent.enter_async_context(record.reading()) for _ in range(8)]
        free, busy = list(connections), {}
        for number in range(60):
            connection = free.pop(chance.randrange(len(free)))
            await connection.execute("BEGIN")
            await emit(connection, line.topic, f"e{number}")
            busy[f"e{number}"] = connection
            while busy and (not free or chance.random() < 0.4):
                key = chance.choice(list(busy))
                commits = chance.random() < 0.67
                await busy[key].execute("COMMIT" if commits else "ROLLBACK")
                kept |= {key} if commits else set()
                free.append(busy.pop(key))
            if chance.random() < 0.5:
                await publish(record, publisher)
        for key, connection in busy.items():
            await connection.execute("COMMIT")
            kept.add(key)
    await publish(record, publisher)
    seen = await line.read()
    assert [sequence for sequence, _ in seen] == list(range(1, len(kept) + 1))
    assert {key for _, key in seen} == kept


async def test_events_of_one_writer_keep_their_order(
    record: Database, publisher: Publisher, line: Line
) -> None:
    keys = [f"k{number}" for number in range(1200)]
    async with record.transaction() as connection:
        for key in keys:
            await emit(connection, line.topic, key)
    await publish(record, publisher)
    assert [key for _, key in await line.read()] == keys


async def test_a_crash_between_adding_and_marking_adds_nothing_twice(
    record: Database, publisher: Publisher, line: Line
) -> None:
    """What a relay leaves that dies there: numbered, added in part, not marked."""
    await emitted(record, line.topic, "a", "b", "c")
    async with record.reading() as connection:
        await topics.number_fresh(connection, 10)
        for event in (await topics.unpublished(connection, 10))[:2]:
            await publisher._add(event)
    await emitted(record, line.topic, "d")
    await publish(record, publisher)
    assert await line.read() == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


async def test_what_redis_lost_is_read_from_postgres(
    record: Database, publisher: Publisher, line: Line, redis: Redis
) -> None:
    await emitted(record, line.topic, "a", "b", "c")
    await publish(record, publisher)
    await redis.flushdb()
    await emitted(record, line.topic, "d")
    await publish(record, publisher)
    assert await line.read() == [(4, "d")], "the sequence goes on, so that readers see what they miss"
    async with record.reading() as connection:
        held = await topics.after(connection, line.topic, 1)
        assert await topics.last_sequence(connection, line.topic) == 4
    assert [(event.sequence, event.key) for event in held] == [(2, "b"), (3, "c"), (4, "d")]


async def test_of_two_relays_one_leads_and_the_other_takes_over(
    engines: EmbeddedEngines, record: Database, line: Line
) -> None:
    keys = [f"k{number}" for number in range(40)]
    async with AsyncExitStack() as opened:
        running = []
        for _ in range(2):
            own = await opened.enter_async_context(Database(record.dsn))
            redis = Redis.from_url(engines.settings.redis, db=OWN_DATABASE)
            opened.push_async_callback(redis.aclose)
            running.append(asyncio.create_task(Publisher(own, redis).run(Wakeup())))

        async def all_of(expected: list[str]) -> bool:
            return [key for _, key in await line.read()] == expected

        await emitted(record, line.topic, *keys[:20])
        await until(lambda: all_of(keys[:20]), "the leader publishes")
        assert await leaders(record) == 1
        for task in running:
            await emitted(record, line.topic, *keys[20:30] if task is running[0] else keys[30:])
            if task is running[0]:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await until(lambda: all_of(keys), "the other takes over")
        running[1].cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert [sequence for sequence, _ in await line.read()] == list(range(1, 41))


async def leaders(record: Database) -> int:
    async with record.reading() as connection:
        cursor = await connection.execute(
            """SELECT count(*) AS held FROM pg_locks l JOIN pg_database d ON d.oid = l.database
               WHERE l.locktype = 'advisory' AND l.granted AND l.objid = %s
                 AND d.datname = current_database()""",
            (topics.RELAY_LOCK,),
        )
        row = await cursor.fetchone()
    return row["held"] if row else 0


async def test_a_killed_redis_delays_and_loses_nothing(
    engines: EmbeddedEngines, record: Database, line: Line, redis: Redis
) -> None:
    publishing = asyncio.create_task(Publisher(record, redis).run(Wakeup()))
    await emitted(record, line.topic, "a", "b")
    await until(lambda: marked(record, line.topic, 2), "published before the kill")
    engines.kill("redis")
    await emitted(record, line.topic, "c", "d")
    await until(lambda: marked(record, line.topic, 4), "published after the kill")
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    seen = await line.read()
    assert seen[-2:] == [(3, "c"), (4, "d")]
    async with record.reading() as connection:
        held = await topics.after(connection, line.topic, 0)
    assert [event.key for event in held] == ["a", "b", "c", "d"]


async def marked(record: Database, topic: str, sequence: int) -> bool:
    async with record.reading() as connection:
        cursor = await connection.execute(
            "SELECT published_sequence FROM audit.topics WHERE topic = %s", (topic,)
        )
        row = await cursor.fetchone()
    return bool(row) and row["published_sequence"] >= sequence
