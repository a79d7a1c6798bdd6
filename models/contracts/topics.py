"""Topics of the outbox and how long the fast copy in Redis keeps them; Postgres keeps them all."""

from enum import StrEnum


class Topic(StrEnum):
    SIGNALS = "trading-signals"
    USERS = "user-events"
    PAYMENTS = "payment-events"
    VIDEO = "video-analytics"


KEPT_IN_REDIS = 10_000
"""Newest events of a topic that its Redis stream holds (trimmed approximately)."""


def stream(topic: str) -> str:
    """The Redis key of a topic's stream; entry ids are ``{sequence}-0``."""
    return f"topic:{topic}"
