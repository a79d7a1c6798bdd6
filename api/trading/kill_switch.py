"""The customer's emergency stop of one account."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.platform import PlatformDep, platform
from api.principal import CurrentUser, current_user, guard, own
from api.problems import Problem
from api.trading import shapes
from api.waiting import Wait, until
from domain.broker_accounts import KillSwitchStatus
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker_accounts import Engage, KillSwitchInput, Lift
from models.settings import settings
from store import trading_accounts, trading_stops

router = APIRouter(prefix="/v1/trading/accounts/{account_id}/kill-switch", tags=["trading"])

ENDED = (KillSwitchStatus.DONE, KillSwitchStatus.LIFTED)


@guard
async def owned(request: Request, account_id: str) -> str:
    """The account in the path, if it is the caller's; else 404."""
    principal = await current_user(request)
    async with platform(request).database.reading() as connection:
        own(principal, await trading_accounts.owner_of(connection, account_id))
    return account_id


Owned = Annotated[str, Depends(owned)]


def switch_drive(kill_switch_id: str, account_id: str, user_id: str, *, flatten: bool) -> Drive:
    """Starts ``kill-switch:{account}:{request}``; the update answers a `KillSwitchView` as JSON."""
    started = KillSwitchInput(
        kill_switch_id=kill_switch_id,
        account_id=account_id,
        user_id=user_id,
        flatten=flatten,
        assertion_public_key=settings().assertion_public_key,
    )
    return Drive(
        workflow_type="KillSwitch",
        workflow_id=workflow_id(Kind.KILL_SWITCH, account_id, kill_switch_id),
        queue=Queue.TRADING,
        start=started.model_dump(mode="json"),
        update="engage",
        argument=Engage().model_dump(mode="json"),
        summary=f"Kill switch of account {account_id}",
        attributes={"CUSTOMER": user_id, "REFERENCE": [account_id, kill_switch_id]},
    )


@router.post("", status_code=202)
async def engage(
    account_id: Owned,
    body: shapes.KillSwitchBody,
    principal: CurrentUser,
    commander: Commanding,
    platform: PlatformDep,
) -> JSONResponse:
    """Blocks the account, then takes back every order; answers once the block stands."""

    def drive(kill_switch_id: str) -> Drive:
        return switch_drive(kill_switch_id, account_id, principal.user_id, flatten=body.flatten)

    return await commander.run(mint(Prefix.KILL_SWITCH), drive, status=202, key_required=True)


@router.get("")
async def show(account_id: Owned, wait: Wait, platform: PlatformDep) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        async with platform.database.reading() as connection:
            row = await trading_stops.latest(connection, account_id)
        if row is None:
            raise Problem(404)
        return _shown(row)

    return await until(read, wait, lambda row: row["version"], lambda row: row["status"] in ENDED, platform)


@router.delete("")
async def lift(account_id: Owned, commander: Commanding, platform: PlatformDep) -> JSONResponse:
    """Lets orders through again."""
    async with platform.database.reading() as connection:
        row = await trading_stops.latest(connection, account_id)
    if row is None:
        raise Problem(404)
    drive = Drive(
        workflow_type="KillSwitch",
        workflow_id=workflow_id(Kind.KILL_SWITCH, account_id, row["kill_switch_id"]),
        queue=Queue.TRADING,
        update="lift",
        argument=Lift().model_dump(mode="json"),
    )
    natural = f"lift:{row['kill_switch_id']}"
    return await commander.run(row["kill_switch_id"], lambda _: drive, natural_key=natural, status=200)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("kill_switch_id", "account_id", "flatten", "status", "version")}
    times = {name: shapes.instant(row[name]) for name in ("made_at", "lifted_at")}
    return {**shown, **times, "report": row["report"], "signed_report": row["signed_report"]}
