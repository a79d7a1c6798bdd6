"""Dates and times: in queries ISO 8601 texts only, never a number that would pass for seconds."""

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}")


def _day(value: object) -> object:
    if isinstance(value, str) and not DAY.fullmatch(value):
        raise ValueError("not a date")
    return value


def _instant(value: object) -> object:
    if isinstance(value, str) and not INSTANT.match(value):
        raise ValueError("not a date with a time")
    return value


def _storable(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


Day = Annotated[date, BeforeValidator(_day)]
"""``2026-11-23``."""

Instant = Annotated[datetime, BeforeValidator(_instant)]
"""``2026-11-23T04:30:00Z``."""

Moment = Annotated[AwareDatetime, AfterValidator(_storable)]
"""In bodies: a time with its offset, whose UTC lies in the years that can be read back, 1 to 9999."""
