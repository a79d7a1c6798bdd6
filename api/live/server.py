"""The hub's process: WebSocket and Server-Sent Events on a port of its own."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Query
from redis.asyncio import Redis
from starlette.requests import HTTPConnection, Request
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from api import failures, tickets
from api.limits import Limits
from api.live.hub import AWAY, Hub
from api.live.listeners import Close, Listener
from api.middleware import Edge
from api.platform import Platform
from api.principal import identify
from api.problems import Problem
from api.routing import check_routes
from models.settings import Settings, settings
from store import signals_delivery
from temporal.telemetry import configure

log = structlog.get_logger()

LONGEST_AFTER = 2**62
ADMITTED_AT_ONCE = 16
HEARTBEAT_SECONDS = 15.0
"""Of an event stream: proxies close what is silent."""
SLOW_GRACE_SECONDS = 10.0
"""How long a slow reader has to read its close frame before the connection is dropped."""

router = APIRouter()
After = Annotated[int | None, Query(ge=0, le=LONGEST_AFTER)]


@router.get("/healthz", include_in_schema=False)
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.websocket("/v1/ws/signals/stream")
async def socket(websocket: WebSocket) -> None:
    """Messages as text frames. A ticket, or an ``Authorization`` header; 4401 without either."""
    hub: Hub = websocket.app.state.hub
    try:
        listener = await _admitted(websocket)
    except AWAY as error:
        log.warning("admission_failed", error=type(error).__name__)
        await _turn_away(websocket, Close.TRY_AGAIN_LATER)
        return
    if listener is None:
        await _turn_away(websocket, Close.SIGN_IN_AGAIN)
        return
    # Joined before the handshake is answered: what is published once the client is connected is heard.
    await hub.join(listener, _after(websocket))
    try:
        await websocket.accept()
        await _serve(hub, listener, websocket)
    finally:
        hub.leave(listener)
    if listener.closed is not None:
        # A reader that is stuck is given time to read what is on its way and then why it ends.
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            await asyncio.wait_for(websocket.close(listener.closed), SLOW_GRACE_SECONDS)


async def _turn_away(websocket: WebSocket, code: Close) -> None:
    # A close code reaches the client only on a connection that was accepted.
    await websocket.accept()
    await websocket.close(code)


async def _serve(hub: Hub, listener: Listener, websocket: WebSocket) -> None:
    """Sends until the client leaves or the listener is ended."""
    watching = [
        asyncio.create_task(work)
        for work in (_send(hub, listener, websocket), _gone(websocket), _ended(listener))
    ]
    try:
        await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


@router.get("/v1/signals/stream", response_class=StreamingResponse)
async def events(request: Request, ticket: str | None = None, after: After = None) -> StreamingResponse:
    """The same as Server-Sent Events; `Last-Event-ID` counts where `after` is not given."""
    hub: Hub = request.app.state.hub
    listener = await _admitted(request)
    if listener is None:
        raise Problem(401)
    heard = after if after is not None else _last_heard(request)
    return StreamingResponse(_as_events(hub, listener, heard), media_type="text/event-stream")


async def _admitted(connection: HTTPConnection) -> Listener | None:
    """Who comes: by a ticket, spent by this, or by a bearer token; None where neither holds.

    A few at a time: when thousands come back at once, they must not all ask the engines at once.
    """
    async with connection.app.state.admitting:
        return await _identified(connection)


async def _identified(connection: HTTPConnection) -> Listener | None:
    platform: Platform = connection.app.state.platform
    if (secret := connection.query_params.get("ticket")) is not None:
        ticket = await tickets.take(platform.redis, secret)
        session = (ticket.user_id, ticket.session_id) if ticket else None
    else:
        session = await _by_header(connection)
    if session is None:
        return None
    user_id, session_id = session
    async with platform.database.reading() as record:
        standing = await signals_delivery.standing_of(record, [session_id], datetime.now(UTC))
    return Listener(user_id, session_id, standing[session_id]) if session_id in standing else None


async def _by_header(connection: HTTPConnection) -> tuple[str, str] | None:
    try:
        principal = await identify(connection)  # type: ignore[arg-type]  # reads headers and state alone
    except Problem:
        return None
    return (principal.user_id, principal.session_id) if principal and principal.session_id else None


async def _send(hub: Hub, listener: Listener, websocket: WebSocket) -> None:
    with suppress(WebSocketDisconnect):
        async for message in hub.messages(listener):
            await websocket.send_text(message.text)


async def _gone(websocket: WebSocket) -> None:
    """Returns when the client has left; what it says meanwhile is not listened to."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _ended(listener: Listener) -> None:
    await listener.ended.wait()


async def _as_events(hub: Hub, listener: Listener, heard: int | None) -> AsyncIterator[str]:
    await hub.join(listener, heard)
    stream = hub.messages(listener)
    coming: asyncio.Future | None = None
    try:
        yield ": listening\n\n"
        while True:
            coming = coming or asyncio.ensure_future(anext(stream, None))
            done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT_SECONDS)
            if not done:
                yield ": still here\n\n"
                continue
            message, coming = coming.result(), None
            if message is None:
                break
            yield f"id: {message.sequence}\nevent: {message.type}\ndata: {message.text}\n\n"
        if listener.closed is not None:
            yield f'event: closed\ndata: {{"code":{listener.closed.value}}}\n\n'
    finally:
        if coming is not None:
            coming.cancel()
        hub.leave(listener)


def _after(connection: HTTPConnection) -> int | None:
    given = connection.query_params.get("after", "")
    return min(int(given), LONGEST_AFTER) if given.isascii() and given.isdigit() else None


def _last_heard(request: Request) -> int | None:
    given = request.headers.get("last-event-id", "")
    return min(int(given), LONGEST_AFTER) if given.isascii() and given.isdigit() else None


def _must_run(reading: asyncio.Task) -> None:
    """A hub that does not read is worse than none: the process ends, and its supervisor starts it again."""
    if not reading.cancelled():
        log.error("hub_stopped", exc_info=reading.exception())
        signal.raise_signal(signal.SIGTERM)


def create_hub(own: Settings) -> FastAPI:
    """The hub's application; engines may be away when it starts."""
    platform = Platform(own)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await platform.database.open()
        # A read that blocks on the server must not be taken for a server that is away.
        redis = Redis.from_url(own.redis, socket_timeout=10.0, socket_connect_timeout=1.0)
        app.state.hub = hub = Hub(platform.database, platform.vault, redis)
        reading = asyncio.create_task(hub.run())
        reading.add_done_callback(_must_run)
        try:
            yield
        finally:
            hub.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await platform.close()
            await redis.aclose()

    app = FastAPI(title="Treum live", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.platform = platform
    app.state.admitting = asyncio.Semaphore(ADMITTED_AT_ONCE)
    app.state.limits = Limits(platform.redis, own)
    app.add_middleware(Edge)
    failures.install(app)
    app.include_router(check_routes(router))
    return app


def main() -> None:
    """Entry of ``treum live``."""
    own = settings()
    configure("live", own)
    uvicorn.run(
        create_hub(own),
        host=own.host,
        port=own.live_port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=4096,
        ws_per_message_deflate=False,
        access_log=False,
        log_level=own.log_level.lower(),
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
