"""Opens the checkout of an enrollment or a subscription; one open payment a reference."""

import json
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse

from api.commanding import Commander
from api.platform import Platform
from api.principal import step_up
from api.problems import Problem
from domain.monitoring import needs_second_factor
from domain.payments import PaymentStatus, Purpose
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import Checkout, Mandate, PaymentInput
from store import payments
from store.references import reference_of


async def open_checkout(commander: Commander, purpose: Purpose | str, reference_id: str) -> dict[str, Any]:
    """The checkout of a reference of the caller's, to stand beside what made it: the open one again, or a
    new payment's.

    Raises:
        Problem: 404 where the reference is not the caller's; 403 step_up_required, kyc_tier_required or
            limit_exceeded; 422 billing_state_required; 409 not_payable.
    """
    purpose = Purpose(purpose)
    attempt = await _payable(commander, purpose, reference_id)
    found = await _open_one(commander.platform, purpose, reference_id)
    if found is not None:
        return found
    answer = await commander.run(
        mint(Prefix.PAYMENT),
        lambda payment_id: payment_drive(commander, payment_id, purpose, reference_id),
        natural_key=f"{purpose}:{reference_id}:{attempt}",
    )
    return dict(json.loads(bytes(answer.body)))


async def create_checkout(commander: Commander, purpose: Purpose, reference_id: str) -> JSONResponse:
    """The same by a command of its own, so that a repeat under its key gets the first answer for ever.

    Raises:
        Problem: as `open_checkout`.
    """
    await _payable(commander, purpose, reference_id)
    return await commander.run(
        mint(Prefix.PAYMENT),
        lambda payment_id: payment_drive(commander, payment_id, purpose, reference_id),
        key_required=True,
    )


async def _payable(commander: Commander, purpose: Purpose, reference_id: str) -> int:
    """How many checkouts of the reference have ended, where the caller may open one."""
    principal = commander.principal
    if principal is None:
        raise Problem(401)
    async with commander.platform.database.reading() as connection:
        reference = await reference_of(connection, purpose, reference_id)
        if reference is None or reference.user_id != principal.user_id:
            raise Problem(404)
        if needs_second_factor(reference.amount, datetime.now(UTC)):
            step_up(principal)
        return await payments.attempt_of(connection, purpose, reference_id)


async def _open_one(platform: Platform, purpose: Purpose, reference_id: str) -> dict[str, Any] | None:
    async with platform.database.reading() as connection:
        row = await payments.open_of(connection, purpose, reference_id)
    if row is None or row["gateway_order_id"] is None:
        return None
    checkout = Checkout(
        payment_id=row["payment_id"],
        gateway_order_id=row["gateway_order_id"],
        key_id=platform.settings.razorpay_key_id,
        amount=row["amount"],
        currency=row["currency"],
        payment_status=PaymentStatus(row["status"]),
        customer_id=row["gateway_customer_id"],
        mandate=Mandate(max_amount=row["mandate_max"]) if row["mandate_max"] else None,
    )
    return checkout.model_dump(mode="json")


def payment_drive(commander: Commander, payment_id: str, purpose: Purpose, reference_id: str) -> Drive:
    """Starts `Payment` and asks it for the checkout, in one round trip."""
    given = PaymentInput(
        payment_id=payment_id,
        user_id=commander.actor,
        purpose=purpose,
        reference_id=reference_id,
        second_factor=commander.principal is not None and commander.principal.acr == "2",
        assertion_key=commander.platform.settings.assertion_public_key,
    )
    return Drive(
        workflow_type="Payment",
        workflow_id=workflow_id(Kind.PAYMENT, payment_id),
        queue=Queue.BILLING,
        start=given.model_dump(mode="json"),
        update="open",
        argument={},
        summary=f"Payment of {reference_id}",
        details=f"Checkout {payment_id} for {purpose} {reference_id}. "
        f"What it is: `GET /v1/payments/{payment_id}/status`",
        attributes={"CUSTOMER": commander.actor, "STATE": "opening", "REFERENCE": [payment_id, reference_id]},
    )
