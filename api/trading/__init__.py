"""The trading column's routes."""

from fastapi import APIRouter

from api.trading import accounts, orders, positions, postbacks

router = APIRouter()
for part in (accounts, orders, positions, postbacks):
    router.include_router(part.router)
