"""Lets the official client use `root="http://host:port/kite"`.

KiteConnect joins its routes with `urljoin(root, "/orders")`, which drops the root's own path: the calls
come to `/orders`. They are taken as `/kite/orders` before anything else sees them (faults, journal, routes).
"""

from starlette.types import ASGIApp, Receive, Scope, Send

FIRST_SEGMENTS = frozenset({
    "session", "user", "orders", "trades", "portfolio", "mf", "instruments", "margins", "quote", "gtt",
    "charges",
})  # fmt: skip


class KiteRootPaths:
    """ASGI middleware: a Kite route at the top belongs below `/kite`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].split("/", 2)[1] in FIRST_SEGMENTS:
            raw = scope.get("raw_path") or scope["path"].encode()
            scope = {**scope, "path": f"/kite{scope['path']}", "raw_path": b"/kite" + raw}
        await self.app(scope, receive, send)
