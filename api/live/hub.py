"""The hub: reads the topic once a process and offers every event to everyone who listens.

Redis brings events as they are published; what it lost, or what it has when it is away, comes from
Postgres by the topic's gap-free sequence. Nobody is waited for: a slow listener is let go.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import psycopg
import structlog
from prometheus_client import Counter, Gauge, Histogram
from psycopg_pool import PoolTimeout
from pydantic_core import from_json
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.live.listeners import Close, Listener, Message
from api.live.messages import Scribe, allowance_spent
from domain.signals import FREE_A_DAY, allowance_day
from models.contracts.topics import Topic, stream
from store import signals_delivery, topics
from store.database import Database
from store.topics import Published
from store.vault import Vault

log = structlog.get_logger()
T = TypeVar("T")

REMEMBERED = 2000
"""Newest messages kept ready for those who come back."""
BLOCK_MS = 2000
PAUSE_SECONDS = 0.3
STANDING_SECONDS = 10.0
"""How often sessions and plans of all who listen are read again."""
AWAY = (psycopg.OperationalError, PoolTimeout, RedisError, OSError)
PUBLISHED = "signal.published"

LISTENERS = Gauge("treum_live_listeners", "Sockets and event streams that are open")
DELIVERED = Counter("treum_live_delivered", "Messages queued for listeners", ["type"])
CLOSED = Counter("treum_live_closed", "Listeners that the hub let go", ["code"])
LAG = Histogram(
    "treum_live_lag_seconds",
    "From the event's commit time to its message in every queue of this process",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)


class Hub:
    def __init__(self, database: Database, vault: Vault, redis: Redis) -> None:
        self._database = database
        self._redis = redis
        self._scribe = Scribe(database, vault)
        self._listeners: set[Listener] = set()
        self._position = 0
        self._recent: deque[Message] = deque(maxlen=REMEMBERED)
        self._rationed: asyncio.Queue[tuple[Message, list[Listener]]] = asyncio.Queue()
        self._started = asyncio.Event()

    async def run(self) -> None:
        """Reads and offers for ever."""
        self._position = await _until_there(self._last)
        self._started.set()
        await asyncio.gather(self._read(), self._ration(), self._judge_standing())

    async def join(self, listener: Listener, after: int | None) -> None:
        """From here on the listener misses nothing past `after` (None: past this moment)."""
        await self._started.wait()
        listener.upto = self._position
        listener.after = listener.upto if after is None else after
        self._listeners.add(listener)
        LISTENERS.set(len(self._listeners))

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        LISTENERS.set(len(self._listeners))
        if listener.closed is not None:
            CLOSED.labels(listener.closed.value).inc()

    async def messages(self, listener: Listener) -> AsyncIterator[Message]:
        """What the listener missed, then what comes, until it has ended."""
        async for message in self._missed(listener):
            if listener.closed is not None:
                return
            yield message
        while (found := await listener.next()) is not None:
            yield found

    def close(self) -> None:
        """The process stops: everyone is sent away, to come back with `after`."""
        for listener in tuple(self._listeners):
            listener.end(Close.GOING_AWAY)

    # Reading the topic

    async def _last(self) -> int:
        async with self._database.reading() as connection:
            return await topics.last_sequence(connection, Topic.SIGNALS)

    async def _read(self) -> None:
        key = stream(Topic.SIGNALS)
        while True:
            try:
                # The stub allows every shape of every protocol; this client speaks RESP 2.
                found: Any = await self._redis.xread({key: f"{self._position}-0"}, count=500, block=BLOCK_MS)
                if not found:
                    await self._catch_up()
                for entry_id, fields in found[0][1] if found else ():
                    await self._arrived(entry_id, fields)
            except AWAY as error:
                log.warning("hub_pause", error=type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS)
                await self._catch_up()

    async def _arrived(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        try:
            event = _event(entry_id, fields)
        except (KeyError, ValueError):
            # Not what the relay writes: the record is the authority.
            log.error("stream_entry_malformed", entry=entry_id.decode(errors="replace"))
            await self._catch_up()
            self._position = max(self._position, int(entry_id.split(b"-")[0]))
            return
        if event.sequence > self._position + 1:
            await self._catch_up(event.sequence)
        if event.sequence > self._position:
            await self._spread(event)

    async def _catch_up(self, before: int | None = None) -> None:
        """Offers what the record has past our position: Redis was away, or has lost its newest entries."""

        async def read() -> Sequence[Published]:
            async with self._database.reading() as connection:
                return await topics.after(connection, Topic.SIGNALS, self._position)

        while True:
            events = await _until_there(read)
            for event in events:
                if before is not None and event.sequence >= before:
                    return
                await self._spread(event)
            if not events:
                return

    async def _spread(self, event: Published) -> None:
        message = await _until_there(lambda: self._scribe.write(event))
        # From here to the end nothing is awaited: who joins sees the position before or after all of it.
        self._position = event.sequence
        if message is None:
            return
        self._recent.append(message)
        rationed = [listener for listener in self._listeners if listener.limited]
        if rationed:
            self._rationed.put_nowait((message, rationed))
        told = 0
        for listener in self._listeners:
            if not listener.limited:
                listener.offer(message)
                told += 1
        DELIVERED.labels(message.type).inc(told)
        LAG.observe((datetime.now(UTC) - message.at).total_seconds())

    # Those with a daily allowance

    async def _ration(self) -> None:
        while True:
            message, listeners = await self._rationed.get()
            present = [listener for listener in listeners if listener in self._listeners]
            for start in range(0, len(present), signals_delivery.CHUNK):
                await self._serve(message, present[start : start + signals_delivery.CHUNK])

    async def _serve(self, message: Message, listeners: Sequence[Listener]) -> None:
        """Offers a message to those who may have it, and tells those whose allowance it spent."""
        allowed = await _until_there(lambda: self._allowed(message, listeners))
        refused = [listener for listener in listeners if not allowed.get(listener.user_id, (False, 0))[0]]
        if refused:
            # Who has bought a plan since is not told that the free one is spent.
            await self._reread(refused)
        now = datetime.now(UTC)
        for listener in listeners:
            shown, used = allowed.get(listener.user_id, (False, 0))
            if shown or not listener.limited:
                listener.offer(message)
                DELIVERED.labels(message.type).inc()
            spent = message.type == PUBLISHED and used >= FREE_A_DAY
            if listener.limited and spent and listener.told_spent_on != allowance_day(now):
                listener.told_spent_on = allowance_day(now)
                listener.offer(allowance_spent(message.sequence, message.signal_id, now))

    async def _allowed(self, message: Message, listeners: Sequence[Listener]) -> dict[str, tuple[bool, int]]:
        """Whether each person may have it, and how much of the day is used."""
        users = [listener.user_id for listener in listeners]
        async with self._database.transaction() as connection:
            if message.type == PUBLISHED:
                return await signals_delivery.grant(
                    connection, users, message.signal_id, FREE_A_DAY, datetime.now(UTC)
                )
            return dict.fromkeys(
                await signals_delivery.shown_to(connection, users, message.signal_id), (True, 0)
            )

    # What was missed, and who may still listen

    async def _missed(self, listener: Listener) -> AsyncIterator[Message]:
        """What came between the listener's `after` and its joining, under the listener's own plan."""
        async for message in self._kept(listener.after, listener.upto):
            if not listener.limited:
                yield message
                continue
            found = await _until_there(partial(self._allowed, message, [listener]))
            shown, used = found.get(listener.user_id, (False, 0))
            if shown:
                yield message
            today = allowance_day(datetime.now(UTC))
            if message.type == PUBLISHED and used >= FREE_A_DAY and listener.told_spent_on != today:
                listener.told_spent_on = today
                yield allowance_spent(message.sequence, message.signal_id, datetime.now(UTC))

    async def _kept(self, after: int, upto: int) -> AsyncIterator[Message]:
        if after >= upto:
            return
        recent = tuple(self._recent)
        if recent and recent[0].sequence <= after + 1:
            for message in recent:
                if after < message.sequence <= upto:
                    yield message
            return
        while after < upto:
            async with self._database.reading() as connection:
                events = await topics.after(connection, Topic.SIGNALS, after)
            if not events:
                return
            for event in events:
                message_or_none = await self._scribe.write(event)
                if message_or_none is not None and event.sequence <= upto:
                    yield message_or_none
            after = events[-1].sequence

    async def _judge_standing(self) -> None:
        while True:
            await asyncio.sleep(STANDING_SECONDS)
            try:
                everyone = tuple(self._listeners)
                for start in range(0, len(everyone), signals_delivery.CHUNK):
                    await self._reread(everyone[start : start + signals_delivery.CHUNK])
            except AWAY as error:
                log.warning("standing_pause", error=type(error).__name__)

    async def _reread(self, listeners: Sequence[Listener]) -> None:
        """Ends whoever's session is over, and takes over the plan of everyone else."""
        sessions = [listener.session_id for listener in listeners]
        async with self._database.reading() as connection:
            tiers = await signals_delivery.standing_of(connection, sessions, datetime.now(UTC))
        for listener in listeners:
            tier = tiers.get(listener.session_id)
            if tier is None:
                listener.end(Close.SIGN_IN_AGAIN)
            else:
                listener.tier = tier


def _event(entry_id: bytes, fields: dict[bytes, bytes]) -> Published:
    return Published(
        topic=Topic.SIGNALS,
        sequence=int(entry_id.split(b"-")[0]),
        key=fields[b"key"].decode(),
        type=fields[b"type"].decode(),
        body=from_json(fields[b"body"]),
        made_at=datetime.fromisoformat(fields[b"at"].decode()),
    )


async def _until_there(read: Callable[[], Awaitable[T]]) -> T:
    """What `read` gives, however long the engine behind it is away: no event may be skipped."""
    while True:
        try:
            return await read()
        except AWAY as error:
            log.warning("hub_waits", error=type(error).__name__)
            await asyncio.sleep(PAUSE_SECONDS)
