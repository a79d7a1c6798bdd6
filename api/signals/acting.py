"""What customers do with signals: subscribe, listen, say yes or no."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from api import tickets
from api.billing.subscriptions import subscribe
from api.commanding import Commander, Commanding, idempotency_key, key_reused
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser, Principal
from api.problems import FieldError, Problem
from api.signals.reading import visible
from api.signals.shapes import ActBody, NoBody, SubscribeBody
from api.trading.ordering import order_drive
from domain.signals import OPEN, Action
from models.contracts.identifiers import Prefix, mint
from models.messages.signal_orders import signal_terms
from models.messages.trading import SignalOrigin
from store import idempotency, signals_delivery, trading_accounts
from store.database import Connection

router = APIRouter()


@router.post("/signals/subscribe", status_code=201)
async def take_plan(
    body: SubscribeBody, principal: CurrentUser, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """The same command as `POST /v1/billing/subscriptions`."""
    return await subscribe(body.plan_id, principal, commander, platform)


@router.post("/signals/stream-ticket")
async def stream_ticket(
    principal: CurrentUser, platform: PlatformDep, _: NoBody | None = None
) -> dict[str, str]:
    """A ticket for the live hub: one use, 30 seconds."""
    if not principal.session_id:
        raise Problem(403, "session_required")
    return {"ticket": await tickets.issue(platform.redis, principal.user_id, principal.session_id)}


@router.post("/signals/{signal_id}/act", status_code=201)
async def act(
    signal_id: str,
    body: ActBody,
    request: Request,
    principal: CurrentUser,
    commander: Commanding,
    platform: PlatformDep,
) -> JSONResponse:
    """The customer's own recorded yes, which becomes an order, or no.

    A signal is answered by one order an account; after one that ended without a fill another may be tried.
    """
    row = await visible(platform, principal, signal_id)
    await _own_account(platform, principal, body.account_id)
    if body.decision == "decline":
        return await _decline(platform, request, principal, signal_id, body.account_id)
    return await _confirm(platform, commander, principal, row, body)


async def _decline(
    platform: Platform, request: Request, principal: Principal, signal_id: str, account_id: str
) -> JSONResponse:
    key = idempotency_key(request, required=True) or ""
    made, route = mint(Prefix.DECISION), f"{request.method} {request.url.path}"
    async with platform.database.transaction() as connection:
        if not await idempotency.first_or_same(
            connection, principal.user_id, route, key, await request.body()
        ):
            raise key_reused()
        kept = await signals_delivery.decline(
            connection, made, signal_id, principal.user_id, account_id, datetime.now(UTC)
        )
    replayed = {} if kept == made else {"Idempotency-Replayed": "true"}
    return JSONResponse({"decision_id": kept, "order_id": None}, 200, replayed)


async def _confirm(
    platform: Platform, commander: Commander, principal: Principal, row: dict[str, Any], body: ActBody
) -> JSONResponse:
    now, signal_id, quantity = datetime.now(UTC), row["signal_id"], body.quantity
    if quantity is None:
        raise Problem(422, errors=[FieldError("/quantity", "missing", "needed to confirm")])
    if row["status"] not in OPEN:
        raise Problem(409, "signal_closed")
    if row["expires_at"] <= now:
        raise Problem(409, "signal_expired")
    if row["action"] == Action.HOLD:
        raise Problem(409, "nothing_to_order")
    origin = SignalOrigin(
        signal_id=signal_id,
        entry_price=row["entry_price"],
        published_at=row["published_at"],
        expires_at=row["expires_at"],
        target_price=row["target_price"],
        stop_price=row["stop_loss"],
    )
    terms = signal_terms(row["exchange"], row["symbol"], row["action"], quantity, origin)

    async def alongside(connection: Connection, order_id: str) -> None:
        await signals_delivery.confirm(
            connection,
            mint(Prefix.DECISION),
            signal_id=signal_id,
            user_id=principal.user_id,
            account_id=body.account_id,
            order_id=order_id,
            quantity=quantity,
            now=now,
        )

    async with platform.database.reading() as connection:
        tried = await signals_delivery.orders_over(connection, signal_id, body.account_id)
    return await commander.run(
        mint(Prefix.ORDER),
        lambda order_id: order_drive(order_id, principal.user_id, body.account_id, terms, origin=origin),
        natural_key=f"{body.account_id}:{tried}",
        alongside=alongside,
        key_required=True,
    )


async def _own_account(platform: Platform, principal: Principal, account_id: str) -> None:
    async with platform.database.reading() as connection:
        account = await trading_accounts.account_of(connection, account_id)
    if account is None or account.user_id != principal.user_id:
        raise Problem(404)
