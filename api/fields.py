"""Dates and times in queries: ISO 8601 texts only, never a number that would pass for seconds."""

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import BeforeValidator

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


Day = Annotated[date, BeforeValidator(_day)]
"""``2026-11-23``."""

Instant = Annotated[datetime, BeforeValidator(_instant)]
"""``2026-11-23T04:30:00Z``."""
