"""What `Reconciliation` and `ReconciliationBreak` and their activities take and give. Amounts are paise."""

from datetime import date as CalendarDay

from pydantic import AwareDatetime, BaseModel

from domain.reconciliation import BreakKind, BreakStatus, Resolution
from models.contracts.assertions import SignedAssertion


class ReconciliationInput(BaseModel):
    """Input of `Reconciliation`: the settlement date; None is yesterday in India (the daily schedule)."""

    date: CalendarDay | None = None
    assertion_public_key: str = ""


class Reconcile(BaseModel):
    """Update `reconcile`: made with the start; answered when the day is compared."""


class Day(BaseModel):
    """One reading of one settlement date."""

    date: CalendarDay
    reading: int
    as_of: AwareDatetime


class Page(BaseModel):
    """Input of `reconciliation.read`: lines `skip` onwards of the gateway's report."""

    day: Day
    skip: int


class Read(BaseModel):
    """How many lines a page had, and whether it was the last."""

    lines: int
    last: bool


class Found(BaseModel):
    """A discrepancy: what its break is started with."""

    break_id: str
    date: CalendarDay
    kind: BreakKind
    reference: str
    difference: int


class Compared(BaseModel):
    """Answer of `reconciliation.compare`: the day in figures, and every break that is not resolved."""

    date: CalendarDay
    lines: int
    matched: int
    difference: int
    status: str
    breaks: list[Found]
    version: int


class BreakInput(BaseModel):
    """Input of `ReconciliationBreak`."""

    found: Found
    assertion_public_key: str


class Resolve(BaseModel):
    """Update `resolve`: a finance person's decision, signed by the API for this run."""

    assertion: SignedAssertion
    resolution: Resolution
    note_id: str


class Resolved(BaseModel):
    """Answer of `resolve`."""

    break_id: str
    status: BreakStatus
    resolution: Resolution
    version: int


class Decide(BaseModel):
    """Input of `reconciliation.decide`: one person's decision on one break."""

    found: Found
    resolution: Resolution
    note_id: str
    subject: str
    as_of: AwareDatetime
