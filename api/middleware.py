"""The edge of the application: trace id, security headers, limit headers, and no bare error, ever."""

import base64
import hashlib
import re
import secrets
import time

import structlog
from fastapi.openapi.docs import get_swagger_ui_html
from opentelemetry import propagate, trace
from prometheus_client import Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.failures import problem_of
from api.limits import OPENAPI_PATH, Limits
from api.problems import document

log = structlog.get_logger()
tracer = trace.get_tracer("treum.api")

SECONDS = Histogram("treum_api_request_seconds", "Time to answer", ["method", "route", "status"])


SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
CLOSED = "default-src 'none'; frame-ancestors 'none'"

docs_page = get_swagger_ui_html(openapi_url=OPENAPI_PATH, title="Treum")


def _docs_policy() -> str:
    html = bytes(docs_page.body).decode()
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    source = "https://cdn.jsdelivr.net"
    return (
        f"default-src 'none'; script-src {source} {hashes}; style-src {source} 'unsafe-inline'; "
        "img-src data: https://fastapi.tiangolo.com; connect-src 'self'; frame-ancestors 'none'"
    )


DOCS = _docs_policy()


class Edge:
    """Pure ASGI: wraps everything inside, so that every answer carries what every answer carries."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = propagate.extract(Headers(scope=scope))
        with tracer.start_as_current_span(scope["method"], context, trace.SpanKind.SERVER):
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        state["trace_id"] = trace_id = _trace_id()
        request = Request(scope, receive)
        began = time.perf_counter()
        status, route = 0, ""

        async def answer(message: Message) -> None:
            nonlocal status, route
            if message["type"] == "http.response.start":
                status, route = message["status"], _template(scope)
                await _add_headers(MutableHeaders(scope=message), request, status)
            await send(message)

        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                await self.app(scope, receive, answer)
            except Exception as error:
                problem = document(request, problem_of(error))
                if status:
                    raise
                await problem(scope, receive, answer)
            finally:
                _record(request.method, route, status, time.perf_counter() - began)


async def _add_headers(headers: MutableHeaders, request: Request, status: int) -> None:
    path = request.scope["path"]
    for name, value in SECURITY.items():
        headers.setdefault(name, value)
    headers["Content-Security-Policy"] = DOCS if path == "/docs" else CLOSED
    headers["Trace-Id"] = request.state.trace_id
    limits: Limits = request.app.state.limits
    verdict = getattr(request.state, "limit", None)
    if verdict is None:
        peer = request.client.host if request.client else ""
        verdict = await limits.count(limits.address(peer, request.headers), path, tier=None)
    headers.update(verdict.headers())
    if status == 429:
        headers.setdefault("Retry-After", str(verdict.reset))


def _trace_id() -> str:
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else secrets.token_hex(16)


def _record(method: str, route: str, status: int, seconds: float) -> None:
    """The request's span, metric and log line. All carry the route's template, never the path or the
    query: those may hold what identifies a person."""
    span = trace.get_current_span()
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.route": route, "http.response.status_code": status})
    SECONDS.labels(method, route, status).observe(seconds)
    log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


def _template(scope: Scope) -> str:
    # While a router's included route answers, FastAPI keeps its whole path beside the inner one.
    whole = scope.get("fastapi", {}).get("effective_route_context")
    return getattr(whole, "path", "") or getattr(scope.get("route"), "path", "") or "unmatched"
