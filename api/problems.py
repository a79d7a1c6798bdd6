"""Problem documents (RFC 9457): the one shape of every refusal, and the status of each refusal's code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: "Malformed request",
    401: "Authentication required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict with the present state",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Invalid request",
    429: "Too many requests",
    500: "Internal error",
    501: "Not built",
    503: "Temporarily unavailable",
}

CODES = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "rate_limited",
    500: "internal",
    501: "not_built",
    503: "temporarily_unavailable",
}

STATUS_OF_CODE: dict[str, int] = {
    # Whatever a process refuses is a conflict with its state (409) unless it stands here.
    "forbidden": 403,
    "not_found": 404,
    "invalid": 422,
    "answers_invalid": 422,
    "not_publishable": 422,
    "course_not_found": 404,
    "step_up_required": 403,
    "kyc_tier_required": 403,
    "limit_exceeded": 403,
    "payment_declined": 403,
    "billing_state_required": 422,
    "instrument_unknown": 422,
    "timeframe_not_offered": 422,
    "signature_invalid": 422,
    "refund_not_granted": 403,
    "refund_exceeds_payment": 422,
    "second_person_required": 403,
    "assertion_invalid": 403,
    "role_required": 403,
    "plan_unknown": 422,
    "fee_cap_reached": 403,
    "trial_not_offered": 422,
    "own_case": 403,
    "same_officer": 403,
    "temporarily_unavailable": 503,
}


@dataclass(frozen=True)
class FieldError:
    """What is wrong where: `pointer` is a JSON pointer into the body, or ``query/<name>``."""

    pointer: str
    code: str
    message: str


class Problem(Exception):
    """A refusal with its document. Raise it anywhere below a route.

    `more` adds members of the problem's own, e.g. ``methods`` of ``step_up_required``.
    """

    def __init__(
        self,
        status: int,
        code: str = "",
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code or CODES.get(status, "error")
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = list(errors)
        self.more = dict(more or {})


def refusal(code: str, detail: str = "") -> Problem:
    """The problem of a code by which a process refused."""
    more = {"methods": ["totp", "phone"]} if code == "step_up_required" else None
    return Problem(STATUS_OF_CODE.get(code, 409), code, detail, more=more)


def unavailable(retry_after: int = 1, code: str = "temporarily_unavailable") -> Problem:
    """503: an engine is away or the process is slow; the same request may be sent again."""
    return Problem(503, code, headers={"Retry-After": str(retry_after)})


def document(request: Request, problem: Problem) -> JSONResponse:
    """The answer that carries `problem`."""
    title = TITLES.get(problem.status, "Error")
    body: dict[str, Any] = {
        **problem.more,
        "type": f"urn:treum:problem:{problem.code}",
        "title": title,
        "status": problem.status,
        "detail": problem.detail or title,
        "code": problem.code,
        "instance": instance(request),
        "trace_id": request.scope.get("state", {}).get("trace_id", ""),
        "errors": [vars(error) for error in problem.errors],
    }
    headers = problem.headers
    if problem.status == 401:
        headers = {"WWW-Authenticate": "Bearer", **headers}
    return JSONResponse(body, problem.status, headers, MEDIA_TYPE)


def instance(request: Request) -> str:
    """The request's path, without the secret that one webhook's path carries."""
    path: str = request.scope.get("path", "")
    return "/v1/webhooks/kite" if path.startswith("/v1/webhooks/kite/") else path
