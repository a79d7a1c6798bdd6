"""What every route may use: settings, database, vault, Redis, Temporal and the command envelope."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated, Any

import structlog
from fastapi import Depends
from redis.asyncio import Redis
from starlette.requests import Request
from temporalio.client import Client

from api.changes import Changes
from api.signing import Signer
from api.tokens import Tokens
from domain.errors import Unavailable
from models.settings import Settings
from store.commands import Commands
from store.database import Database
from store.vault import Vault
from temporal.client import connect
from temporal.commands import Envelope

log = structlog.get_logger()


class Platform:
    """The process's connections. Each engine may be away at any time, at the start too: the pool and
    Redis reconnect by themselves, Temporal is tried in the background until it answers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.postgres)
        self.vault = Vault(settings)
        self.redis = Redis.from_url(settings.redis, socket_timeout=1.0, socket_connect_timeout=1.0)
        self.commands = Commands(self.database, self.vault)
        self.changes = Changes(settings.postgres)
        self.tokens = Tokens(settings)
        self.signer = Signer.of(settings)
        self.background: set[asyncio.Task] = set()
        self._client: Client | None = None
        self._envelope: Envelope | None = None

    @property
    def client(self) -> Client:
        """Raises Unavailable until Temporal has answered for the first time."""
        if self._client is None:
            raise Unavailable("temporal_away")
        return self._client

    @property
    def envelope(self) -> Envelope:
        """Raises Unavailable until Temporal has answered for the first time."""
        if self._envelope is None:
            raise Unavailable("temporal_away")
        return self._envelope

    async def open(self) -> None:
        await self.database.open()
        self.spawn(self.changes.run())
        try:
            await asyncio.wait_for(self._connect(), 2.0)
        except (RuntimeError, TimeoutError):
            self.spawn(self._keep_connecting())

    async def close(self) -> None:
        for task in list(self.background):
            task.cancel()
        for task in list(self.background):
            with suppress(asyncio.CancelledError):
                await task
        await self.redis.aclose()
        await self.database.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` beside the requests; cancelled when the process stops."""
        task = asyncio.ensure_future(work)
        self.background.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self.background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_task_failed", error=type(error).__name__)

    async def _connect(self) -> None:
        self._client = await connect(self.settings)
        self._envelope = Envelope(self._client, self.commands, self.settings.command_deadline)

    async def _keep_connecting(self) -> None:
        while self._client is None:
            try:
                await asyncio.wait_for(self._connect(), 5.0)
            except (RuntimeError, TimeoutError):
                await asyncio.sleep(0.5)


def platform(request: Request) -> Platform:
    return request.app.state.platform


PlatformDep = Annotated[Platform, Depends(platform)]
