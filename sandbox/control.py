"""`/_control`: clock, credentials, faults, journal, reset, and the guard around every control call."""

import ipaddress
import logging
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import faults, journal
from sandbox.world import World, parse_time

log = logging.getLogger("sandbox.control")

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


class ControlError(Exception):
    """A control call that makes no sense; answered with `status` and `{"error": detail}`."""

    def __init__(self, detail: str, status: int = 422) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


async def fields(request: Request) -> dict[str, Any]:
    """The JSON object of a control call; raises ControlError where it is none."""
    try:
        body = await request.json()
    except ValueError as error:
        raise ControlError("the body is not JSON", 400) from error
    if not isinstance(body, dict):
        raise ControlError("the body is not a JSON object", 400)
    return body


class Guard:
    """Lets only deliberate local callers in, and runs each control call in one exclusive transaction."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self.app = app
        self.world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/_control"):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        response: JSONResponse | Collected | None = refusal(request)
        if response is None:
            await request.body()  # read before the lock is taken: a slow sender holds nobody up
            try:
                async with self.world.exclusive():
                    response = await self._run(request)
            except ControlError as error:
                response = JSONResponse({"error": error.detail}, error.status)
            except Exception:
                # Rolled back; the caller is told, the log says why, and the connection stays usable.
                log.exception("%s %s failed", request.method, request.url.path)
                response = JSONResponse({"error": "the sandbox failed; its log says why"}, 500)
        await response(scope, receive, send)

    async def _run(self, request: Request) -> "Collected":
        collected = Collected()
        body = await request.body()

        async def replay() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(request.scope, replay, collected.send)
        return collected


class Collected:
    """An answer kept back until the transaction is committed."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def send(self, message: Any) -> None:
        self.messages.append(message)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self.messages:
            await send(message)


def refusal(request: Request) -> JSONResponse | None:
    """Why a control call is not let in, or None: loopback peer, local Host, header, JSON."""
    peer = request.client.host if request.client else ""
    host = request.headers.get("host", "")
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    try:
        local = ipaddress.ip_address(peer).is_loopback
    except ValueError:
        local = False
    if not local or name not in HOSTS:
        return JSONResponse({"error": "control calls come from this machine only"}, 403)
    if request.headers.get("x-sandbox-control") != "1":
        return JSONResponse({"error": "header X-Sandbox-Control: 1 is missing"}, 403)
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.method != "GET" and media != "application/json":
        return JSONResponse({"error": "control calls are JSON"}, 415)
    return None


def control_routes(world: World) -> list[BaseRoute]:
    """The control calls that belong to no single world."""

    async def credentials(request: Request) -> JSONResponse:
        return JSONResponse(world.credentials)

    async def clock(request: Request) -> JSONResponse:
        body = await fields(request)
        try:
            moment: datetime = parse_time(str(body["now"]))
        except (KeyError, ValueError, OverflowError) as error:
            raise ControlError("`now` is not a time with a zone") from error
        run = body.get("run", True)
        if not isinstance(run, bool):
            raise ControlError("`run` is not true or false")
        world.set_clock(moment, run)
        return JSONResponse({"now": world.now().isoformat(), "run": run})

    async def plant(request: Request) -> JSONResponse:
        body = await fields(request)
        target, kind = body.get("target"), body.get("fault")
        times, seconds, match = body.get("times", 1), body.get("seconds"), body.get("match") or ""
        if target not in faults.TARGETS or kind not in faults.KINDS:
            raise ControlError("unknown target or fault")
        if type(times) is not int or times < 1 or not isinstance(match, str):
            raise ControlError("`times` is a positive integer and `match` a string")
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
            raise ControlError("`seconds` is a number")
        number = world.faults.plant(str(target), match, str(kind), times, seconds)
        return JSONResponse({"id": number, "target": target, "match": match, "fault": kind, "times": times})

    async def heal(request: Request) -> JSONResponse:
        """Takes back what is still planted for a target, or for all."""
        return JSONResponse({"healed": world.faults.heal((await fields(request)).get("target"))})

    async def read_journal(request: Request) -> JSONResponse:
        target = request.query_params.get("target") or None
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            raise ControlError("`after` is a number of the journal")
        return JSONResponse({"items": journal.items(world.db, target, int(after))})

    async def reset(request: Request) -> JSONResponse:
        world.reset()
        return JSONResponse({"reset": True})

    return [
        Route("/_control/credentials", credentials, methods=["GET"]),
        Route("/_control/clock", clock, methods=["POST"]),
        Route("/_control/faults", plant, methods=["POST"]),
        Route("/_control/faults/heal", heal, methods=["POST"]),
        Route("/_control/journal", read_journal, methods=["GET"]),
        Route("/_control/reset", reset, methods=["POST"]),
    ]
