"""The gateway's webhook: checked, stored once, answered; then its process is told to look."""

import hashlib
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
from domain.payments import PaymentStatus, signed
from models.contracts.commands import Drive
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import GatewayEvent
from models.messages.disputes import DisputeInput
from models.messages.monitoring import LatePayment
from models.messages.refunds import ReturnedInput
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
    is stored and not told is swept. What is signed and says nothing that we know is kept all the same: the
    gateway disables an endpoint that refuses."""
    raw = await request.body()
    signature = request.headers.get("x-razorpay-signature", "")
    if not signed(raw, signature, platform.settings.razorpay_webhook_secrets):
        raise Problem(400, "signature_invalid")
    entities = _entities(raw)
    now = datetime.now(UTC)
    hint = _hint(entities)
    start = _dispute(platform, entities)
    # One statement writes, and needs no transaction around it: two round trips fewer before the answer.
    async with platform.database.reading() as connection:
        if start is None:
            process, start = await _process(platform, connection, entities, hint)
        else:
            process = start.workflow_id
        number = await events.receive(
            connection,
            platform.vault,
            source=SOURCE,
            event_id=_event_id(request, raw),
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


def _event_id(request: Request, raw: bytes) -> str:
    """The gateway's id of the event; of one that comes without, the same for the same body."""
    given = request.headers.get("x-razorpay-event-id", "")
    return given if 0 < len(given) <= LONGEST_EVENT_ID else f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _entities(raw: bytes) -> dict[str, dict[str, Any]]:
    """The event's entities by kind; none where the body is no event that we know."""
    try:
        payload = from_json(raw)["payload"]
        return {kind: dict(part["entity"]) for kind, part in payload.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


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
    platform: Platform, connection: Connection, entities: dict[str, dict[str, Any]], hint: GatewayEvent
) -> tuple[str | None, Drive | None]:
    """The workflow that the event concerns, None where none of ours, and how it is started where it has to
    be: that of a payment which had expired before its money came, or of a refund that was paid and failed."""
    if hint.refund_id is not None:
        receipt = _text(entities["refund"].get("receipt"))
        ours = await refunds.of_gateway(connection, hint.refund_id, receipt)
        if ours is not None:
            failed = entities["refund"].get("status") == "failed"
            start = _returned(platform, ours) if failed else None
            return workflow_id(Kind.REFUND, ours["refund_id"]), start
    row = await payments.of_gateway(
        connection, gateway_order_id=hint.gateway_order_id, gateway_payment_id=hint.gateway_payment_id
    )
    if row is None or (row["renewal"] and row["status"] == PaymentStatus.CAPTURED):
        # A renewal's process has read the answer itself and awaits nothing more.
        return None, None
    if row["status"] == PaymentStatus.EXPIRED and not row["renewal"]:
        late = _late(platform, row)
        return late.workflow_id, late
    return row["process"], None


def _returned(platform: Platform, row: dict[str, Any]) -> Drive:
    """Looks whether the bank returned a refund, where its own process has ended; one that runs is told."""
    given = ReturnedInput(
        refund_id=row["refund_id"],
        payment_id=row["payment_id"],
        gateway_payment_id=row["gateway_payment_id"],
        assertion_key=platform.settings.assertion_public_key,
    )
    return Drive(
        workflow_type="ReturnedRefund",
        workflow_id=workflow_id(Kind.REFUND, row["refund_id"]),
        queue=Queue.BILLING,
        start=given.model_dump(mode="json"),
        rerun=True,
        summary=f"Returned refund of {row['payment_id']}",
        details=f"Told of by the gateway. What it is: `GET /v1/payments/refunds/{row['refund_id']}`",
        attributes={
            "CUSTOMER": row["user_id"],
            "STATE": "opening",
            "REFERENCE": [row["refund_id"], row["payment_id"]],
        },
    )


def _late(platform: Platform, row: dict[str, Any]) -> Drive:
    """Looks whether money came after all, and gives it back; again for each word of the gateway."""
    given = LatePayment(
        payment_id=row["payment_id"],
        user_id=row["user_id"],
        gateway_order_id=row["gateway_order_id"],
        amount=row["amount"],
        currency=row["currency"],
        assertion_key=platform.settings.assertion_public_key,
    )
    return Drive(
        workflow_type="LatePayment",
        workflow_id=workflow_id(Kind.LATE_PAYMENT, row["payment_id"]),
        queue=Queue.BILLING,
        start=given.model_dump(mode="json"),
        rerun=True,
        summary=f"Late payment {row['payment_id']}",
        details=f"The gateway told of an expired payment: `GET /v1/payments/{row['payment_id']}/status`",
        attributes={
            "CUSTOMER": row["user_id"],
            "STATE": "opening",
            "REFERENCE": [row["payment_id"], row["gateway_order_id"]],
        },
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
