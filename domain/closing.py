"""Accounting months: how one is closed, and what may stand in the way."""

from datetime import date
from enum import StrEnum


class PeriodStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


PERIOD_NEXT: dict[PeriodStatus, frozenset[PeriodStatus]] = {
    PeriodStatus.OPEN: frozenset({PeriodStatus.CLOSED}),
    PeriodStatus.CLOSED: frozenset(),
}
"""A closed month never opens again; held by `store/periods.py`."""


class Missing(StrEnum):
    """What a month still lacks, by the word that the caller is told."""

    PERIOD_NOT_OVER = "period_not_over"
    """Its last day is today or to come."""
    EARLIER_PERIOD_OPEN = "earlier_period_open"
    """A month before it has entries and is not closed."""
    BOOK_UNBALANCED = "book_unbalanced"
    """Debits and credits of the month differ. The database refuses such entries: it was gone round."""
    DAYS_NOT_RECONCILED = "days_not_reconciled"
    """Settlement days of it were not compared with the gateway's report."""
    BREAKS_OPEN = "breaks_open"
    """Breaks of its settlement days wait for a decision."""
    REVENUE_NOT_RECOGNISED = "revenue_not_recognised"
    """Revenue that was earned in it is not in the book."""
    TAX_DIFFERS = "tax_differs"
    """The documents' output tax is not the ledger's."""
    EINVOICES_PENDING = "einvoices_pending"
    """Documents of it are not registered with the portal yet, and so are no invoices (Rule 48(5))."""
    SERIES_BROKEN = "series_broken"
    """A number of its invoices or notes is missing, and no void explains it."""


MESSAGES = {
    Missing.PERIOD_NOT_OVER: "the month is not over in India",
    Missing.EARLIER_PERIOD_OPEN: "an earlier month is open: close it first",
    Missing.BOOK_UNBALANCED: "debits and credits of the month differ, in paise",
    Missing.DAYS_NOT_RECONCILED: "these settlement days were not compared: POST /v1/finance/reconciliations",
    Missing.BREAKS_OPEN: "these breaks wait: POST /v1/finance/breaks/{break_id}/resolve",
    Missing.REVENUE_NOT_RECOGNISED: "paise that were earned and not posted: POST /v1/finance/revenue",
    Missing.TAX_DIFFERS: "documents less ledger, in paise, by tax: GET /v1/finance/gst",
    Missing.EINVOICES_PENDING: "these documents wait for the invoice portal",
    Missing.SERIES_BROKEN: "numbers without a document: GET /v1/finance/gst",
}


def month(period: str) -> tuple[date, date]:
    """First day of a month ``yyyy-mm``, and of the one after it.

    Raises:
        ValueError: no such month.
    """
    first = date.fromisoformat(f"{period}-01")
    return first, date(first.year + first.month // 12, first.month % 12 + 1, 1)
