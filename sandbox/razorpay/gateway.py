"""What handlers share: the stored entities, the account's rules, ids, events, and one call's context."""

import base64
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.razorpay import webhooks
from sandbox.razorpay.errors import RazorpayError, plain, required
from sandbox.razorpay.objects import PREFIXES, Entity, Objects, public
from sandbox.razorpay.rules import MAX_NOTE, MAX_NOTES, MIN_AMOUNT_PAISE, Rules
from sandbox.world import World


class Gateway:
    """One gateway account."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.objects = Objects(world.db)
        self.rules = Rules.from_environment()

    def new_id(self, kind: str) -> str:
        """Prefix and 14 case-sensitive alphanumerics."""
        return self.world.new_id(PREFIXES[kind])

    def emit(self, event: str, now: int, **entities: Entity) -> None:
        """Queues a webhook in the caller's transaction: an event exists exactly where its cause does."""
        shown = {name: public(entity) for name, entity in entities.items()}
        webhooks.queue(self.world, event, now, shown)


@dataclass
class Call:
    """One API call: its body and query, judged at `now` (unix seconds)."""

    gateway: Gateway
    request: Request
    body: dict[str, Any]
    now: int

    def part(self, name: str) -> str:
        """A piece of the path."""
        return str(self.request.path_params[name])

    def did(self, **effect: Any) -> None:
        """What the call really did, for the journal."""
        self.request.state.effect = effect


Handler = Callable[[Call], Awaitable[Entity | Response]]


def endpoint(gateway: Gateway, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Checks the credentials, reads the body, runs the handler; a RazorpayError undoes what it wrote."""

    async def serve(request: Request) -> Response:
        try:
            _authenticate(gateway, request)
            call = Call(gateway, request, _body(request), int(gateway.world.now(request).timestamp()))
            with gateway.world.transaction():
                answer = await handler(call)
        except RazorpayError as refusal:
            request.state.effect = None
            return refusal.response()
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return serve


def _authenticate(gateway: Gateway, request: Request) -> None:
    word, _, token = request.headers.get("authorization", "").partition(" ")
    credentials = gateway.world.credentials["razorpay"]
    expected = f"{credentials['key_id']}:{credentials['key_secret']}".encode()
    # The word must be `Basic` in exactly this case.
    if word == "Basic" and hmac.compare_digest(token.encode(), base64.b64encode(expected)):
        return
    given = bool(token)
    text = "Authentication failed" if given else "Please provide your api key for authentication purposes."
    raise plain(text, 401)


def _body(request: Request) -> dict[str, Any]:
    raw: bytes = request.state.body
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise RazorpayError("The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise RazorpayError("The request body is not a JSON object.")
    return body


def check_fields(body: dict[str, Any], allowed: frozenset[str]) -> None:
    """Refuses fields the gateway does not know."""
    extra = sorted(set(body) - allowed)
    if extra:
        raise RazorpayError(f"{', '.join(extra)} is/are not required and should not be sent", extra[0])


def amount_of(body: dict[str, Any], least: int = MIN_AMOUNT_PAISE) -> int:
    """The amount in paise; digits in a string are accepted, as the gateway does."""
    value = body.get("amount")
    if value is None:
        raise required("amount")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if type(value) is not int:
        raise RazorpayError("The amount must be an integer.", "amount")
    if value < least:
        raise RazorpayError("The amount must be at least INR 1.00", "amount")
    return value


def currency_of(body: dict[str, Any]) -> str:
    """Only INR is switched on for this account."""
    currency = body.get("currency")
    if currency is None:
        raise required("currency")
    if currency != "INR":
        raise RazorpayError("Currency is not supported", "currency")
    return "INR"


def notes_of(body: dict[str, Any]) -> Any:
    """Notes as stored: an object of at most 15 strings of 256; nothing becomes the empty list."""
    notes = body.get("notes")
    if not notes:
        return []
    if not isinstance(notes, dict):
        raise RazorpayError("The notes must be an array.", "notes")
    if len(notes) > MAX_NOTES:
        raise RazorpayError("Number of fields in notes should be less than or equal to 15", "notes")
    for name, value in notes.items():
        if not isinstance(value, str | int | float | bool) or len(str(value)) > MAX_NOTE:
            raise RazorpayError("The notes value may not be greater than 256 characters.", f"notes.{name}")
    return notes
