"""Electronic invoices: who needs an IRN, by when, and how a registration moves.

Sources: CGST Rules 46(r), 48(4) to 48(6); Notification 13/2020-Central Tax with 88/2020, 5/2021, 1/2022,
17/2022 and 10/2023 (thresholds); GSTN advisories of 13 April 2023 and 5 November 2024 (30 days);
Notification 14/2020-Central Tax (dynamic QR), Circulars 146/02/2021 and 156/12/2021.
"""

from datetime import date, timedelta
from enum import StrEnum

from domain.gst import DocumentKind

CRORE = 1_00_00_000

TURNOVER_FROM = (
    (date(2020, 10, 1), 500 * CRORE),
    (date(2021, 1, 1), 100 * CRORE),
    (date(2021, 4, 1), 50 * CRORE),
    (date(2022, 4, 1), 20 * CRORE),
    (date(2022, 10, 1), 10 * CRORE),
    (date(2023, 8, 1), 5 * CRORE),
)
"""From which day a supplier above which yearly turnover (rupees, any year since 2017-18) has to register what
he sells to registered buyers: one whose turnover "exceeds" it."""

REPORT_FROM = ((date(2023, 11, 1), 100 * CRORE), (date(2025, 4, 1), 10 * CRORE))
"""From which day, from which turnover on (the advisories: "10 crores and above"), the portal takes no
document older than `REPORT_WITHIN`."""

REPORT_WITHIN = timedelta(days=30)

DYNAMIC_QR_FROM = ((date(2020, 12, 1), 500 * CRORE),)
"""From which day, above which turnover, invoices to unregistered buyers carry a dynamic QR (`dynamic_qr.py`).
Where the buyer has paid by electronic means before the invoice is issued, its reference to the payment is
enough (Circular 146/02/2021): every invoice of ours is issued at the capture and names it besides."""

CANCEL_WITHIN = timedelta(hours=24)
"""The portal takes a cancellation for a day after the registration (Notification 13/2020)."""

ALERT_BEFORE = timedelta(days=7)
"""A document not yet registered this long before its last day is shown to a person."""


class EInvoiceStatus(StrEnum):
    PENDING = "pending"
    """Issued here; the portal has not registered it, so it is no invoice yet (Rule 48(5))."""
    ATTENTION = "attention"
    """The portal refuses the document: a person has to act."""
    REGISTERED = "registered"
    VOID = "void"
    """Its number was given up, and another document stands in its place."""


NEXT: dict[EInvoiceStatus, frozenset[EInvoiceStatus]] = {
    EInvoiceStatus.PENDING: frozenset({EInvoiceStatus.REGISTERED, EInvoiceStatus.ATTENTION}),
    EInvoiceStatus.ATTENTION: frozenset({EInvoiceStatus.REGISTERED, EInvoiceStatus.VOID}),
    # To attention where it was cancelled at the portal and no other could be issued yet.
    EInvoiceStatus.REGISTERED: frozenset({EInvoiceStatus.VOID, EInvoiceStatus.ATTENTION}),
    EInvoiceStatus.VOID: frozenset(),
}
"""Every step that a registration takes; held by `store/einvoices.py`."""


class VoidReason(StrEnum):
    """Why a number of a series stands for no document."""

    REFUSED = "refused_by_portal"
    """Never registered, so never an invoice; the buyer's data was wrong."""
    CANCELLED = "cancelled_at_portal"
    """Registered with wrong data and cancelled within the time that the portal gives."""


def _limit(table: tuple[tuple[date, int], ...], day: date) -> int | None:
    """The turnover (rupees) that holds on `day`; None before the first."""
    return next((rupees for since, rupees in reversed(table) if since <= day), None)


def _above(table: tuple[tuple[date, int], ...], day: date, turnover: int) -> bool:
    limit = _limit(table, day)
    return limit is not None and turnover > limit


def is_due(kind: DocumentKind, buyer_gstin: str | None, issued_on: date, turnover: int) -> bool:
    """Whether a document has to be registered. A financial credit note is no document of the GST law."""
    taxed = kind is not DocumentKind.FINANCIAL_CREDIT_NOTE
    return taxed and bool(buyer_gstin) and _above(TURNOVER_FROM, issued_on, turnover)


def report_by(issued_on: date, turnover: int) -> date | None:
    """The last day on which the portal takes the document; None where it takes it at any time."""
    limit = _limit(REPORT_FROM, issued_on)
    return issued_on + REPORT_WITHIN if limit is not None and turnover >= limit else None


def needs_dynamic_qr(issued_on: date, turnover: int) -> bool:
    """Whether invoices to unregistered buyers carry a dynamic QR, or the payment that stands for it."""
    return _above(DYNAMIC_QR_FROM, issued_on, turnover)
