"""What staff work with: runs that need a person, their actions, the search for a caller, the audit trail."""

from fastapi import APIRouter

from api.staff import actions, attention, search, trail

router = APIRouter(prefix="/v1")
for part in (attention, actions, search, trail):
    router.include_router(part.router)
