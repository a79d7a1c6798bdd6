"""One loopback door to the Temporal UI and the codec: staff sign in, the UI is read-only, payloads open.

The embedded UI can send the codec no token, so both sit behind this proxy, which signs staff in against
the API and keeps the access token in a cookie that no script can read.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qsl

import httpx
import structlog
import uvicorn
from google.protobuf import json_format
from pydantic_core import from_json, to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from models.contracts.sealing import CannotOpen, KeyRing
from models.settings import Settings, settings
from temporal.codec import EncryptionCodec
from temporal.staff import COOKIE, STAFF_ROLES, StaffDoor, sign_in_page
from temporal.telemetry import configure

log = structlog.get_logger()
MAX_DECODE_BYTES = 4 * 1024 * 1024
MAX_FORM_BYTES = 8 * 1024
ASKED = re.compile(r"/api/v1/namespaces/[\w-]+/workflows/[\w:-]+/query/__temporal_workflow_metadata")
"""The one POST let through: by it the UI reads a run's current details (what it waits for, who can act)."""
UI_CSRF = "_csrf"
UI_SETTINGS = "/api/v1/settings"
SIGN_IN_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of the page where passwords are typed: framed by nobody, kept by nobody."""
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"}


class Proxy:
    def __init__(self, config: Settings, api: httpx.AsyncBaseTransport | None = None) -> None:
        self._codec = EncryptionCodec(KeyRing(config.ring(config.codec_keys)))
        self._door = StaffDoor(config.public_url, api)
        self._namespace = config.namespace
        self._ui = httpx.AsyncClient(base_url=config.temporal_ui, timeout=30.0)

    def app(self) -> Starlette:
        anything: Sequence[str] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
        return Starlette(
            routes=[
                Route("/healthz", self.healthy),
                Route("/sign-in", self.sign_in, methods=["GET", "POST"]),
                Route("/sign-out", self.sign_out),
                Route("/codec/encode", self.code, methods=["POST"]),
                Route("/codec/decode", self.code, methods=["POST"]),
                Route("/{path:path}", self.forward, methods=list(anything)),
            ]
        )

    async def healthy(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def sign_in(self, request: Request) -> Response:
        """Signs a member of staff in with mail, password and second factor, through the API."""
        if request.method != "POST":
            return _page()
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            # Another site's form would sign the browser in as someone else, unnoticed.
            return _page("Sign in on this page.", 403)
        body = await _body(request, MAX_FORM_BYTES)
        if body is None:
            return _page("Not signed in: too long.", 413)
        form = dict(parse_qsl(body.decode(errors="replace")))
        token = await self._door.token(form.get("email", ""), form.get("password", ""), form.get("totp", ""))
        if token is None:
            return _page("Not signed in: wrong details, or no staff role.", 401)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=900)
        return answer

    async def sign_out(self, _: Request) -> Response:
        answer = RedirectResponse("/sign-in", status_code=303)
        answer.delete_cookie(COOKIE)
        return answer

    async def code(self, request: Request) -> Response:
        """Temporal's codec endpoint: payloads as JSON in, decoded (or encoded) payloads out."""
        subject = await self._door.subject(request.cookies.get(COOKIE), request.headers.get("authorization"))
        if subject is None:
            return JSONResponse({"message": "sign in as staff"}, status_code=401)
        body = await _body(request, MAX_DECODE_BYTES)
        if body is None:
            return JSONResponse({"message": "too large"}, status_code=413)
        step: Callable[[Sequence[Payload]], Awaitable[list[Payload]]]
        step = self._codec.decode if request.url.path.endswith("decode") else self._codec.encode
        try:
            payloads = json_format.Parse(body, Payloads()).payloads
            coded = await step(payloads)
        except (json_format.ParseError, CannotOpen, UnicodeDecodeError):
            return JSONResponse({"message": "these payloads cannot be opened"}, status_code=400)
        log.info(
            "payloads_coded", subject=subject, count=len(coded), step=request.url.path.rsplit("/", 1)[-1]
        )
        return Response(json_format.MessageToJson(Payloads(payloads=coded)), media_type="application/json")

    async def forward(self, request: Request) -> Response:
        """The UI, for signed-in staff, reading only: steering goes through the API, which signs who asks."""
        if await self._door.subject(request.cookies.get(COOKIE), None) is None:
            page = "text/html" in request.headers.get("accept", "")
            return (
                RedirectResponse("/sign-in", status_code=303)
                if page
                else JSONResponse({"message": "sign in as staff"}, status_code=401)
            )
        asks = request.method == "POST" and ASKED.fullmatch(request.url.path)
        if request.method not in ("GET", "HEAD") and not asks:
            return JSONResponse({"message": "the UI is read-only; act through the API"}, status_code=403)
        body = await _body(request, MAX_FORM_BYTES)
        if body is None:
            return JSONResponse({"message": "too large"}, status_code=413)
        try:
            found = await self._ui.request(
                request.method,
                request.url.path,
                params=str(request.url.query),
                headers=_passed(request),
                content=body,
            )
        except httpx.InvalidURL:
            return JSONResponse({"message": "no such page"}, status_code=404)
        except httpx.HTTPError:
            return JSONResponse({"message": "the Temporal UI does not answer"}, status_code=502)
        headers = {name: value for name, value in found.headers.items() if name.lower() not in HOP_BY_HOP}
        content = found.content
        if request.url.path.rstrip("/") == UI_SETTINGS and found.is_success:
            content = self._told(content)
        return Response(content, status_code=found.status_code, headers=headers)

    def _told(self, settings_: bytes) -> bytes:
        """The UI's settings: our namespace, the codec that opens payloads, no buttons that would act."""
        shown = from_json(settings_)
        shown["Codec"] = {**shown["Codec"], "Endpoint": "/codec", "IncludeCredentials": True}
        return to_json({**shown, "DefaultNamespace": self._namespace, "DisableWriteActions": True})


def _page(message: str = "", status: int = 200) -> Response:
    return HTMLResponse(sign_in_page(message), status, SIGN_IN_HEADERS)


async def _body(request: Request, at_most: int) -> bytes | None:
    """The body; None where it is longer, without having read the rest."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > at_most:
            return None
    return body


def _passed(request: Request) -> dict[str, str]:
    dropped = HOP_BY_HOP | {"cookie", "authorization", "accept-encoding"}
    passed = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
    if (own := request.cookies.get(UI_CSRF)) is not None:
        passed["cookie"] = f"{UI_CSRF}={own}"
    return passed


def main() -> None:
    """Entry of ``treum codec``. Roles let in: see `temporal.staff.STAFF_ROLES`."""
    config = settings()
    configure("codec", config)
    log.info("codec_open_to", roles=sorted(STAFF_ROLES))
    uvicorn.run(
        Proxy(config).app(), host=config.host, port=config.codec_port, log_level="warning", access_log=False
    )
