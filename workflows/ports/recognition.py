"""What revenue recognition and the close of a month do to the book."""

from temporalio import activity

from models.messages.closing import ClosePeriod, PeriodClosed
from models.messages.recognition import DayRecognised, RecogniseDay


class RecognitionPort:
    """Implemented by `activities.recognition.RecognitionActivities`."""

    @activity.defn(name="recognition.recognise")
    async def recognise(self, command: RecogniseDay) -> DayRecognised:
        """Posts what was earned through the day and is not in the book, each missed day under its own date;
        a repeat posts nothing."""
        ...


class ClosingPort:
    """Implemented by `activities.closing.ClosingActivities`."""

    @activity.defn(name="closing.close")
    async def close(self, command: ClosePeriod) -> PeriodClosed:
        """Closes the month, or says what it lacks and changes nothing; a repeat gives what stands."""
        ...
