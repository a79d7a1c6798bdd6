"""Dated tables that end: to which day each is known, who tells what follows, and what holds meanwhile. Pure.

Tables that are in force until they are replaced (rates, limits, thresholds) have no end and are not here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from domain import bank_holidays, fee_cap
from domain.market_calendar import INDIA_2026

WARN_AHEAD = timedelta(days=45)
"""NSE tells next year's holidays in December; a new table has to be reviewed and shipped as well."""


@dataclass(frozen=True)
class DatedTable:
    """`known_until`: the last day that it covers. `next_from` names the source of what follows and the file
    that takes it; `meanwhile` what the platform does with later days."""

    name: str
    known_until: date
    next_from: str
    meanwhile: str


TABLES = (
    DatedTable(
        "exchange holidays",
        INDIA_2026.known_until,
        "NSE's circular of trading holidays, into domain/market_calendar.py",
        "weekdays but the national holidays are trading days: orders leave, and the broker decides",
    ),
    DatedTable(
        "bank holidays",
        bank_holidays.KNOWN_UNTIL,
        "RBI's holidays for Mumbai, into domain/bank_holidays.py",
        "mandates are debited on every working day but the national holidays, and the bank decides",
    ),
    DatedTable(
        "research fee cap",
        fee_cap.REVIEW_DUE - timedelta(days=1),
        "SEBI's circular after its review, into domain/fee_cap.py",
        "the cap stays as it is",
    ),
)


def warnings(today: date, tables: Iterable[DatedTable] | None = None) -> list[str]:
    """One line for each table, of `TABLES` if none are given, that has ended or does within `WARN_AHEAD`."""
    asked = TABLES if tables is None else tables
    return [_line(table, today) for table in asked if today > table.known_until - WARN_AHEAD]


def _line(table: DatedTable, today: date) -> str:
    ended = today > table.known_until
    how = f"ended on {table.known_until}" if ended else f"end on {table.known_until}"
    then = "now" if ended else "then"
    return f"{table.name}: {how}; {then} {table.meanwhile}; next: {table.next_from}"
