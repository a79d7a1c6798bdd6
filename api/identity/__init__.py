"""Sign-in, sessions, second factor, API keys, roles, profile, consents: plain request and response."""

from fastapi import APIRouter

from api.identity import consents, credentials, keys, profile, registration, second_factor, sign_in, staff

router = APIRouter(prefix="/v1")
for part in (registration, sign_in, second_factor, credentials, keys, staff, profile, consents):
    router.include_router(part.router)
