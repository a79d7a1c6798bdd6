"""Orders: placing, confirming, changing, taking back, reading."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.commanding import Commanding
from api.pages import Page, cut, page
from api.platform import PlatformDep, platform
from api.principal import CurrentUser, current_user, guard, own
from api.problems import Problem
from api.signals.reading import visible
from api.trading import shapes
from api.trading.ordering import order_drive, origin_of
from api.trading.sight import at_broker
from api.waiting import Wait, until
from domain.trading import TERMINAL
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.signal_orders import side_of
from models.messages.trading import Cancel, Confirm, Decline
from store import trading, trading_accounts

router = APIRouter(prefix="/v1/trading", tags=["trading"])

STAFF = ("support", "compliance", "admin")


@guard
async def owned(request: Request, order_id: str) -> str:
    """The order in the path, if it is the caller's; else 404."""
    principal = await current_user(request)
    async with platform(request).database.reading() as connection:
        stored = await trading.read(connection, order_id)
    own(principal, stored.user_id if stored else None)
    return order_id


Owned = Annotated[str, Depends(owned)]


@router.post("/orders", status_code=201)
async def place(
    body: shapes.OrderBody, principal: CurrentUser, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """A direct order is its own confirmation; answers with the state reached within the deadline."""
    async with platform.database.reading() as connection:
        own(principal, await trading_accounts.owner_of(connection, body.account_id))
    if body.signal_id:
        # Whoever may not see a signal may not answer it either, by whichever way.
        signal = await visible(platform, principal, body.signal_id)
        if (body.exchange, body.symbol, body.side) != (signal["exchange"], signal["symbol"], side_of(signal)):
            raise Problem(422, "signal_mismatch")
    async with platform.database.reading() as connection:
        origin = await origin_of(connection, body.signal_id) if body.signal_id else None
    if body.signal_id and origin is None:
        raise Problem(404)
    terms = body.terms()

    def drive(order_id: str) -> Drive:
        return order_drive(order_id, principal.user_id, body.account_id, terms, origin=origin)

    sight = partial(at_broker, platform.changes, platform.database)
    return await commander.run(mint(Prefix.ORDER), drive, key_required=True, sight=sight)


@router.get("/orders")
async def orders(principal: CurrentUser, query: Page, platform: PlatformDep) -> dict[str, Any]:
    async with platform.database.reading() as connection:
        rows = await trading.list_of(
            connection,
            principal.user_id,
            status=query.status,
            start=query.start,
            end=query.end,
            after=query.after,
            limit=query.limit,
        )
    shown, cursor = cut(rows, query, "order_id")
    return page([shapes.order(row) for row in shown], cursor)


@router.get("/orders/{order_id}")
async def order(order_id: str, principal: CurrentUser, wait: Wait, platform: PlatformDep) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        async with platform.database.reading() as connection:
            row = await trading.show(connection, order_id)
        own(principal, row["user_id"] if row else None, *STAFF)
        if row is None:
            raise Problem(404)
        return shapes.order(row)

    return await until(
        read, wait, lambda found: found["version"], lambda found: found["status"] in TERMINAL, platform
    )


@router.post("/orders/{order_id}/confirm")
async def confirm(
    order_id: Owned, principal: CurrentUser, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """The customer's recorded yes to an order that a strategy made."""
    argument = Confirm(user_id=principal.user_id).model_dump(mode="json")
    drive, sight = (
        _update(order_id, "confirm", argument),
        partial(at_broker, platform.changes, platform.database),
    )
    return await commander.run(
        order_id, lambda _: drive, natural_key=f"confirm:{order_id}", status=200, sight=sight
    )


@router.post("/orders/{order_id}/decline")
async def decline(order_id: Owned, principal: CurrentUser, commander: Commanding) -> JSONResponse:
    argument = Decline(user_id=principal.user_id).model_dump(mode="json")
    drive = _update(order_id, "decline", argument)
    return await commander.run(order_id, lambda _: drive, natural_key=f"decline:{order_id}", status=200)


@router.put("/orders/{order_id}")
async def modify(order_id: Owned, body: shapes.ModifyBody, commander: Commanding) -> JSONResponse:
    drive = _update(order_id, "modify", body.change().model_dump(mode="json"))
    return await commander.run(order_id, lambda _: drive, status=200)


@router.delete("/orders/{order_id}")
async def cancel(order_id: Owned, commander: Commanding) -> JSONResponse:
    """Takes the order back as far as it is not filled."""
    drive = _update(order_id, "cancel", Cancel().model_dump(mode="json"))
    return await commander.run(order_id, lambda _: drive, status=200)


def _update(order_id: str, name: str, argument: dict[str, Any]) -> Drive:
    return Drive(
        workflow_type="Order",
        workflow_id=workflow_id(Kind.ORDER, order_id),
        queue=Queue.TRADING,
        update=name,
        argument=argument,
    )
