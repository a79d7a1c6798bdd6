"""What the customer holds, folded from trades."""

from typing import Any

from fastapi import APIRouter

from api.pages import page
from api.platform import PlatformDep
from api.principal import CurrentUser
from store import trading_positions

router = APIRouter(prefix="/v1/trading", tags=["trading"])


@router.get("/positions")
async def positions(principal: CurrentUser, platform: PlatformDep) -> dict[str, Any]:
    """Every position, closed ones too; profit in paise."""
    async with platform.database.reading() as connection:
        return page(await trading_positions.list_of(connection, principal.user_id, flat_too=True))


@router.get("/portfolio")
async def portfolio(principal: CurrentUser, platform: PlatformDep) -> dict[str, Any]:
    """What is held now."""
    async with platform.database.reading() as connection:
        return page(await trading_positions.list_of(connection, principal.user_id, flat_too=False))
