"""Turns whatever is raised below a route into a problem document, so that no answer is ever bare."""

import traceback
from pathlib import Path
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolClosed, PoolTimeout
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from temporalio.service import RPCError, RPCStatusCode

from api.methods import Methods
from api.problems import CODES, FieldError, Problem, document, unavailable
from domain.errors import RateLimited, Rejected, Unavailable, Unknown
from temporal.commands import Pending

log = structlog.get_logger()

AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    PoolClosed,
    RedisError,
    RPCError,
    Pending,
    Unavailable,
    Unknown,
    RateLimited,
    ConnectionError,
    TimeoutError,
)
"""An engine is away, restarting, or slower than we wait: the caller may simply ask again."""


def problem_of(error: Exception) -> Problem:
    """The problem that answers `error`; 500 only for what is our own fault."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return _of_http(error)
        case RequestValidationError():
            return _of_validation(error)
        case Rejected():
            return Problem(409, error.code, error.detail)
        case RPCError() if error.status is RPCStatusCode.NOT_FOUND:
            return Problem(404)
        case RateLimited():
            return unavailable(max(1, round(error.retry_after)))
        case psycopg.DataError():
            # A value that no column can hold: out of range, a zero byte in a text.
            return Problem(422)
        case _ if isinstance(error, AWAY):
            log.warning("engine_away", error=type(error).__name__)
            return unavailable()
        case _:
            log.error("unexpected_error", error=type(error).__name__, where=where(error))
            return Problem(500)


def install(app: FastAPI) -> None:
    """Answers every error that reaches the application with its document."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status == 405 and (methods := _methods(app).of(request.url.path)):
            problem.headers["Allow"] = ", ".join(sorted(methods))
        return document(request, problem)

    for kind in (Problem, HTTPException, RequestValidationError, Rejected, psycopg.Error, *AWAY):
        app.add_exception_handler(kind, answer)


def where(error: BaseException) -> list[str]:
    """The innermost frames of an error, without its text and without any value: both may be personal."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def _methods(app: FastAPI) -> Methods:
    if not hasattr(app.state, "methods"):
        app.state.methods = Methods(app)
    return app.state.methods


def _of_http(error: HTTPException) -> Problem:
    status = error.status_code
    return Problem(status, CODES.get(status, "error"), headers=error.headers)


def _of_validation(error: RequestValidationError) -> Problem:
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return Problem(400)
    return Problem(422, errors=[_field(item) for item in found])


def _field(item: dict[str, Any]) -> FieldError:
    # Only where and what kind: the offending input itself may be personal data.
    where, *path = [str(part).replace("~", "~0").replace("/", "~1") for part in item["loc"]]
    pointer = "/" + "/".join(path) if where == "body" else "/".join([where, *path])
    return FieldError(pointer, item["type"], item["msg"])
