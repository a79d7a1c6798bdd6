"""Liveness, readiness and the documentation page: at the root, outside every limit."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import psycopg
from fastapi import APIRouter
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError
from starlette.responses import HTMLResponse, JSONResponse
from temporalio.service import RPCError

from api.middleware import docs_page
from api.platform import Platform, PlatformDep
from domain import dated_tables
from domain.errors import Unavailable
from domain.market_calendar import trading_date

router = APIRouter()

AWAY = (psycopg.Error, PoolTimeout, RedisError, RPCError, Unavailable, OSError, TimeoutError)


@router.get("/healthz", include_in_schema=False)
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", include_in_schema=False)
async def readyz(platform: PlatformDep) -> JSONResponse:
    """200 when every engine answers within a second, else 503 with the ones that do not; `warnings` of dated
    tables that end soon, which keep nobody from being served."""
    engines = {
        "postgres": _postgres(platform),
        "redis": platform.redis.ping(),
        "temporal": _temporal(platform),
    }
    answers = await asyncio.gather(*(_answers(check) for check in engines.values()))
    found = dict(zip(engines, answers, strict=True))
    ready = all(found.values())
    headers = {} if ready else {"Retry-After": "1"}
    body = {
        "status": "ready" if ready else "not_ready",
        "engines": found,
        "warnings": dated_tables.warnings(trading_date(datetime.now(UTC))),
    }
    return JSONResponse(body, 200 if ready else 503, headers)


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    return HTMLResponse(bytes(docs_page.body))


async def _answers(check: Awaitable[Any]) -> bool:
    try:
        await asyncio.wait_for(check, 1.0)
    except AWAY:
        return False
    return True


async def _postgres(platform: Platform) -> None:
    async with platform.database.reading() as connection:
        await connection.execute("SELECT 1")


async def _temporal(platform: Platform) -> None:
    await platform.client.service_client.check_health()
