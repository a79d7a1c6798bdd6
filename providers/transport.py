"""The HTTP clients that every provider is called through: timeouts, tracing, and one kill point."""

import asyncio
import time
from typing import Any

import httpx
import requests
from opentelemetry import trace
from opentelemetry.propagate import inject

from models.contracts.killpoints import LATE_SECONDS, Stage, reached, spoils

TIMEOUT = httpx.Timeout(7.0, connect=2.0)
tracer = trace.get_tracer("treum.providers")


async def _start_trace(request: httpx.Request) -> None:
    inject(request.headers)


async def _answered(response: httpx.Response) -> None:
    reached(Stage.AFTER_SEND)
    if spoils(Stage.LATE):
        await asyncio.sleep(LATE_SECONDS)
    if spoils(Stage.LOST):
        raise httpx.ReadTimeout("the answer was lost", request=response.request)


def client() -> httpx.AsyncClient:
    """An asynchronous client for providers that we speak to ourselves."""
    return httpx.AsyncClient(
        timeout=TIMEOUT,
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        event_hooks={"request": [_start_trace], "response": [_answered]},
    )


class TracedSession(requests.Session):
    """A session for official clients that use `requests`: a span a call, and the kill point after it."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        path = (request.url or "").split("?", 1)[0]
        with tracer.start_as_current_span(f"{request.method} {path}"):
            inject(request.headers)
            response = super().send(request, **kwargs)
        reached(Stage.AFTER_SEND)
        if spoils(Stage.LATE):
            time.sleep(LATE_SECONDS)
        if spoils(Stage.LOST):
            raise requests.ReadTimeout("the answer was lost")
        return response
