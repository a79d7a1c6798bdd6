"""What the notification process needs from the world."""

from temporalio import activity


class NotificationsPort:
    @activity.defn(name="notifications.deliver")
    async def deliver(self, message_id: str) -> None:
        """Hands the stored message to its provider and marks it sent; safe to repeat by `message_id`."""
        ...
