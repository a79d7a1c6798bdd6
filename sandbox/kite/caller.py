"""Who calls: the session behind `Authorization: token key:token`, its rate limit, and the parameters sent."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from sandbox.kite.errors import KiteError, input_error, token_error
from sandbox.kite.hours import ist
from sandbox.kite.limits import Limits
from sandbox.world import World


@dataclass
class Caller:
    """An admitted call. `offset_seconds` is how far the call's own time is ahead of the sandbox's clock."""

    world: World
    request: Request
    user_id: str
    api_key: str
    now: datetime
    offset_seconds: float

    @property
    def today(self) -> date:
        """The caller's day in IST."""
        return ist(self.now).date()

    def form(self) -> dict[str, str]:
        """The form-encoded body."""
        return form(self.request)

    def json_list(self) -> list[dict[str, Any]]:
        """The JSON array of a margin or charges call; raises InputException for anything else."""
        try:
            body = json.loads(self.request.state.body or b"")
        except ValueError as problem:
            raise input_error("Invalid JSON body.") from problem
        if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
            raise input_error("Invalid JSON body: an array of orders is expected.")
        return body


Handler = Callable[[Caller], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def form(request: Request) -> dict[str, str]:
    """The form-encoded body of any call."""
    return dict(parse_qsl(request.state.body.decode("utf-8", "replace"), keep_blank_values=True))


def required(fields: dict[str, str], name: str) -> str:
    """A field that has to be there; raises InputException in Kite's words."""
    value = fields.get(name, "")
    if not value:
        raise input_error(f"Missing or empty field `{name}`")
    return value


class Gate:
    """Turns a handler into an endpoint: admits the caller, and undoes what a refused handler wrote."""

    def __init__(self, world: World, limits: Limits) -> None:
        self.world = world
        self.limits = limits

    def signed_in(self, handler: Handler, bucket: str = "other") -> Endpoint:
        """An endpoint for callers with a live session, counted in this rate-limit bucket."""

        async def endpoint(request: Request) -> Response:
            try:
                caller = self.admit(request)
                if request.url.path.startswith("/kite/orders/") and request.method != "GET":
                    self._check_address(request)
                self.limits.check(caller.user_id, bucket, self._orders_today(caller, bucket))
                with self.world.transaction():
                    return handler(caller)
            except KiteError as refused:
                request.state.effect = None
                return refused.response()

        return endpoint

    def open(self, handler: Callable[[World, Request], Response]) -> Endpoint:
        """An endpoint that needs no session (the token exchange)."""

        async def endpoint(request: Request) -> Response:
            try:
                with self.world.transaction():
                    return handler(self.world, request)
            except KiteError as refused:
                return refused.response()

        return endpoint

    def admit(self, request: Request) -> Caller:
        """Checks the header and the session; raises TokenException."""
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        api_key, _, access_token = pair.partition(":")
        if scheme != "token" or not api_key or not access_token:
            raise token_error("Invalid `Authorization` header.")
        if self.world.faults.take("kite", request.url.path, kinds={"expired_token"}):
            raise token_error()
        now = self.world.now(request)
        user_id = live_user(self.world, api_key, access_token, now)
        offset = (now - self.world.now()).total_seconds() if "x-sandbox-now" in request.headers else 0.0
        return Caller(self.world, request, user_id, api_key, now, offset)

    def _check_address(self, request: Request) -> None:
        """Order calls come from the registered address only (SEBI, April 2026), where the app has one."""
        row = self.world.db.execute("SELECT static_ip FROM kite_app").fetchone()
        peer = request.client.host if request.client else ""
        if row and row["static_ip"] and row["static_ip"] != peer:
            raise KiteError("PermissionException", f"Orders from the address {peer} are not allowed.")

    def _orders_today(self, caller: Caller, bucket: str) -> int:
        if bucket != "order":
            return 0
        row = self.world.db.execute(
            "SELECT count(*) AS n FROM kite_orders WHERE user_id = ? AND day = ?",
            (caller.user_id, caller.today.isoformat()),
        ).fetchone()
        return int(row["n"])


def live_user(world: World, api_key: str, access_token: str, now: datetime) -> str:
    """The user of a session that lives at `now`; raises TokenException."""
    row = world.db.execute(
        "SELECT * FROM kite_sessions WHERE access_token = ? AND api_key = ? AND dead = 0",
        (access_token, api_key),
    ).fetchone()
    if row is None or datetime.fromisoformat(row["expires_at"]) <= now:
        raise token_error()
    return str(row["user_id"])
