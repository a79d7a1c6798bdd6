"""Signals: drawn up and published by analysts, read by plan, acted on by customers, streamed by the hub."""

from fastapi import APIRouter

from api.routing import check_routes
from api.signals import acting, analysts, market_data, reading, runs, watchlist

router = APIRouter(prefix="/v1")
for part in (runs, market_data, watchlist, acting, analysts, reading):
    # Paths with fixed words come before the ones that hold an id.
    router.include_router(check_routes(part.router))
