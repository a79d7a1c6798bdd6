"""The gateway's webhook: checked, stored once, answered; then its process is told to look."""

import re
from datetime import UTC, datetime
from typing import Any

import structlog
from fastapi import APIRouter
from pydantic_core import from_json
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.platform import Platform, PlatformDep
from api.problems import Problem
from domain.errors import Unavailable
from domain.payments import signed
from models.contracts.commands import Drive
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import GatewayEvent
from models.messages.disputes import DisputeInput
from store import events, payments, refunds
from store.database import Connection
from temporal.events import tell

log = structlog.get_logger()
router = APIRouter(prefix="/v1/webhooks", tags=["billing"])

SOURCE = "razorpay"
SIGNAL = "gateway_event"
LONGEST_EVENT_ID = 128
GATEWAY_ID = re.compile(r"[A-Za-z0-9_]{1,64}")


@router.post("/razorpay", response_model=None)
async def razorpay(request: Request, platform: PlatformDep) -> JSONResponse:
    """Signature over the raw body by the current webhook secret or the one before it (retries keep the old
    one after a rotation). A repeat is answered like the first. The process is told after the answer; what
    is stored and not told is swept."""
    raw = await request.body()
    signature = request.headers.get("x-razorpay-signature", "")
    if not signed(raw, signature, platform.settings.razorpay_webhook_secrets):
        raise Problem(400, "signature_invalid")
    event_id = request.headers.get("x-razorpay-event-id", "")
    entities = _entities(raw)
    if not 0 < len(event_id) <= LONGEST_EVENT_ID or entities is None:
        raise Problem(400)
    now = datetime.now(UTC)
    hint = _hint(entities)
    start = _dispute(platform, entities)
    # One statement writes, and needs no transaction around it: two round trips fewer before the answer.
    async with platform.database.reading() as connection:
        process = start.workflow_id if start else await _process(connection, entities, hint)
        number = await events.receive(
            connection,
            platform.vault,
            source=SOURCE,
            event_id=event_id,
            raw=raw,
            workflow_id=process,
            signal=SIGNAL if process else None,
            argument=hint.model_dump(mode="json"),
            now=now,
            start=start,
        )
    if number is None or process is None:
        return JSONResponse({"status": "received"})
    hint = hint.model_copy(update={"event_number": number})
    telling = BackgroundTask(_tell, platform, process, hint, start)
    return JSONResponse({"status": "received"}, background=telling)


def _entities(raw: bytes) -> dict[str, dict[str, Any]] | None:
    """The event's entities by kind; None where the body is no event."""
    try:
        payload = from_json(raw)["payload"]
        return {kind: dict(part["entity"]) for kind, part in payload.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _hint(entities: dict[str, dict[str, Any]]) -> GatewayEvent:
    """What the event names; never what it claims about it."""
    payment, refund = entities.get("payment", {}), entities.get("refund", {})
    order = payment.get("order_id") or entities.get("order", {}).get("id")
    return GatewayEvent(
        event_number=0,
        gateway_order_id=_text(order),
        gateway_payment_id=_text(payment.get("id") or refund.get("payment_id")),
        refund_id=_text(refund.get("id")),
    )


def _dispute(platform: Platform, entities: dict[str, dict[str, Any]]) -> Drive | None:
    """The process of the dispute that the event names; whatever comes first of a dispute starts it."""
    dispute_id = _text(entities.get("dispute", {}).get("id"))
    if dispute_id is None or not GATEWAY_ID.fullmatch(dispute_id):
        return None
    given = DisputeInput(dispute_id=dispute_id, assertion_key=platform.settings.assertion_public_key)
    return Drive(
        workflow_type="Dispute",
        workflow_id=workflow_id(Kind.DISPUTE, dispute_id),
        queue=Queue.BILLING,
        start=given.model_dump(mode="json"),
        summary=f"Dispute {dispute_id}",
        details=f"Told of by the gateway. What it is: `GET /v1/finance/disputes/{dispute_id}`",
        attributes={"STATE": "opening", "REFERENCE": [dispute_id]},
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and "\x00" not in value else None


async def _process(
    connection: Connection, entities: dict[str, dict[str, Any]], hint: GatewayEvent
) -> str | None:
    """The workflow that the event concerns, None where none of ours."""
    if hint.refund_id is not None:
        receipt = _text(entities["refund"].get("receipt"))
        ours = await refunds.process_of(connection, gateway_refund_id=hint.refund_id, receipt=receipt)
        if ours is not None:
            return workflow_id(Kind.REFUND, ours)
    return await payments.process_of(
        connection, gateway_order_id=hint.gateway_order_id, gateway_payment_id=hint.gateway_payment_id
    )


async def _tell(platform: Platform, process: str, hint: GatewayEvent, start: Drive | None) -> None:
    try:
        await tell(platform.client, process, SIGNAL, hint, start)
    except Unavailable:
        return
    except WorkflowAlreadyStartedError:
        log.info("webhook_after_the_end", workflow=process)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            log.warning("webhook_left_to_sweeper", workflow=process, status=error.status.name)
            return
        # The process has ended: nothing is left that this event could move.
    async with platform.database.reading() as connection:
        await events.done(connection, hint.event_number, datetime.now(UTC))
