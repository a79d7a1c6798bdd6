"""The trading column's routes."""

from fastapi import APIRouter

from api.trading import accounts, kill_switch, modes, orders, positions, postbacks, report_keys, statements

router = APIRouter()
for part in (accounts, kill_switch, modes, orders, positions, postbacks, report_keys, statements):
    router.include_router(part.router)
