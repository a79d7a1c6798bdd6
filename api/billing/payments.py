"""Payments as their owner sees them: opened, confirmed, read."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.billing.checkout import create_checkout
from api.billing.shapes import (
    Checkout,
    Confirm,
    CreatePayment,
    Payment,
    PaymentState,
    PaymentStatusAnswer,
)
from api.commanding import Commanding
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep, platform
from api.principal import CurrentUser, current_user, guard, own
from api.problems import Problem
from api.waiting import Wait, until
from domain.payments import OPEN, TERMINAL, PaymentStatus, signed
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from store import payments

router = APIRouter(prefix="/v1/payments", tags=["billing"])
UNTOLD = frozenset({"monitoring", "compliance"})
"""Sources of a payment's steps that its owner does not hear of."""


@guard
async def owned(request: Request, id: str) -> dict[str, Any]:
    """The payment in the path, if it is the caller's; else 404."""
    principal = await current_user(request)
    row = await _of(platform(request), id)
    own(principal, row["user_id"] if row else None)
    if row is None:
        raise Problem(404)
    return row


@router.post("/create", status_code=201, response_model=Checkout)
async def create(body: CreatePayment, commander: Commanding, _: CurrentUser) -> JSONResponse:
    return await create_checkout(commander, body.purpose, body.reference_id)


@router.post("/{id}/confirm", response_model=PaymentState)
async def confirm(
    id: str,
    row: Annotated[dict[str, Any], Depends(owned)],
    body: Confirm,
    commander: Commanding,
    platform: PlatformDep,
) -> Any:
    """The callback of the gateway's checkout. Its signature is checked by the process, against our order;
    where the process has ended already, here, since the answer is then only a read."""
    if PaymentStatus(row["status"]) in OPEN:
        try:
            drive = _confirm_drive(id, body)
            return await commander.run(mint(Prefix.COMMAND), lambda _: drive, status=200)
        except Problem as problem:
            if problem.code != "process_closed":
                raise
    return await _settled(platform, id, body)


def _confirm_drive(payment_id: str, body: Confirm) -> Drive:
    return Drive(
        workflow_type="Payment",
        workflow_id=workflow_id(Kind.PAYMENT, payment_id),
        queue=Queue.BILLING,
        update="confirm",
        argument=body.model_dump(),
    )


async def _settled(platform: Platform, payment_id: str, body: Confirm) -> PaymentState:
    """The state of a payment whose process has ended, for a genuine callback."""
    row = await _of(platform, payment_id)
    if row is None:
        raise Problem(404)
    message = f"{row['gateway_order_id']}|{body.razorpay_payment_id}".encode()
    secret = platform.settings.razorpay_key_secret.get_secret_value()
    is_ours = body.razorpay_order_id == row["gateway_order_id"]
    if not is_ours or not signed(message, body.razorpay_signature, [secret]):
        raise Problem(422, "signature_invalid")
    return PaymentState(payment_id=payment_id, status=row["status"])


@router.get("/{id}/status", response_model=PaymentStatusAnswer)
async def status(id: str, wait: Wait, platform: PlatformDep, principal: CurrentUser) -> dict[str, Any]:
    row = await _of(platform, id)
    own(principal, row["user_id"] if row else None, "support", "finance")

    async def read() -> dict[str, Any]:
        async with platform.database.reading() as connection:
            found = await payments.find(connection, id)
            if found is None:
                raise Problem(404)
            steps = await payments.timeline(connection, id)
        return {**found, "timeline": _neutral(steps) if found["user_id"] == principal.user_id else steps}

    return await until(
        read, wait, lambda found: found["version"], lambda found: found["status"] in TERMINAL, platform
    )


def _neutral(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the customer may see them: nothing says that somebody looks at them (PMLA: no tipping off)."""
    return [{**step, "source": "platform" if step["source"] in UNTOLD else step["source"]} for step in steps]


@router.get("", response_model=None)
async def listing(query: Page, platform: PlatformDep, principal: CurrentUser) -> dict[str, Any]:
    async with platform.database.reading() as connection:
        rows = await payments.listing(
            connection,
            user_id=principal.user_id,
            **query.asked,
        )
    shown, cursor = cut(rows, query, "payment_id")
    return page([Payment.model_validate(row) for row in shown], cursor)


async def _of(platform: Platform, payment_id: str) -> dict[str, Any] | None:
    async with platform.database.reading() as connection:
        return await payments.find(connection, payment_id)
