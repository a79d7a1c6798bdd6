"""What the complaint process asks of the world."""

from temporalio import activity

from models.messages.complaints import ComplaintMove


class ComplaintsPort:
    @activity.defn(name="complaints.move")
    async def move(self, move: ComplaintMove) -> None:
        """Writes where the complaint stands; a repeat changes nothing."""
        ...
