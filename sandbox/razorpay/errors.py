"""Razorpay's error document, and the exception a handler raises to answer with it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NOT_FOUND = "The id provided does not exist"
UNKNOWN_URL = "The requested URL was not found on the server."
ALREADY_PAID = (
    "Your payment has been declined as the order is already paid."
    " Please initiate the payment with a new order."
)


class RazorpayError(Exception):
    """Answers `{"error": {...}}`; what the handler wrote before is rolled back.

    The Python SDK reads only `code` and `description` and ignores the HTTP status.
    """

    def __init__(
        self,
        description: str,
        field: str | None = None,
        *,
        status: int = 400,
        code: str = "BAD_REQUEST_ERROR",
        source: str = "business",
        step: str = "payment_initiation",
        reason: str = "input_validation_failed",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(description)
        self.status = status
        self.document: dict[str, Any] = {
            "code": code,
            "description": description,
            "source": source,
            "step": step,
            "reason": reason,
            "metadata": metadata or {},
        }
        if field:
            self.document["field"] = field

    def response(self) -> Response:
        """The answer on the wire."""
        return JSONResponse({"error": self.document}, self.status)


def plain(description: str, status: int = 400, code: str = "BAD_REQUEST_ERROR") -> RazorpayError:
    """An error that no payment step caused: source, step and reason read `NA`."""
    return RazorpayError(description, status=status, code=code, source="NA", step="NA", reason="NA")


def required(field: str) -> RazorpayError:
    """A mandatory field is missing."""
    return RazorpayError(f"The {field.replace('_', ' ')} field is required.", field)


def error(status: int, request: Request) -> Response:
    """How a planted 5xx or 429 reads. The number of calls allowed is not published; the shape is."""
    if status == 429:
        return plain("Request failed. Please try after sometime.", 429).response()
    text = "We are facing some trouble completing your request at the moment. Please try again shortly."
    return plain(text, status, "SERVER_ERROR").response()
