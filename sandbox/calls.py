"""What every call to a world goes through: faults, one transaction, the journal, the `Date` header."""

import asyncio
import logging
from collections.abc import Callable
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import journal
from sandbox.world import World

log = logging.getLogger("sandbox.calls")

ErrorShape = Callable[[int, Request], Response]
TARGETS = ("razorpay", "kite", "kyc", "screening", "irp", "oidc", "outbox")
DEFAULT_HOLD_SECONDS = 30.0
DEFAULT_SLOW_SECONDS = 1.0


def target_of(scope: Scope) -> str | None:
    """The world a call is for, or None where it is not a provider call (control, websocket, health)."""
    if scope["type"] != "http":
        return None
    first = scope["path"].split("/", 2)[1]
    if first not in TARGETS or (first == "outbox" and scope["method"] != "POST"):
        return None
    return str(first)


class Calls:
    """Pure ASGI middleware: reads the body, takes the fault, runs the handler, journals, commits, answers."""

    def __init__(self, app: ASGIApp, world: World, errors: dict[str, ErrorShape]) -> None:
        self.app = app
        self.world = world
        self.errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            date = format_datetime(self.world.now(request), usegmt=True).encode()
        except (ValueError, OverflowError):
            problem = JSONResponse({"error": "X-Sandbox-Now is not a time with a zone"}, 400)
            await problem(scope, receive, send)
            return

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", []) if pair[0].lower() != b"date"]
                message = {**message, "headers": [*headers, (b"date", date)]}
            await send(message)

        target = target_of(scope)
        if target is None:
            await self.app(scope, receive, dated)
        else:
            await self._world_call(target, request, receive, dated)

    async def _world_call(self, target: str, request: Request, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            return  # the client hung up while sending: nothing was asked
        request.scope["state"] = {**request.scope.get("state", {}), "body": body, "effect": None}
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        async with self.world.exclusive():
            fault = self.world.faults.take(target, f"{request.method} {path}")
            kind = fault.kind if fault else ""
            if kind == "timeout_before":
                self._write(target, request, path, body, None)
            elif kind in ("error_5xx", "error_429"):
                status = 500 if kind == "error_5xx" else 429
                refusal = self._refusal(target, status, request)
                self._write(target, request, path, body, refusal.status_code)
        seconds = fault.seconds if fault else None
        if kind == "timeout_before":
            await _hold(receive, DEFAULT_HOLD_SECONDS if seconds is None else seconds)
            return
        if kind in ("error_5xx", "error_429"):
            await refusal(request.scope, receive, send)
            return
        if kind == "slow":
            self.world.in_flight.add(request)
            try:
                await asyncio.sleep(DEFAULT_SLOW_SECONDS if seconds is None else seconds)
            finally:
                self.world.in_flight.discard(request)
        messages = await self._execute(target, request, path, body)
        if kind == "timeout_after":
            await _hold(receive, DEFAULT_HOLD_SECONDS if seconds is None else seconds)
            return
        for message in messages:
            await send(message)

    async def _execute(self, target: str, request: Request, path: str, body: bytes) -> list[Message]:
        """Runs the handler and journals it in one transaction; answers what to send after the commit."""
        messages: list[Message] = []

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Message) -> None:
            messages.append(message)

        try:
            async with self.world.exclusive():
                await self.app(request.scope, replay, collect)
                self._write(target, request, path, body, messages[0]["status"])
        except Exception:
            # Rolled back with all it wrote; the caller sees a 5xx of this world, the journal says no effect.
            log.exception("%s %s failed", request.method, path)
            messages.clear()
            request.scope["state"]["effect"] = None
            refusal = self._refusal(target, 500, request)
            async with self.world.exclusive():
                self._write(target, request, path, body, refusal.status_code)
            await refusal(request.scope, replay, collect)
        return messages

    def _refusal(self, target: str, status: int, request: Request) -> Response:
        shape = self.errors.get(target)
        return shape(status, request) if shape else JSONResponse({"error": status}, status)

    def _write(self, target: str, request: Request, path: str, body: bytes, status: int | None) -> None:
        content = journal.readable(body, request.headers.get("content-type", ""))
        effect = request.scope["state"]["effect"]
        at = self.world.now(request)
        journal.write(self.world.db, at, target, request.method, path, content, status, effect)


async def _read(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _hold(receive: Receive, seconds: float) -> None:
    """Keeps silent until the client hangs up or `seconds` pass, then drops the connection without a byte."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        # ASGI has no message for "drop": a return would answer 500. uvicorn's receive is a method of the
        # request cycle, which owns the transport.
        receive.__self__.transport.abort()  # type: ignore[attr-defined]
        while (await receive())["type"] != "http.disconnect":
            pass
