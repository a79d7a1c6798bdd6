"""What `RevenueRecognition` and its activity take and give. Amounts are paise."""

from datetime import date as CalendarDay

from pydantic import AwareDatetime, BaseModel


class RecognitionInput(BaseModel):
    """Input of `RevenueRecognition`: the Indian day through which revenue is recognised."""

    date: CalendarDay


class DailyRevenueInput(BaseModel):
    """Input of `DailyRevenue`, which a schedule starts."""


class AskRecognition(BaseModel):
    """Update `recognise`: made with the start; answered with the day as it then stands."""


class RecogniseDay(BaseModel):
    """Input of `recognition.recognise`."""

    date: CalendarDay
    as_of: AwareDatetime


class DayRecognised(BaseModel):
    """What was posted by this run: over all days that it had to make up for, `days` of them."""

    date: CalendarDay
    status: str
    days: int = 0
    segments: int = 0
    subscriptions: int = 0
    courses: int = 0
