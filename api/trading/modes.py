"""Who lets an account's prepared orders leave without its customer's yes to each: compliance alone."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.billing.shapes import Body
from api.platform import PlatformDep
from api.principal import Principal, require_role
from api.problems import FieldError, Problem
from store import audit, signal_orders

router = APIRouter(prefix="/v1/compliance", tags=["compliance"])
Compliance = Annotated[Principal, Depends(require_role("compliance"))]


class Mode(Body):
    """`algo_provider`: the registration of the empanelled provider that routes the account's orders."""

    mode: Literal["confirm", "auto"]
    algo_provider: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9/_-]+$")] | None = (
        None
    )


class AccountMode(BaseModel):
    account_id: str
    mode: Literal["confirm", "auto"]
    algo_provider: str | None


@router.put("/accounts/{account_id}/mode", response_model=AccountMode)
async def flag(account_id: str, body: Mode, platform: PlatformDep, officer: Compliance) -> AccountMode:
    """Flags an account as routed through an empanelled provider, or takes the flag back. Without it each
    order needs the customer's own recorded yes (SEBI, research analysts)."""
    if (body.mode == "auto") != (body.algo_provider is not None):
        raise Problem(422, errors=[FieldError("/algo_provider", "missing", "goes with `auto` alone")])
    now = datetime.now(UTC)
    async with platform.database.transaction() as connection:
        customer = await signal_orders.set_mode(connection, account_id, body.mode, body.algo_provider)
        if customer is None:
            raise Problem(404)
        await audit.write(
            connection,
            actor=officer.user_id,
            action="account.mode",
            subjects=[customer, account_id],
            detail={"mode": body.mode, "algo_provider": body.algo_provider},
            now=now,
        )
    return AccountMode(account_id=account_id, mode=body.mode, algo_provider=body.algo_provider)
