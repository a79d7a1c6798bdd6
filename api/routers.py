"""The columns' routers, in the order in which paths are matched; what is not built comes last."""

from fastapi import FastAPI

from api import health, not_built
from api.billing import router as billing
from api.education import router as education
from api.identity import router as identity
from api.onboarding import router as onboarding
from api.routing import check_routes
from api.signals import router as signals
from api.staff import router as staff
from api.trading import router as trading

ROUTERS = [
    health.router,
    identity,
    onboarding,
    billing,
    education,
    trading,
    staff,
    signals,
]


def include(app: FastAPI) -> None:
    for router in (*ROUTERS, not_built.router):
        app.include_router(check_routes(router))
