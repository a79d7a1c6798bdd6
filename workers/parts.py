"""What every activity may be built from: one of each a process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from redis.asyncio import Redis
from temporalio.client import Client

from models.settings import Settings
from providers.transport import client as http_client
from store.database import Database
from store.vault import Vault
from temporal.client import connect


@dataclass(frozen=True)
class Parts:
    settings: Settings
    database: Database
    vault: Vault
    redis: Redis
    http: httpx.AsyncClient
    client: Client


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Parts]:
    """Opens a process's parts and closes them in the reverse order."""
    redis = Redis.from_url(settings.redis, socket_timeout=2.0, socket_connect_timeout=2.0)
    async with Database(settings.postgres) as database, http_client() as http:
        try:
            client = await connect(settings, sdk_metrics_port=settings.metrics_port)
            yield Parts(settings, database, Vault(settings), redis, http, client)
        finally:
            await redis.aclose()
