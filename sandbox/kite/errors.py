"""Answers in Kite Connect's envelope: success, error, and the error types with their HTTP codes.

Source: kite.trade/docs/connect/v3/response-structure and /exceptions.
"""

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

DEFAULT_STATUS = {
    "TokenException": 403,
    "UserException": 403,
    "PermissionException": 403,
    "OrderException": 400,
    "InputException": 400,
    "MarginException": 400,
    "HoldingException": 400,
    "NetworkException": 503,
    "DataException": 502,
    "GeneralException": 500,
}


class KiteError(Exception):
    """An error that the caller gets in Kite's envelope; nothing has happened."""

    def __init__(self, error_type: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.status = status or DEFAULT_STATUS[error_type]

    def response(self) -> Response:
        """The JSON answer that kiteconnect turns into the exception class of `error_type`."""
        body = {"status": "error", "message": self.message, "data": None, "error_type": self.error_type}
        return JSONResponse(body, status_code=self.status)

    def payload(self) -> dict[str, Any]:
        """The same error as a child of an autoslice answer carries it."""
        return {"code": self.status, "error_type": self.error_type, "message": self.message, "data": None}


def input_error(message: str) -> KiteError:
    """A missing or bad parameter: 400 InputException."""
    return KiteError("InputException", message)


def order_error(message: str) -> KiteError:
    """An order that cannot be placed or changed: 400 OrderException."""
    return KiteError("OrderException", message)


def token_error(message: str = "Incorrect `api_key` or `access_token`.") -> KiteError:
    """A session that is not valid (any more): 403 TokenException."""
    return KiteError("TokenException", message)


def ok(data: Any, headers: dict[str, str] | None = None) -> Response:
    """`{"status": "success", "data": data}`."""
    return JSONResponse({"status": "success", "data": data}, headers=headers)


def rupees(paise: int | Decimal) -> float | int:
    """Paise as the JSON number of rupees that Kite sends (whole numbers without a fraction)."""
    value = Decimal(paise) / 100
    return int(value) if value == value.to_integral_value() else float(value)


def error(status: int, request: Request) -> Response:
    """How Kite words a fault of the control interface: its own gateway answers.

    A 429 is what its rate limiter says, a 5xx is a NetworkException: the OMS is not reachable.
    """
    if status == 429:
        return KiteError("NetworkException", "Too many requests", 429).response()
    if status == 500:
        return KiteError(
            "GeneralException", "Something unexpected happened. Please try again.", 500
        ).response()
    if status == 502:
        return KiteError("DataException", "Unable to parse the response from the OMS.", 502).response()
    return KiteError("NetworkException", "Unable to reach the OMS. Please try again.", status).response()
