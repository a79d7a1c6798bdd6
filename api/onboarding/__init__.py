"""KYC over HTTP: handing in, reading, appealing, deciding."""

from fastapi import APIRouter

from api.onboarding import complaints, reviews, standing, submitting

router = APIRouter(prefix="/v1", tags=["onboarding"])
for part in (submitting, standing, reviews, complaints):
    router.include_router(part.router)
