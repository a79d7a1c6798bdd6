"""What `Reconciliation` and `ReconciliationBreak` and their activities take and give. Amounts are paise."""

from datetime import date as CalendarDay

from pydantic import AwareDatetime, BaseModel

from domain.reconciliation import BreakKind, BreakStatus, Resolution
from models.contracts.assertions import SignedAssertion


class ReconciliationInput(BaseModel):
    """Input of `Reconciliation`: an Indian settlement date."""

    date: CalendarDay
    assertion_public_key: str


class DailyInput(BaseModel):
    """Input of `DailyReconciliation`, which a schedule starts."""

    assertion_public_key: str


class Reconcile(BaseModel):
    """Update `reconcile`: made with the start; answered with the day as it then stands."""


class Day(BaseModel):
    """One reading of one settlement date."""

    date: CalendarDay
    reading: int = 0
    as_of: AwareDatetime


class Found(BaseModel):
    """A discrepancy: what its break is started with. `difference` is positive where the gateway owes us."""

    break_id: str
    date: CalendarDay
    kind: BreakKind
    reference: str
    difference: int
    status: BreakStatus = BreakStatus.OPEN


class Settled(BaseModel):
    """Answer of `reconciliation.read`: lines read, and when the day's last settlement was made."""

    lines: int
    settled_until: AwareDatetime | None = None


class Compare(BaseModel):
    """Input of `reconciliation.compare`."""

    day: Day
    settled_until: AwareDatetime | None


class Compared(BaseModel):
    """The day in figures, and its breaks."""

    date: CalendarDay
    status: str
    lines: int
    matched: int
    difference: int
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

    break_id: str
    resolution: Resolution
    note_id: str
    subject: str
    as_of: AwareDatetime
