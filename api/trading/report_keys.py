"""The keys that signed reports are checked with, for whoever holds one."""

from typing import Any

from fastapi import APIRouter

from api.platform import PlatformDep
from models.contracts.reports import public_keys

router = APIRouter(prefix="/v1/trading", tags=["trading"])


@router.get("/reports/keys.json")
async def keys(platform: PlatformDep) -> dict[str, Any]:
    """A JWK set: the key of a report is the one of its `kid` (compact JWS, Ed25519)."""
    return public_keys(platform.settings.report_public_keys)
