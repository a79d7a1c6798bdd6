"""The steps between "the engines answer" and "the processes may start"."""

import asyncio
import os
import sys

from models.settings import settings


def migrate() -> None:
    """Bring the record to the newest schema; repeating it changes nothing."""
    from store.migrate import upgrade

    upgrade(settings().postgres)


def register() -> None:
    """Register search attributes, the retention of histories and what recurs; repeatable."""
    asyncio.run(_register())
    # A thread of the client may still be handing over the last answer; if the interpreter is taken
    # down under it the process dies of SIGSEGV after its work is done (temporalio/sdk-python#300).
    sys.stdout.flush()
    os._exit(0)


async def _register() -> None:
    from temporal.client import connect
    from temporal.schedules import ensure_schedules
    from temporal.search_attributes import register as register_attributes
    from temporal.server import set_retention

    client = await connect(settings())
    await set_retention(client)
    await register_attributes(client)
    await ensure_schedules(client, settings())
