"""How the KYC providers word refusals, and how the fields of a call are read."""

from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from sandbox.control import ControlError

_FAULTS = {429: ("rate_limited", "too many requests"), 500: ("internal_error", "try again later")}


class BadCall(Exception):
    """A provider call with a missing or malformed field; `code` says which rule it broke."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def refuse(status: int, code: str, message: str = "") -> JSONResponse:
    """A refusal in these providers' shape."""
    return JSONResponse({"error": {"code": code, "message": message or code.replace("_", " ")}}, status)


def error(status: int, request: Request) -> JSONResponse:
    """A planted 5xx or 429 in these providers' shape."""
    response = refuse(status, *_FAULTS.get(status, _FAULTS[500]))
    if status == 429:
        response.headers["Retry-After"] = "1"
    return response


async def call_fields(request: Request) -> dict[str, Any]:
    """The JSON object of a provider call.

    Raises:
        BadCall: `malformed_json`.
    """
    try:
        body = await request.json()
    except ValueError:
        raise BadCall("malformed_json") from None
    if not isinstance(body, dict):
        raise BadCall("malformed_json")
    return body


def text(body: dict[str, Any], key: str) -> str:
    """A non-empty string of a provider call; raises BadCall `missing_<key>`."""
    value = body.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadCall(f"missing_{key}")
    return value.strip()


def day(body: dict[str, Any], key: str) -> date:
    """An ISO date of a provider call; raises BadCall."""
    try:
        return date.fromisoformat(text(body, key))
    except ValueError:
        raise BadCall(f"malformed_{key}") from None


def control_text(body: dict[str, Any], key: str, default: str | None = None) -> str:
    """A string of a control call; raises ControlError where it is missing and has no default."""
    value = body.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise ControlError(f"`{key}` is missing or no text")
    return value.strip()


def control_day(body: dict[str, Any], key: str) -> date:
    """An ISO date of a control call; raises ControlError."""
    try:
        return date.fromisoformat(control_text(body, key))
    except ValueError:
        raise ControlError(f"`{key}` is no date") from None
