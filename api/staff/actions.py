"""Steering a run: the API signs who asks, and the process itself refuses what is not signed."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.commanding import Commanding, idempotency_key
from api.platform import Platform, PlatformDep, platform
from api.principal import Principal, current_user, guard
from api.problems import FieldError, Problem
from api.staff.table import Action, Asked, Given, find
from models.contracts.assertions import LIFETIME, Assertion, SignedAssertion, sign
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.search_attributes import Attribute
from store import notes
from store.database import Connection

router = APIRouter()


class Steered(BaseModel):
    """An action that the caller may take, on a run that exists."""

    workflow_id: str
    name: str
    role: str
    customer: str | None


@guard
async def steered(request: Request, workflow_id: str, name: str) -> Steered:
    """403 for whoever holds none of the action's roles, or whose own case it is; 404 where there is no such
    run or action; 400 where the action needs a key and none came."""
    principal = await current_user(request)
    if not principal.is_staff:
        raise Problem(403, "role_required")
    action = find(workflow_id, name)
    if action is None:
        raise Problem(404)
    role = next((role for role in action.roles if role in principal.roles), None)
    if role is None:
        raise Problem(403, "role_required")
    parts = platform(request)
    run = await parts.client.get_workflow_handle(workflow_id).describe(
        rpc_timeout=parts.settings.command_deadline
    )
    customer = run.typed_search_attributes.get(Attribute.CUSTOMER.value)
    if customer == principal.user_id:
        raise Problem(403, "own_case")
    idempotency_key(request, required=action.keyed)
    return Steered(workflow_id=workflow_id, name=name, role=role, customer=customer)


@router.post("/staff/runs/{workflow_id}/actions/{name}", response_model=None)
async def act(
    wanted: Annotated[Steered, Depends(steered)],
    principal: Annotated[Principal, Depends(current_user)],
    platform: PlatformDep,
    commander: Commanding,
    body: Annotated[dict[str, Any] | None, Body()] = None,
) -> JSONResponse:
    """Sends the action's update, signed for this person, run and action. Fields by action: `note` for all,
    `utr` for `paid_out`, `resolution` for a break, `decision` and `broker_order_id` for an order,
    `decision` for `settle` (and `gateway_payment_id`, of a debit), `assessment_id` for `grant_attempt`."""
    action = find(wanted.workflow_id, wanted.name)
    if action is None:
        raise Problem(404)
    asked = _read(action.body, body or {})
    note_id = mint(Prefix.NOTE) if asked.note is not None else None

    async def keep_note(connection: Connection, _: str) -> None:
        if asked.note is not None:
            now = datetime.now(UTC)
            await notes.write(connection, platform.vault, principal.user_id, asked.note, now, note_id)

    def drive(command_id: str) -> Drive:
        signed = _signed(platform, wanted, action, principal, command_id)
        given = Given(signed=signed, note_id=note_id, command_id=command_id)
        return Drive(
            workflow_type=action.workflow_type,
            workflow_id=wanted.workflow_id,
            queue=action.queue,
            update=action.update,
            argument=action.argument(asked, given).model_dump(mode="json"),
        )

    about = [wanted.customer] if wanted.customer else []
    return await commander.run(mint(Prefix.COMMAND), drive, alongside=keep_note, status=200, about=about)


def _read(model: type[Asked], body: dict[str, Any]) -> Asked:
    """The action's own body; 422 with the fields at fault."""
    try:
        return model.model_validate(body, strict=True)
    except ValidationError as error:
        raise Problem(
            422,
            errors=[
                FieldError("/" + "/".join(map(str, item["loc"])), item["type"], item["msg"])
                for item in error.errors(include_url=False, include_context=False, include_input=False)
            ],
        ) from None


def _signed(
    platform: Platform, wanted: Steered, action: Action, principal: Principal, command_id: str
) -> SignedAssertion:
    assertion = Assertion(
        subject=principal.user_id,
        role=wanted.role,
        workflow_id=wanted.workflow_id,
        action=action.signs,
        expires_at=datetime.now(UTC) + LIFETIME,
        command_id=command_id,
    )
    return sign(platform.settings.assertion_key.get_secret_value(), assertion)
