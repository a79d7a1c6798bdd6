"""Kite's one postback URL: verified, stored, handed to the order; never believed."""

import hashlib
import hmac
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse
from temporalio.service import RPCError, RPCStatusCode

from api.platform import Platform, PlatformDep
from api.problems import Problem
from models.contracts.commands import Drive
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.foreign_orders import ForeignOrdersInput
from models.messages.trading import BrokerEvent
from store import events, trading, trading_accounts
from store.database import Connection
from temporal.events import tell

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

SOURCE = "kite"
SIGNAL = "broker_event"


class Postback(BaseModel):
    """What is read of a postback (kite.trade/docs/connect/v3/postbacks)."""

    model_config = ConfigDict(extra="ignore", strict=True)

    order_id: str
    order_timestamp: str
    user_id: str
    status: str
    filled_quantity: int
    checksum: str
    tag: str | None = None

    @property
    def event_id(self) -> str:
        """`guid` is no documented event id; a repeat has the same order, status and fill."""
        return f"{self.order_id}|{self.status}|{self.filled_quantity}"


@router.post("/kite/{app_secret}")
async def kite(app_secret: str, request: Request, platform: PlatformDep) -> JSONResponse:
    expected = platform.settings.kite_postback_secret.get_secret_value()
    if not expected or not hmac.compare_digest(app_secret.encode(), expected.encode()):
        raise Problem(404)
    raw = await request.body()
    try:
        postback = Postback.model_validate_json(raw)
    except ValidationError:
        raise Problem(400) from None
    if not _authentic(postback, platform):
        raise Problem(400, "checksum_invalid")
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        process, start = await _process_of(connection, platform, postback)
        number = await events.receive(
            connection,
            platform.vault,
            source=SOURCE,
            event_id=postback.event_id,
            raw=raw,
            workflow_id=process,
            signal=SIGNAL,
            argument={"event_number": 0},
            now=now,
            start=start,
        )
    if number is not None and process is not None:
        await _deliver(platform, process, number, start)
    return JSONResponse({"status": "received"})


def _authentic(postback: Postback, platform: Platform) -> bool:
    """SHA-256 over order id, its timestamp verbatim and the app's secret: plain, not an HMAC."""
    secret = platform.settings.kite_api_secret.get_secret_value()
    text = f"{postback.order_id}{postback.order_timestamp}{secret}"
    computed = hashlib.sha256(text.encode()).hexdigest()
    return hmac.compare_digest(computed.encode(), postback.checksum.encode())


async def _process_of(
    connection: Connection, platform: Platform, postback: Postback
) -> tuple[str | None, Drive | None]:
    """Our order: by the broker's id, or by our tag where the answer that told the id was lost. Else whoever
    looks for orders made elsewhere, and how that is started. None where the account is none of ours."""
    account = await trading_accounts.by_broker_user(connection, platform.vault, SOURCE, postback.user_id)
    if account is None:
        return None, None
    known = await trading.by_broker_order(connection, account, postback.order_id)
    if known is None and postback.tag:
        known = await trading.by_tag(connection, account, postback.tag)
    if known is not None:
        return workflow_id(Kind.ORDER, known), None
    owner = await trading_accounts.owner_of(connection, account)
    start = foreign_orders(account, owner or "")
    return start.workflow_id, start


def foreign_orders(account_id: str, user_id: str) -> Drive:
    """Starts ``foreign-orders:{account}``, again where it has run before."""
    begun = ForeignOrdersInput(account_id=account_id, user_id=user_id)
    return Drive(
        workflow_type="ForeignOrders",
        workflow_id=workflow_id(Kind.FOREIGN_ORDERS, account_id),
        queue=Queue.TRADING,
        start=begun.model_dump(mode="json"),
        rerun=True,
        summary="Orders made elsewhere",
        details=f"Account `{account_id}`",
        attributes={"CUSTOMER": user_id, "REFERENCE": [account_id]},
    )


async def _deliver(platform: Platform, process: str, number: int, start: Drive | None) -> None:
    """Signals the order. What cannot be delivered now stays open and is swept."""
    event = BrokerEvent(event_number=number).model_dump(mode="json")
    try:
        await tell(platform.client, process, SIGNAL, event, start)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            return
    async with platform.database.reading() as connection:
        await events.done(connection, number, datetime.now(UTC))
