"""One LISTEN connection a process; each channel wakes those who wait for it."""

import asyncio
from collections.abc import Iterable

import psycopg
import structlog

log = structlog.get_logger()


class Wakeup:
    """Set by a notification; `wait` also returns after a while, so that a lost one costs little."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self, at_most: float) -> None:
        """Returns when woken or after `at_most` seconds."""
        try:
            await asyncio.wait_for(self._event.wait(), at_most)
        except TimeoutError:
            return
        finally:
            self._event.clear()


async def listen(dsn: str, channels: dict[str, Wakeup]) -> None:
    """Listens for ever, reconnecting after a pause; every reconnection wakes all."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
                await _subscribe(connection, channels)
                for wakeup in channels.values():
                    wakeup.wake()
                async for notice in connection.notifies():
                    channels[notice.channel].wake()
        except (psycopg.OperationalError, OSError) as error:
            log.warning("listen_lost", error=type(error).__name__)
            await asyncio.sleep(0.3)


async def _subscribe(connection: psycopg.AsyncConnection, channels: Iterable[str]) -> None:
    for channel in channels:
        await connection.execute(f"LISTEN {channel}")  # names from our own code, not input
