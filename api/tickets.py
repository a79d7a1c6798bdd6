"""Tickets for the live hub: one use, 30 seconds, so that no bearer token stands in a URL."""

import hashlib
import secrets
from dataclasses import dataclass

from pydantic_core import from_json, to_json
from redis.asyncio import Redis

LIFETIME_SECONDS = 30


@dataclass(frozen=True)
class Ticket:
    """Whose it is, and in which session."""

    user_id: str
    session_id: str


async def issue(redis: Redis, user_id: str, session_id: str) -> str:
    """A new ticket; Redis holds only its hash."""
    secret = secrets.token_urlsafe(32)
    await redis.set(_key(secret), to_json([user_id, session_id]), ex=LIFETIME_SECONDS)
    return secret


async def take(redis: Redis, secret: str) -> Ticket | None:
    """Spends a ticket: None where it was never issued, is spent, or has lapsed."""
    found = await redis.getdel(_key(secret))
    return Ticket(*from_json(found)) if found else None


def _key(secret: str) -> str:
    return f"ticket:{hashlib.sha256(secret.encode()).hexdigest()}"
