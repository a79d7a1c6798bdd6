"""Wakes readers who wait for an object: one LISTEN connection a process, whatever the number of waiters."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg
import structlog

from store.changes import CHANNEL

log = structlog.get_logger()

RECONNECT_SECONDS = 0.5


class Changes:
    """Waiters by object id. While the connection is away waiters fall back on reading now and then."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.listening = False

    async def run(self) -> None:
        """Listens until cancelled, connecting again whenever the server goes away."""
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                log.warning("listen_lost", error=type(error).__name__)
            self.listening = False
            await asyncio.sleep(RECONNECT_SECONDS)

    @contextmanager
    def watching(self, object_ids: Iterable[str]) -> Iterator[asyncio.Event]:
        """An event that is set when one of `object_ids` moves; taken before the first read, so that
        nothing between the read and the wait is missed."""
        woken = asyncio.Event()
        watched = set(object_ids)
        for object_id in watched:
            self._waiting[object_id].add(woken)
        try:
            yield woken
        finally:
            for object_id in watched:
                self._waiting[object_id].discard(woken)
                if not self._waiting[object_id]:
                    del self._waiting[object_id]

    def watched(self, object_id: str) -> bool:
        """Whether a reader waits for this object."""
        return object_id in self._waiting

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=2)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self.listening = True
            self._wake_all()
            async for notice in connection.notifies():
                for woken in self._waiting.get(notice.payload, ()):
                    woken.set()

    def _wake_all(self) -> None:
        # What was told while nobody listened is lost: everyone reads once more.
        for waiters in self._waiting.values():
            for woken in waiters:
                woken.set()
