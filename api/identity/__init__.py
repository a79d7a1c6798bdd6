"""Sign-in, sessions, second factor, API keys, roles, profile, consents: plain request and response."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1")
