"""Runs one pool until it is told to stop; work in hand is finished first."""

import asyncio
import gc
import signal
from importlib import import_module

import uvloop

from models.settings import settings
from temporal.telemetry import configure
from workers.parts import assemble
from workers.pool import Pool, workers

POOLS = ("onboarding", "billing", "education", "signals", "trading")


def pool_named(name: str) -> Pool:
    """The declaration in `workers/<name>.py`.

    Raises:
        ValueError: there is no such pool.
    """
    if name not in POOLS:
        raise ValueError(f"no pool {name!r}; there are: {', '.join(POOLS)}")
    return import_module(f"workers.{name}").POOL


async def serve(pool: Pool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with assemble(settings()) as parts:
        running = workers(pool, parts, parts.client)
        # What is there now stays: to walk through it again and again held every hundredth order up for 50 ms.
        gc.collect()
        gc.freeze()
        await asyncio.gather(*(_until(stop, worker) for worker in running))


async def _until(stop: asyncio.Event, worker) -> None:  # type: ignore[no-untyped-def]
    async with worker:
        await stop.wait()


def main(name: str) -> None:
    """Entry of ``treum worker POOL``."""
    configure(f"worker-{name}", settings(), metrics=False)
    uvloop.run(serve(pool_named(name)))
