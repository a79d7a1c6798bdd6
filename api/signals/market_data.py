"""The house signs in at the broker, for market data alone."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.signals.shapes import MarketDataBody
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.signals import OpenMarketData, OpenSession
from store import notes
from store.database import Connection

router = APIRouter()

House = Annotated[Principal, Depends(require_role("analyst", "admin"))]


@router.post("/signals/market-data", status_code=201)
async def open_market_data(
    body: MarketDataBody, principal: House, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """Spends the request token of Kite's login; the session holds until 06:00 of the next day."""
    note_id, now = mint(Prefix.NOTE), datetime.now(UTC)

    def drive(session_id: str) -> Drive:
        begun = OpenMarketData(session_id=session_id, opened_by=principal.user_id, token_note=note_id)
        return Drive(
            workflow_type="MarketData",
            workflow_id=workflow_id(Kind.MARKET_DATA, session_id),
            queue=Queue.SIGNALS,
            start=begun.model_dump(mode="json"),
            update="open",
            argument=OpenSession().model_dump(mode="json"),
            summary="The house signs in at the broker for market data",
            details=f"Session `{session_id}` opened by `{principal.user_id}`",
            attributes={"REFERENCE": [session_id]},
        )

    async def alongside(connection: Connection, _: str) -> None:
        await notes.write(
            connection, platform.vault, principal.user_id, body.request_token, now, note_id=note_id
        )

    return await commander.run(mint(Prefix.SESSION), drive, alongside=alongside)
