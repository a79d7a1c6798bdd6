"""The relay process: publishes the outbox and runs the sweepers."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import psycopg
import structlog
import uvloop
from psycopg_pool import PoolTimeout
from redis.asyncio import Redis
from temporalio.service import RPCError

from models.settings import Settings, settings
from relay.einvoices import EInvoiceStarter
from relay.listener import Wakeup, listen
from relay.publisher import Publisher
from relay.sweepers import Sweepers
from store.commands import Commands
from store.database import Database
from store.vault import Vault
from temporal.client import connect
from temporal.commands import Envelope
from temporal.telemetry import configure

log = structlog.get_logger()


async def every(seconds: float, step: Callable[[], Awaitable[None]], wake: Wakeup | None = None) -> None:
    """Runs `step` for ever: when woken, and every so many seconds. An engine that is down is waited for."""
    pause = wake or Wakeup()
    while True:
        try:
            await step()
        except (psycopg.OperationalError, PoolTimeout, RPCError, OSError) as error:
            log.warning("sweep_pause", step=step.__name__, error=type(error).__name__)
        await pause.wait(seconds)


async def serve(config: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    redis = Redis.from_url(config.redis, socket_timeout=2.0)
    outbox, mail, documents = Wakeup(), Wakeup(), Wakeup()
    async with Database(config.postgres, max_size=6) as database:
        vault = Vault(config)
        commands = Commands(database, vault)
        client = await connect(config)
        envelope = Envelope(client, commands, config.command_deadline)
        sweepers = Sweepers(database, vault, client, envelope, commands)
        starter = EInvoiceStarter(database, client, config.assertion_public_key)
        tasks: list[asyncio.Task] = [
            asyncio.create_task(work)
            for work in (
                listen(config.postgres, {"outbox": outbox, "messages": mail, "einvoices": documents}),
                Publisher(database, redis).run(outbox),
                every(1.0, sweepers.drive_commands),
                every(2.0, sweepers.deliver_events),
                every(5.0, sweepers.start_messages, mail),
                every(5.0, starter.start_einvoices, documents),
                every(600.0, sweepers.forget_answers),
            )
        ]
        ended: asyncio.Task = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done - {ended}:
            task.result()  # a defect ends the process loudly; its supervisor starts it again
    await redis.aclose()


def main() -> None:
    """Entry of ``treum relay``."""
    configure("relay", settings())
    uvloop.run(serve(settings()))
