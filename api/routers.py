"""The columns' routers, in the order in which paths are matched; what is not built comes last."""

from fastapi import FastAPI

from api import health, not_built
from api.identity import router as identity
from api.routing import check_routes

ROUTERS = [
    health.router,
    identity,
]


def include(app: FastAPI) -> None:
    for router in (*ROUTERS, not_built.router):
        app.include_router(check_routes(router))
