"""Kite Connect v3 with an exchange behind it, mounted at `/kite`."""

import asyncio

from sandbox.kite import exchange, postbacks, ticker
from sandbox.kite.api import routes
from sandbox.kite.control import control_routes
from sandbox.kite.errors import error
from sandbox.kite.schema import SCHEMA
from sandbox.world import World

__all__ = ["SCHEMA", "background", "control_routes", "error", "routes"]


async def background(world: World) -> None:
    """The exchange, the delivery of postbacks and the ticker's wake-ups, until cancelled."""
    async with asyncio.TaskGroup() as loops:
        loops.create_task(exchange.run(world))
        loops.create_task(postbacks.deliver(world))
        loops.create_task(ticker.broadcast(world))
