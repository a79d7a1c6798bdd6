"""Lists: ``?limit=&cursor=&from=&to=&status=``, newest first, by an opaque cursor."""

import base64
import binascii
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Depends, Query

from api.fields import Day, Instant
from api.problems import FieldError, Problem

INDIA = ZoneInfo("Asia/Kolkata")


class PageQuery:
    """Which part of a list is wanted.

    `after` is what the cursor stands for: the sort key of the last item already given (None at the
    start). `start` and `end` bound the time, from inclusive to exclusive: a date without a time is a
    day in Asia/Kolkata, and `to` includes that whole day.
    """

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
        from_: Annotated[Day | Instant | None, Query(alias="from")] = None,
        to: Annotated[Day | Instant | None, Query()] = None,
        status: Annotated[str | None, Query(max_length=64, pattern=r"^[a-z_]+$")] = None,
    ) -> None:
        self.limit = limit
        self.after = decode(cursor) if cursor else None
        self.start = _instant(from_, timedelta()) if from_ else None
        self.end = _instant(to, timedelta(days=1)) if to else None
        self.status = status

    @property
    def asked(self) -> dict[str, Any]:
        """What a store's listing takes, by name; one row more than is shown tells whether there are more."""
        return {
            "status": self.status,
            "after": self.after,
            "start": self.start,
            "end": self.end,
            "limit": self.limit + 1,
        }


Page = Annotated[PageQuery, Depends()]


def page(items: list[Any], next_cursor: str | None = None) -> dict[str, Any]:
    """The body of a list; `next_cursor` is an `encode`d sort key, None at the end."""
    return {"items": items, "next_cursor": next_cursor}


def cut(rows: list[Any], query: PageQuery, key: str) -> tuple[list[Any], str | None]:
    """Of ``limit + 1`` rows read, those to show and the cursor of the rest; `key` names the sort column."""
    shown = rows[: query.limit]
    return shown, encode(str(shown[-1][key])) if len(rows) > query.limit else None


def encode(sort_key: str) -> str:
    return base64.urlsafe_b64encode(sort_key.encode()).decode().rstrip("=")


def decode(cursor: str) -> str:
    """Raises Problem 422 for a cursor that we did not give."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Problem(422, errors=[FieldError("query/cursor", "cursor_invalid", "not one of ours")]) from None
    if "\x00" in text:
        raise Problem(422, errors=[FieldError("query/cursor", "cursor_invalid", "not one of ours")])
    return text


def _instant(value: date | datetime, whole_day: timedelta) -> datetime:
    try:
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=INDIA)
        return datetime.combine(value, time.min, INDIA) + whole_day
    except OverflowError:
        raise Problem(422, errors=[FieldError("query/to", "date_invalid", "out of range")]) from None
