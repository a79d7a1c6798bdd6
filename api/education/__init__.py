"""The education column's routes."""

from fastapi import APIRouter

from api.education import (
    assessments,
    catalogue,
    certificates,
    enrolling,
    instructors,
    lessons,
    streaming,
)

router = APIRouter()
# In the order in which paths are matched.
for part in (catalogue, instructors, enrolling, lessons, streaming, assessments, certificates):
    router.include_router(part.router)
