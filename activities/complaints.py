"""Where complaints stand, in our own books."""

from temporalio import activity

from models.messages.complaints import ComplaintMove
from store import complaints
from store.database import Database
from workflows.ports.complaints import ComplaintsPort


class ComplaintsActivities(ComplaintsPort):
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="complaints.move")
    async def move(self, move: ComplaintMove) -> None:
        """Key: (complaint, status)."""
        async with self._database.transaction() as connection:
            await complaints.move(connection, move.complaint_id, move.status, move.note_id)
