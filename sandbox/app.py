"""Puts the worlds together into one ASGI application."""

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import ModuleType

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox import control
from sandbox.calls import Calls
from sandbox.kite.rootpaths import KiteRootPaths
from sandbox.world import World

log = logging.getLogger("sandbox")

# A world is a module with SCHEMA, routes, control_routes, error and, where it acts on its own, background.
WORLDS = ("razorpay", "kite", "kyc", "screening", "irp", "oidc", "outbox")
RESTART_SECONDS = 1.0


def load(names: tuple[str, ...] = WORLDS) -> dict[str, ModuleType]:
    """The world modules by name."""
    return {name: importlib.import_module(f"sandbox.{name}") for name in names}


def create_app(world: World, names: tuple[str, ...] = WORLDS) -> Starlette:
    """The sandbox as an ASGI application; background loops start and end with it."""
    worlds = load(names)
    for name, module in worlds.items():
        world.db.executescript(module.SCHEMA)
        world.prefixes.append(f"{name}_")

    async def health(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "worlds": list(worlds)})

    routes = [Route("/health", health), *control.control_routes(world)]
    for module in worlds.values():
        routes += [*module.control_routes(world), *module.routes(world)]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loops = [module.background for module in worlds.values() if hasattr(module, "background")]
        tasks = [asyncio.create_task(_keep_running(loop, world)) for loop in loops]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        world.db.close()

    errors = {name: module.error for name, module in worlds.items()}
    middleware = [
        Middleware(KiteRootPaths),
        Middleware(Calls, world=world, errors=errors),
        Middleware(control.Guard, world=world),
    ]
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


async def _keep_running(loop: Callable[[World], Awaitable[None]], world: World) -> None:
    """A background loop that fails is logged and started again: its work is rows, so nothing is lost."""
    while True:
        try:
            await loop(world)
            return
        except Exception:
            log.exception("background loop of %s failed", loop.__module__)
            await asyncio.sleep(RESTART_SECONDS)
