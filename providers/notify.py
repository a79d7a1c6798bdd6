"""Mail, SMS, push and chat messages, delivered once per our own message id."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import httpx
from pydantic import BaseModel, ConfigDict

from providers.calls import ProviderCalls

TIMEOUT_SECONDS = 5.0


class Channel(StrEnum):
    """Ways to reach a person; `to` is a mail address, a phone number, a device or a chat."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    CHAT = "chat"


class Accepted(BaseModel):
    """The provider took the message; `message_id` is its own id for it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    message_id: str


class Notifier(Protocol):
    """Sends messages."""

    async def send(
        self,
        message_id: str,
        to: str,
        channel: Channel,
        subject: str | None,
        text: str,
        *,
        as_of: datetime | None = None,
    ) -> Accepted:
        """Hands one message over; `message_id` is ours and makes a repeat harmless.

        Raises:
            Rejected: `notify_refused`.
            Unavailable: `notify_unavailable`, also where only the answer was lost.
            RateLimited: the provider asks for a pause.
        """


class HttpNotifier:
    """A message provider over HTTP; `base_url` is where `/outbox` lies."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._calls = ProviderCalls(client, base_url, "notify", timeout_seconds)

    async def send(
        self,
        message_id: str,
        to: str,
        channel: Channel,
        subject: str | None,
        text: str,
        *,
        as_of: datetime | None = None,
    ) -> Accepted:
        """See `Notifier`."""
        body = {"id": message_id, "to": to, "channel": str(channel), "text": text}
        if subject is not None:
            body["subject"] = subject
        return await self._calls.ask(Accepted, "POST", "/outbox", json=body, as_of=as_of)
