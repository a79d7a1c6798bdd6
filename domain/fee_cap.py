"""How much a family may pay a research analyst in a year: dated data, with its source."""

from dataclasses import dataclass
from datetime import date, timedelta

from domain.gst import rate_on


@dataclass(frozen=True)
class Cap:
    """In force from `since`; `amount` in paise a year and family, taxes not counted."""

    since: date
    amount: int


CAPS = (Cap(date(2025, 1, 8), 1_51_000_00),)
"""Oldest first. SEBI circular SEBI/HO/MIRSD/MIRSD-PoD-1/P/CIR/2025/004 of 8 January 2025: Rs 1,51,000 a year
and family of an individual or Hindu undivided family for all research services, statutory charges not
counted; reviewed every three years. Others (companies, institutions) have no cap."""

REVIEW_DUE = date(2028, 1, 8)
"""Three years after the newest of `CAPS`; it stays in force until a circular replaces it."""

YEAR = timedelta(days=365)
"""How far back fees count. A yearly plan's renewal, at the earliest 365 days on, does not meet its own
last payment, not even one of 29 February."""

ADVANCE_MONTHS = 12
"""Fees may be taken at most a year ahead (`india.md`, SEBI research analysts): no longer cycle is sold."""

_NATURAL = ("P", "H")
"""Fourth letter of a PAN: a person, a Hindu undivided family."""


def applies_to(gstin: str | None) -> bool:
    """Whether the buyer is one whom the cap protects: a GSTIN holds the PAN from its third character on."""
    return not gstin or len(gstin) < 6 or gstin[5].upper() in _NATURAL


def cap_on(day: date) -> int | None:
    """Paise a year and family, taxes not counted; None before there was a cap."""
    found = [cap.amount for cap in CAPS if cap.since <= day]
    return found[-1] if found else None


def within(paid: int, more: int, day: date) -> bool:
    """Whether a family that has paid `paid` paise in the last year, GST included, may pay `more`."""
    cap = cap_on(day)
    return cap is None or (paid + more) * 100 <= cap * (100 + rate_on(day))
