"""Sends what stands written in the store; the provider dedupes by our message id."""

from datetime import UTC, datetime

from temporalio import activity

from providers.notify import Channel, Notifier
from store import messages
from store.database import Database
from store.vault import Vault
from workflows.ports.notifications import NotificationsPort


class NotificationsActivities(NotificationsPort):
    def __init__(self, database: Database, vault: Vault, notifier: Notifier) -> None:
        self._database = database
        self._vault = vault
        self._notifier = notifier

    @activity.defn(name="notifications.deliver")
    async def deliver(self, message_id: str) -> None:
        """Repeatable: the provider takes one message id once, and a message marked sent is not opened.

        Raises:
            Unavailable, RateLimited: tried again.
            Rejected: the provider will never take it (`notify_refused`).
        """
        async with self._database.reading() as connection:
            message = await messages.unsent(connection, self._vault, message_id)
        if message is None:
            return
        await self._notifier.send(
            message.message_id, message.to, Channel(message.channel), message.subject, message.text
        )
        async with self._database.reading() as connection:
            await messages.sent(connection, message_id, datetime.now(UTC))
