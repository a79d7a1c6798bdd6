"""Runs of strategies over candles: asked for by analysts, read by those who answer for them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import Problem
from api.signals.analysts import Analyst
from api.signals.shapes import RunBody
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.signals import Generate, RunInput
from store import signals_market

router = APIRouter()

Responsible = Annotated[Principal, Depends(require_role("analyst", "compliance"))]


@router.post("/signals/runs", status_code=201)
async def run(body: RunBody, analyst: Analyst, commander: Commanding, platform: PlatformDep) -> JSONResponse:
    """Reads the candles, applies the rule, and draws up what it finds as drafts of the caller."""

    def drive(run_id: str) -> Drive:
        begun = RunInput(
            run_id=run_id,
            requested_by=analyst.user_id,
            assertion_public_key=platform.settings.assertion_public_key,
            **body.model_dump(),
        )
        return Drive(
            workflow_type="SignalRun",
            workflow_id=workflow_id(Kind.SIGNAL_RUN, body.timeframe, run_id),
            queue=Queue.SIGNALS,
            start=begun.model_dump(mode="json"),
            update="generate",
            argument=Generate().model_dump(mode="json"),
            summary=f"{body.strategy} on {body.exchange}:{body.symbol} {body.timeframe}",
            details=f"Run `{run_id}` asked for by `{analyst.user_id}`",
            attributes={"SYMBOL": body.symbol, "REFERENCE": [run_id]},
        )

    return await commander.run(mint(Prefix.RUN), drive)


@router.get("/signals/runs/{run_id}")
async def one(run_id: str, _: Responsible, platform: PlatformDep) -> dict[str, Any]:
    """What a run saw: the candles and their source, the indicators, the backtest; and the ids of the signals
    that it drew up."""
    async with platform.database.reading() as connection:
        row = await signals_market.run_of(connection, run_id)
    if row is None:
        raise Problem(404)
    return row
