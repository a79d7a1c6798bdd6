"""One loopback door to the Temporal UI and the codec: staff sign in, the UI is read-only, payloads open.

The embedded UI can send the codec no token, so both sit behind this proxy, which signs staff in against
the API and keeps the access token in a cookie that no script can read.
"""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qsl

import httpx
import structlog
import uvicorn
from google.protobuf import json_format
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
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"}


class Proxy:
    def __init__(self, config: Settings, api: httpx.AsyncBaseTransport | None = None) -> None:
        self._codec = EncryptionCodec(KeyRing(config.ring(config.codec_keys)))
        self._door = StaffDoor(config.public_url, api)
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
        if request.method == "GET":
            return HTMLResponse(sign_in_page())
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        token = await self._door.token(form.get("email", ""), form.get("password", ""), form.get("totp", ""))
        if token is None:
            return HTMLResponse(
                sign_in_page("Not signed in: wrong details, or no staff role."), status_code=401
            )
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
        body = await request.body()
        if len(body) > MAX_DECODE_BYTES:
            return JSONResponse({"message": "too large"}, status_code=413)
        step: Callable[[Sequence[Payload]], Awaitable[list[Payload]]]
        step = self._codec.decode if request.url.path.endswith("decode") else self._codec.encode
        try:
            payloads = json_format.Parse(body, Payloads()).payloads
            coded = await step(payloads)
        except (json_format.ParseError, CannotOpen):
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
        if request.method not in ("GET", "HEAD"):
            return JSONResponse({"message": "the UI is read-only; act through the API"}, status_code=403)
        try:
            found = await self._ui.request(
                request.method, request.url.path, params=str(request.url.query), headers=_passed(request)
            )
        except httpx.HTTPError:
            return JSONResponse({"message": "the Temporal UI does not answer"}, status_code=502)
        headers = {name: value for name, value in found.headers.items() if name.lower() not in HOP_BY_HOP}
        return Response(found.content, status_code=found.status_code, headers=headers)


def _passed(request: Request) -> dict[str, str]:
    dropped = HOP_BY_HOP | {"cookie", "authorization", "accept-encoding"}
    return {name: value for name, value in request.headers.items() if name.lower() not in dropped}


def main() -> None:
    """Entry of ``treum codec``. Roles let in: see `temporal.staff.STAFF_ROLES`."""
    config = settings()
    configure("codec", config)
    log.info("codec_open_to", roles=sorted(STAFF_ROLES))
    uvicorn.run(
        Proxy(config).app(), host=config.host, port=config.codec_port, log_level="warning", access_log=False
    )
