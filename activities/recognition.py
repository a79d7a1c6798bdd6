"""What revenue recognition does to the book."""

from temporalio import activity

from activities.brokers import beating
from models.messages.recognition import DayRecognised, RecogniseDay
from store import recognition_runs
from store.database import Database
from workflows.ports.recognition import RecognitionPort


class RecognitionActivities(RecognitionPort):
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="recognition.recognise")
    async def recognise(self, command: RecogniseDay) -> DayRecognised:
        """A transaction a day: killed between two of them, the next attempt goes on at the first day that no
        run has covered."""
        async with beating():
            async with self._database.reading() as connection:
                days = await recognition_runs.due_days(connection, command.date)
            posted = []
            for day in days:
                async with self._database.transaction() as connection:
                    posted.append(await recognition_runs.recognise(connection, day, command.as_of))
        return DayRecognised(
            date=command.date,
            status="recognised",
            days=sum(1 for run in posted if run.entry_id is not None),
            segments=sum(run.segments for run in posted),
            subscriptions=sum(run.subscriptions for run in posted),
            courses=sum(run.courses for run in posted),
        )
