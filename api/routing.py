"""The order of checks on every route: 401, 404 or 403, 400, 413, 415, 422, then limits (429).

FastAPI reads the body before it solves dependencies; here the guards come first.
"""

import re
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import solve_dependencies
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, get_request_handler, request_response
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from api.commanding import caller_address, idempotency_key
from api.limits import Limits, Verdict
from api.principal import Principal, identify
from api.problems import FieldError, Problem

BODY_LIMIT = 10 * 1024 * 1024

KEY_DUE = re.compile(
    r"POST /v1/(payments/(create|refund)|trading/orders|signals/[^/]+/act"
    r"|trading/accounts/[^/]+/kill-switch|finance/breaks/[^/]+/resolve"
    r"|finance/refunds/[^/]+/(approve|reject)|finance/disputes/[^/]+/accept)"
)
"""Calls that need an ``Idempotency-Key`` (api.md): its absence is told before the body is looked at."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class CheckedRoute(APIRoute):
    """A route that is identified, counted, guarded and only then read."""

    def get_route_handler(self) -> Handler:
        serve = super().get_route_handler()
        refuse = get_request_handler(
            replace(self.dependant, call=_over_limit),
            self.body_field,
            embed_body_fields=self._embed_body_fields,
            strict_content_type=False,
        )
        guards = replace(
            self.dependant,
            dependencies=[each for each in self.dependant.dependencies if _is_guard(each)],
            path_params=[],
            query_params=[],
            header_params=[],
            cookie_params=[],
            body_params=[],
        )

        strict: TypeAdapter | None = None
        if self.body_field is not None:
            strict = TypeAdapter(self.body_field.field_info.annotation or object)

        async def handle(request: Request) -> Response:
            verdict = await _count(request)
            path = request.url.path
            if self.body_field is not None or path.startswith("/v1/webhooks/"):
                await solve_dependencies(
                    request=request,
                    dependant=guards,
                    async_exit_stack=request.scope["fastapi_inner_astack"],
                    embed_body_fields=False,
                )
                if KEY_DUE.fullmatch(f"{request.method} {path}"):
                    idempotency_key(request, required=True)
                await _read_body(request, strict)
            return await (serve if verdict.allowed else refuse)(request)

        return handle


def check_routes(router: APIRouter) -> APIRouter:
    """Puts every route of a column's router, however it was declared, under the order of checks."""
    for route in router.routes:
        if isinstance(within := getattr(route, "original_router", None), APIRouter):
            check_routes(within)
        elif type(route) is APIRoute:
            route.__class__ = CheckedRoute
            route.app = request_response(route.get_route_handler())
    return router


def _is_guard(dependant: Dependant) -> bool:
    return getattr(dependant.call, "__guard__", False)


async def _over_limit(**_: Any) -> Response:
    raise Problem(429)


async def _count(request: Request) -> Verdict:
    limits: Limits = request.app.state.limits
    path = request.url.path
    try:
        principal = await identify(request)
    except Problem:
        request.state.limit = await limits.count(caller_address(request), path, tier=None)
        raise
    if principal is None:
        verdict = await limits.count(caller_address(request), path, tier=None)
    else:
        # Staff work for the firm: no plan bounds them, the route's limit still does.
        tier = "enterprise" if principal.is_staff else principal.tier
        verdict = await limits.count(_caller(principal), path, tier=tier)
    request.state.limit = verdict
    return verdict


def _caller(principal: Principal) -> str:
    return principal.api_key_id or principal.user_id


async def _read_body(request: Request, strict: TypeAdapter | None) -> None:
    """413, 415, 400, and the 422 of wrong types: FastAPI itself would take ``"5"`` for a number. What was
    read is kept for it. Without `strict` the body is raw and only bounded."""
    length = request.headers.get("content-length", "0")
    if not length.isdigit():
        raise Problem(400)
    if int(length) > BODY_LIMIT:
        raise Problem(413)
    if strict is not None and not _is_json(request.headers.get("content-type")):
        raise Problem(415)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise Problem(413)
        chunks.append(chunk)
    body = request._body = b"".join(chunks)
    if strict is None or not body:
        return
    try:
        request._json = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise Problem(400) from None
    if b"\\u0000" in body:
        raise Problem(422, errors=[FieldError("", "zero_byte", "a text holds a zero byte")])
    try:
        strict.validate_json(body, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from None


def _is_json(content_type: str | None) -> bool:
    if not content_type:
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
