"""``?wait=seconds&since=version``: a status read that answers when the object moves."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, TypeVar

from fastapi import Depends, Query
from starlette.requests import Request

from api.platform import Platform

T = TypeVar("T")

UNHEARD_SECONDS = 5.0
DEAF_SECONDS = 0.25
"""How often to read again without a notice: while we listen, and while the connection is away."""


class WaitQuery:
    """How long to wait, and for what to differ. `objects` are the ids in the path: what is listened to
    unless `until` is told other ones."""

    def __init__(
        self,
        request: Request,
        wait: Annotated[float, Query(ge=0, le=30, description="Seconds to wait for a change")] = 0,
        since: Annotated[int | None, Query(description="The version already known")] = None,
    ) -> None:
        self.wait = wait
        self.since = since
        self.objects = [str(value) for value in request.path_params.values()]


Wait = Annotated[WaitQuery, Depends()]


async def until(
    read: Callable[[], Awaitable[T]],
    wait: WaitQuery,
    version_of: Callable[[T], int],
    terminal_of: Callable[[T], bool],
    platform: Platform,
    *,
    objects: Iterable[str] | None = None,
) -> T:
    """Reads until the version differs from ``since``, the state is terminal, or time is over.

    `objects`: the ids that the store touches (`store.changes.touch`) when the object moves; by default
    the ids in the request's path.
    """
    if wait.wait <= 0:
        return await read()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait.wait
    with platform.changes.watching(wait.objects if objects is None else objects) as woken:
        while True:
            woken.clear()
            found = await read()
            left = deadline - loop.time()
            since = wait.since
            if since is None:
                # Without a version to compare with, the first one seen is the one to leave behind.
                since = wait.since = version_of(found)
            if left <= 0 or terminal_of(found) or version_of(found) != since:
                return found
            pause = UNHEARD_SECONDS if platform.changes.listening else DEAF_SECONDS
            try:
                await asyncio.wait_for(woken.wait(), min(left, pause))
            except TimeoutError:
                continue
