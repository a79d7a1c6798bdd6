"""The customer's emergency stop of one account."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser, Principal, own
from api.problems import Problem
from api.trading import shapes
from api.waiting import Wait, until
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.trading import Engage, KillSwitchInput, KillSwitchStatus, Lift
from models.settings import settings
from store import trading_accounts, trading_stops

router = APIRouter(prefix="/v1/trading/accounts/{account_id}/kill-switch", tags=["trading"])

ENDED = (KillSwitchStatus.DONE, KillSwitchStatus.LIFTED)


@router.post("", status_code=202)
async def engage(
    account_id: str,
    body: shapes.KillSwitchBody,
    principal: CurrentUser,
    commander: Commanding,
    platform: PlatformDep,
) -> JSONResponse:
    """Blocks the account, then takes back every order; answers once the block stands."""
    await _own_account(platform, principal, account_id)

    def drive(kill_switch_id: str) -> Drive:
        started = KillSwitchInput(
            kill_switch_id=kill_switch_id,
            account_id=account_id,
            user_id=principal.user_id,
            flatten=body.flatten,
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
            attributes={"CUSTOMER": principal.user_id, "REFERENCE": [account_id, kill_switch_id]},
        )

    return await commander.run(mint(Prefix.KILL_SWITCH), drive, status=202, key_required=True)


@router.get("")
async def show(account_id: str, principal: CurrentUser, wait: Wait, platform: PlatformDep) -> dict[str, Any]:
    await _own_account(platform, principal, account_id)

    async def read() -> dict[str, Any]:
        async with platform.database.reading() as connection:
            row = await trading_stops.latest(connection, account_id)
        if row is None:
            raise Problem(404)
        return _shown(row)

    return await until(read, wait, lambda row: row["version"], lambda row: row["status"] in ENDED, platform)


@router.delete("")
async def lift(
    account_id: str, principal: CurrentUser, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """Lets orders through again."""
    await _own_account(platform, principal, account_id)
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


async def _own_account(platform: Platform, principal: Principal, account_id: str) -> None:
    async with platform.database.reading() as connection:
        own(principal, await trading_accounts.owner_of(connection, account_id))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("kill_switch_id", "account_id", "flatten", "status", "version")}
    times = {name: shapes.instant(row[name]) for name in ("made_at", "lifted_at")}
    return {**shown, **times, "report": row["report"]}
