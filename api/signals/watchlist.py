"""The analysts' watchlist: strategies that run by themselves after each bar of a market day."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic_core import to_jsonable_python
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep, platform
from api.principal import Principal, current_user, guard
from api.problems import Problem
from api.signals.analysts import ANALYST, Analyst
from api.signals.shapes import WatchBody
from domain.watchlist import WatchStatus
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.watchlist import BeginWatch, TakeOff, WatchInput, WatchView
from store import signals_watchlist

router = APIRouter()


@guard
async def on_watchlist(request: Request, watch_id: str) -> WatchView:
    """What the path names, if the caller is an analyst: 403 for others, 404 for none."""
    principal = await current_user(request)
    if ANALYST not in principal.roles:
        raise Problem(403, "role_required")
    async with platform(request).database.reading() as connection:
        found = await signals_watchlist.find(connection, watch_id)
    if found is None:
        raise Problem(404)
    return found


@router.post("/signals/watchlist", status_code=201)
async def put_on(
    body: WatchBody, analyst: Analyst, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """From the next bar on the strategy runs by itself; what it finds are drafts of the caller's, who alone
    can publish them. What the caller has on watch already is answered as it is; 409 `already_on_watch` where
    it is another analyst's, `watchlist_full` where no more of its timeframe could run while a bar is
    fresh."""

    def drive(watch_id: str) -> Drive:
        begun = WatchInput(
            watch_id=watch_id,
            analyst_id=analyst.user_id,
            assertion_public_key=platform.settings.assertion_public_key,
            **body.model_dump(),
        )
        return Drive(
            workflow_type="SignalWatch",
            workflow_id=workflow_id(Kind.WATCH, watch_id),
            queue=Queue.SIGNALS,
            start=begun.model_dump(mode="json"),
            update="put_on",
            argument=BeginWatch().model_dump(mode="json"),
            summary=f"{body.strategy} on {body.exchange}:{body.symbol} {body.timeframe}",
            details=f"Put on watch as `{watch_id}` by `{analyst.user_id}`",
            attributes={"SYMBOL": body.symbol, "REFERENCE": [watch_id]},
        )

    return await commander.run(mint(Prefix.WATCH), drive)


@router.get("/signals/watchlist")
async def listed(_: Analyst, query: Page, platform: PlatformDep) -> dict[str, Any]:
    """The whole desk's, newest first, with what became of each newest bar. `status`: `on_watch`, `off`."""
    async with platform.database.reading() as connection:
        rows = await signals_watchlist.listing(connection, **query.asked)
    shown, cursor = cut(rows, query, "watch_id")
    return page([to_jsonable_python(WatchView(**row)) for row in shown], cursor)


@router.delete("/signals/watchlist/{watch_id}")
async def take_off(
    watch: Annotated[WatchView, Depends(on_watchlist)],
    analyst: Analyst,
    commander: Commanding,
    platform: PlatformDep,
) -> JSONResponse:
    """No bar after this one runs it. Any analyst may: what someone who is away has on watch still runs."""
    if watch.status is WatchStatus.OFF:
        return JSONResponse(to_jsonable_python(watch))

    def drive(command_id: str) -> Drive:
        return _take_off(platform, analyst, watch.watch_id, command_id)

    return await commander.run(
        mint(Prefix.COMMAND),
        drive,
        natural_key=f"off:{watch.watch_id}",
        status=200,
        about=[watch.watch_id, watch.analyst_id],
    )


def _take_off(platform: Platform, analyst: Principal, watch_id: str, command_id: str) -> Drive:
    process = workflow_id(Kind.WATCH, watch_id)
    word = Assertion(
        subject=analyst.user_id,
        role=ANALYST,
        workflow_id=process,
        action="take_off",
        expires_at=datetime.now(UTC) + LIFETIME,
        command_id=command_id,
    )
    signed = sign(platform.settings.assertion_key.get_secret_value(), word)
    return Drive(
        workflow_type="SignalWatch",
        workflow_id=process,
        queue=Queue.SIGNALS,
        update="take_off",
        argument=TakeOff(assertion=signed).model_dump(mode="json"),
    )
