"""From a route to the command envelope and back: one line a command."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.limits import Limits
from api.platform import PlatformDep
from api.principal import OptionalUser, Principal
from api.problems import Problem, refusal, unavailable
from models.contracts.commands import Alongside, Drive
from models.contracts.commands import Request as CommandRequest
from models.contracts.identifiers import uuid7
from store import audit, idempotency
from store.database import Connection
from temporal.commands import InProgress, KeyReused, Pending, Sight

KEY_HEADER = "idempotency-key"
LONGEST_KEY = 255


class Commander:
    """Runs commands for one request: its caller, its method and path, its key, its body's bytes."""

    def __init__(self, request: Request, platform: PlatformDep, principal: OptionalUser) -> None:
        self._request = request
        self._platform = platform
        self._principal = principal

    async def run(
        self,
        minted_id: str,
        drive: Callable[[str], Drive],
        *,
        natural_key: str | None = None,
        alongside: Alongside | None = None,
        status: int | Callable[[dict[str, Any]], int] = 201,
        key_required: bool = False,
        key_ignored: bool = False,
        about: Sequence[str] = (),
        sight: Sight | None = None,
    ) -> JSONResponse:
        """The answer of the command, new or repeated.

        `minted_id`: the business id if the command is new; `drive` builds the start or update from the
        id that counts. `natural_key`: what makes two requests the same one whatever their key (the body
        is then not compared across keys). `alongside`: rows written in the promise's transaction.
        `status`: of a success, or how to tell it from the body. `key_ignored`: calls below /auth have none.
        `about`: persons and objects that a member of staff's command concerns, for the audit trail.
        `sight`: sees the answer in the record, where that is sooner than the process's own.

        Raises:
            Problem: the refusal of the process, or of the key.
        """
        if self._principal is not None and self._principal.is_staff:
            alongside = self._recorded(self._principal, drive, alongside, about)
        key = None if key_ignored else idempotency_key(self._request, required=key_required)
        body = await self._request.body()
        if natural_key is not None and key is not None:
            await self._same_body(key, body)
        asked = CommandRequest(
            actor=self.actor,
            route=f"{self._request.method} {self._request.url.path}",
            key=f"natural:{natural_key}" if natural_key is not None else key or uuid7().hex,
            body=b"" if natural_key is not None else body,
            lasting=natural_key is not None,
        )
        try:
            outcome = await self._platform.envelope.run(asked, minted_id, drive, alongside, sight)
        except KeyReused:
            raise key_reused() from None
        except InProgress:
            raise Problem(409, "idempotency_in_progress", headers={"Retry-After": "1"}) from None
        except Pending:
            raise unavailable(code="command_pending") from None
        replayed = {"Idempotency-Replayed": "true"} if outcome.replayed else {}
        if outcome.answer.refused is not None:
            problem = refusal(outcome.answer.refused, outcome.answer.detail)
            problem.headers |= replayed
            raise problem
        body_given = outcome.answer.body
        return JSONResponse(body_given, status(body_given) if callable(status) else status, replayed)

    @property
    def platform(self) -> PlatformDep:
        return self._platform

    @property
    def principal(self) -> OptionalUser:
        return self._principal

    @property
    def actor(self) -> str:
        """Whose keys these are: the user, or the address where nobody signed in."""
        if self._principal is not None:
            return self._principal.user_id
        return caller_address(self._request)

    def _recorded(
        self,
        staff: Principal,
        drive: Callable[[str], Drive],
        alongside: Alongside | None,
        about: Sequence[str],
    ) -> Alongside:
        """What staff command is written into the audit trail, in the promise's own transaction."""

        async def write(connection: Connection, business_id: str) -> None:
            if alongside is not None:
                await alongside(connection, business_id)
            driven = drive(business_id)
            customer = driven.attributes.get("CUSTOMER")
            await audit.write(
                connection,
                actor=staff.user_id,
                action=f"run.{driven.update or 'start'}",
                subjects=[driven.workflow_id, business_id, *about, *([str(customer)] if customer else [])],
                run=driven.workflow_id,
                detail={"roles": sorted(staff.roles), "type": driven.workflow_type, **_note(driven)},
                now=datetime.now(UTC),
            )

        return write

    async def _same_body(self, key: str, body: bytes) -> None:
        route = f"{self._request.method} {self._request.url.path}"
        async with self._platform.database.reading() as connection:
            if not await idempotency.first_or_same(connection, self.actor, route, key, body):
                raise key_reused()


def _note(driven: Drive) -> dict[str, str]:
    """What the member of staff wrote, by the note's id."""
    note_id = (driven.argument or {}).get("note_id")
    return {"note_id": str(note_id)} if note_id else {}


Commanding = Annotated[Commander, Depends()]


def idempotency_key(request: Request, *, required: bool = False) -> str | None:
    """The request's key; 400 where it is due and missing, or is no visible ASCII of 1 to 255 characters."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        if required:
            raise Problem(400, "idempotency_key_required")
        return None
    if not 0 < len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise Problem(400, "idempotency_key_invalid")
    return f"key:{key}"


def key_reused() -> Problem:
    return Problem(422, "idempotency_key_reused")


def caller_address(request: Request) -> str:
    limits: Limits = request.app.state.limits
    return limits.address(request.client.host if request.client else "", request.headers)
