"""The application: its lifespan, its edge, its routers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import failures, openapi, routers
from api.limits import OPENAPI_PATH, Limits
from api.middleware import Edge
from api.platform import Platform
from models.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The API of one process; engines may be away when it starts."""
    platform = Platform(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await platform.open()
        try:
            yield
        finally:
            await platform.close()

    app = FastAPI(
        title="Treum",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI_PATH,
        strict_content_type=False,
        redirect_slashes=False,
    )
    app.state.platform = platform
    app.state.limits = Limits(platform.redis, settings)
    app.add_middleware(Edge)
    failures.install(app)
    routers.include(app)
    openapi.install(app)
    return app
