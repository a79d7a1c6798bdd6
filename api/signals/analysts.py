"""What analysts do: draw up, publish, withdraw."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep, platform
from api.principal import Principal, current_user, guard, require_role
from api.problems import FieldError, Problem
from api.signals.reading import views
from api.signals.shapes import DraftBody, NoBody, WithdrawBody, explained
from domain.signals import Status, expiry_flaw, price_flaws
from models.contracts.assertions import LIFETIME, Assertion, SignedAssertion, sign
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.signals import CreateDraft, Publish, SignalInput, Withdraw
from store import notes, signals
from store.database import Connection

router = APIRouter()

ANALYST = "analyst"
Analyst = Annotated[Principal, Depends(require_role(ANALYST))]


@guard
async def own_signal(request: Request, signal_id: str) -> str:
    """The signal in the path, if the caller is its analyst; 403 without the role, 404 for another's."""
    principal = await current_user(request)
    if ANALYST not in principal.roles:
        raise Problem(403, "role_required")
    async with platform(request).database.reading() as connection:
        row = await signals.find(connection, signal_id)
    if row is None or row["analyst_id"] != principal.user_id:
        raise Problem(404)
    return signal_id


OwnSignal = Annotated[str, Depends(own_signal)]


@router.post("/signals", status_code=201)
async def draw_up(
    body: DraftBody, analyst: Analyst, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """A draft: seen by nobody else until its analyst publishes it."""
    now = datetime.now(UTC)
    flaws = [*price_flaws(body.terms().levels), expiry_flaw(body.expires_at, now)]
    if errors := [FieldError(*explained(flaw)) for flaw in flaws if flaw is not None]:
        raise Problem(422, errors=errors)
    texts = {mint(Prefix.NOTE): body.rationale, mint(Prefix.NOTE): body.disclosure}
    rationale, disclosure = texts

    def drive(signal_id: str) -> Drive:
        begun = SignalInput(
            signal_id=signal_id,
            analyst_id=analyst.user_id,
            terms=body.terms(),
            rationale_note=rationale,
            disclosure_note=disclosure,
            ai_used=body.ai_used,
            assertion_public_key=platform.settings.assertion_public_key,
        )
        return Drive(
            workflow_type="SignalLifecycle",
            workflow_id=workflow_id(Kind.SIGNAL, signal_id),
            queue=Queue.SIGNALS,
            start=begun.model_dump(mode="json"),
            update="create",
            argument=CreateDraft().model_dump(mode="json"),
            summary=f"{body.action} {body.exchange}:{body.symbol}",
            details=f"Signal `{signal_id}` of analyst `{analyst.user_id}`",
            attributes={"SYMBOL": body.symbol, "REFERENCE": [signal_id], "STATE": "draft"},
        )

    async def alongside(connection: Connection, _: str) -> None:
        for note_id, text in texts.items():
            await notes.write(connection, platform.vault, analyst.user_id, text, now, note_id=note_id)

    return await commander.run(mint(Prefix.SIGNAL), drive, alongside=alongside)


@router.get("/signals/drafts")
async def drafts(analyst: Analyst, query: Page, platform: PlatformDep) -> dict[str, Any]:
    """The caller's own drafts, newest first: drawn up by hand, by a run, or by what is on watch. A draft that
    nobody publishes lapses at its `expires_at`."""
    async with platform.database.reading() as connection:
        rows = await signals.listing(
            connection,
            published=False,
            status=Status.DRAFT,
            analyst_id=analyst.user_id,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    shown, cursor = cut(rows, query, "signal_id")
    return page(await views(platform, analyst, shown), cursor)


@router.post("/signals/{signal_id}/publish")
async def publish(
    signal_id: OwnSignal,
    analyst: Analyst,
    commander: Commanding,
    platform: PlatformDep,
    _: Annotated[NoBody | None, Body()] = None,
) -> JSONResponse:
    """Makes it public under the analyst's signed word; from then on it is never edited."""

    def drive(command_id: str) -> Drive:
        argument = Publish(
            assertion=asserted(platform, analyst, signal_id, "publish", command_id),
            registration_number=platform.settings.research_registration,
        )
        return update(signal_id, "publish", argument)

    return await commander.run(mint(Prefix.COMMAND), drive, status=200, about=[signal_id])


@router.post("/signals/{signal_id}/withdraw")
async def withdraw(
    signal_id: OwnSignal, body: WithdrawBody, analyst: Analyst, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """Ends it before its time; what it brought until then counts all the same."""
    note_id, now = mint(Prefix.NOTE), datetime.now(UTC)

    def drive(command_id: str) -> Drive:
        word = asserted(platform, analyst, signal_id, "withdraw", command_id)
        return update(signal_id, "withdraw", Withdraw(assertion=word, reason_note=note_id))

    async def alongside(connection: Connection, _: str) -> None:
        await notes.write(connection, platform.vault, analyst.user_id, body.reason, now, note_id=note_id)

    return await commander.run(
        mint(Prefix.COMMAND), drive, alongside=alongside, status=200, about=[signal_id]
    )


def asserted(
    platform: Platform, analyst: Principal, signal_id: str, action: str, command_id: str
) -> SignedAssertion:
    """Who asks, in which role, for what, on which run, by which command: signed, for the process to check."""
    word = Assertion(
        subject=analyst.user_id,
        role=ANALYST,
        workflow_id=workflow_id(Kind.SIGNAL, signal_id),
        action=action,
        expires_at=datetime.now(UTC) + LIFETIME,
        command_id=command_id,
    )
    return sign(platform.settings.assertion_key.get_secret_value(), word)


def update(signal_id: str, name: str, argument: BaseModel) -> Drive:
    given: dict[str, Any] = argument.model_dump(mode="json")
    return Drive(
        workflow_type="SignalLifecycle",
        workflow_id=workflow_id(Kind.SIGNAL, signal_id),
        queue=Queue.SIGNALS,
        update=name,
        argument=given,
    )
