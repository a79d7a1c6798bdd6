"""Indian calendar days of unix times, months that keep the day, working days."""

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")


def ist_date(at: int) -> date:
    """The Indian calendar day of a unix time."""
    return datetime.fromtimestamp(at, IST).date()


def at_time(day: date, clock: time) -> int:
    """The unix time of an Indian wall clock."""
    return int(datetime.combine(day, clock, IST).timestamp())


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def add_working_days(day: date, days: int) -> date:
    """`days` working days later. Weekends are skipped; bank holidays are not known here."""
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day
