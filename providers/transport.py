"""The HTTP clients that every provider is called through: timeouts, tracing, and one kill point."""

import httpx
import requests
from opentelemetry import trace
from opentelemetry.propagate import inject

from models.contracts.killpoints import Stage, reached

TIMEOUT = httpx.Timeout(7.0, connect=2.0)
tracer = trace.get_tracer("treum.providers")


async def _start_trace(request: httpx.Request) -> None:
    inject(request.headers)


async def _answered(_: httpx.Response) -> None:
    reached(Stage.AFTER_SEND)


def client() -> httpx.AsyncClient:
    """An asynchronous client for providers that we speak to ourselves."""
    return httpx.AsyncClient(
        timeout=TIMEOUT,
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        event_hooks={"request": [_start_trace], "response": [_answered]},
    )


class TracedSession(requests.Session):
    """A session for official clients that use `requests`: a span a call, and the kill point after it."""

    def request(self, method: str, url: str, *args: object, **kwargs: object) -> requests.Response:  # type: ignore[override]
        path = url.split("?", 1)[0]
        with tracer.start_as_current_span(f"{method.upper()} {path}"):
            headers = dict(kwargs.pop("headers", None) or {})  # type: ignore[call-overload]
            inject(headers)
            response = super().request(method, url, *args, headers=headers, **kwargs)  # type: ignore[arg-type]
        reached(Stage.AFTER_SEND)
        return response
