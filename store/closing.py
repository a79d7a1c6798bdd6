"""What a month still lacks before finance may close it."""

from dataclasses import dataclass
from datetime import date, timedelta

from domain.closing import Missing, month
from store import gst_returns, periods, recognition_runs
from store.database import Connection

SHOWN = 20
"""How many days or breaks are named; the last word says how many more there are."""


@dataclass(frozen=True)
class Lack:
    """`about`: what it is about, as text: days, ids, amounts in paise."""

    code: Missing
    about: list[str]


async def missing(connection: Connection, period: str, today: date) -> list[Lack]:
    """All that stands in the way of closing a month on the Indian day `today`; empty where nothing does.

    Raises:
        ValueError: no such month.
    """
    first, following = month(period)
    if today < following:
        return [Lack(Missing.PERIOD_NOT_OVER, [(following - timedelta(days=1)).isoformat()])]
    found: dict[Missing, list[str]] = {}
    earlier = await periods.earlier_open(connection, first)
    found[Missing.EARLIER_PERIOD_OPEN] = [earlier] if earlier else []
    off = await periods.difference(connection, first, following)
    found[Missing.BOOK_UNBALANCED] = _amounts({"difference": off})
    days = await periods.unreconciled(connection, first, following)
    found[Missing.DAYS_NOT_RECONCILED] = [day.isoformat() for day in days]
    found[Missing.BREAKS_OPEN] = await periods.open_breaks(connection, first, following)
    due = await recognition_runs.unrecognised(connection, following - timedelta(days=1))
    found[Missing.REVENUE_NOT_RECOGNISED] = _amounts({"earned": due})
    ties = await gst_returns.ties(connection, first, following)
    found[Missing.TAX_DIFFERS] = _amounts({**ties["ledger"], "input_gst": ties["input"]["gst"]})
    found[Missing.SERIES_BROKEN] = _amounts(ties["series"])
    found[Missing.EINVOICES_PENDING] = await periods.unregistered(connection, first, following)
    return [Lack(code, _cut(about)) for code, about in found.items() if about]


def _amounts(values: dict[str, int]) -> list[str]:
    return [f"{name}: {value}" for name, value in values.items() if value]


def _cut(about: list[str]) -> list[str]:
    return about if len(about) <= SHOWN else [*about[:SHOWN], f"and {len(about) - SHOWN} more"]
