"""What `Reconciliation` and `ReconciliationBreak` and their activities take and give. Amounts are paise."""

from datetime import date as CalendarDay
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel

from domain.reconciliation import BreakKind, BreakStatus, Claim, Ended, Resolution
from models.contracts.assertions import SignedAssertion


class Line(NamedTuple):
    """A line of the gateway's report, in paise. `payment_id`: the payment of a refund or an adjustment."""

    settlement_id: str
    entity_id: str
    kind: str
    amount: int
    debit: int
    credit: int
    fee: int
    tax: int
    payment_id: str | None
    utr: str | None
    dispute_id: str | None
    settled: bool = True
    """False while the gateway holds the money back: such a line is in no settlement."""

    def says(self) -> tuple[Any, ...]:
        """What tells it from its neighbours in the report."""
        return self[:8]


class Payout(NamedTuple):
    """A settlement as the gateway lists it: what it paid to the bank under one UTR, in paise."""

    settlement_id: str
    utr: str | None
    amount: int
    made_at: datetime


class ReconciliationInput(BaseModel):
    """Input of `Reconciliation`: an Indian settlement date."""

    date: CalendarDay
    assertion_public_key: str
    telling: "Telling | None" = None
    """Set where the run goes on in a new one: the day is compared, its break processes are being told."""


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
    """A discrepancy: what its break is started with, and told when a later report changes it.

    `difference` is positive where the gateway owes us.
    """

    break_id: str
    date: CalendarDay
    kind: BreakKind
    reference: str
    difference: int
    difference_tax: int = 0
    """GST on a fee that is in it, or that is wrong beside a right fee."""
    status: BreakStatus = BreakStatus.OPEN
    about: str = ""
    """The gateway's id of what differs."""
    payment_id: str | None = None
    user_id: str | None = None
    """Whose payment it is: this person decides nothing about it."""
    utr: str | None = None
    ended: Ended | None = None
    claim: Claim | None = None
    due_at: AwareDatetime | None = None
    version: int = 1


class Settled(BaseModel):
    """Answer of `reconciliation.read`: lines read, and when the day's last settlement was made."""

    lines: int
    settled_until: AwareDatetime | None = None


class Compare(BaseModel):
    """Input of `reconciliation.compare`."""

    day: Day
    lines: int
    settled_until: AwareDatetime | None


class Compared(BaseModel):
    """The day in figures, and the first of its breaks."""

    date: CalendarDay
    status: str
    lines: int
    matched: int
    difference: int
    breaks: list[Found]
    version: int
    references: list[str] = []
    """The day's settlements and their UTRs, as many as a search attribute holds."""


class Tell(BaseModel):
    """Input of `reconciliation.tell`: which of the day's breaks are wanted, in pages."""

    day: Day
    after: str = ""
    """The id of the last break that was given."""


class Told(BaseModel):
    """Breaks whose processes are to hear of this comparison: new, changed, mended or paid by it, or waiting
    since an earlier one. `after` is None on the last page."""

    breaks: list[Found]
    after: str | None


class Telling(BaseModel):
    """Where a run that goes on in a new one stands."""

    day: Day
    compared: Compared
    after: str


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
    claim: Claim | None = None


class Decide(BaseModel):
    """Input of `reconciliation.decide`: one person's decision on one break."""

    break_id: str
    resolution: Resolution
    note_id: str
    subject: str
    as_of: AwareDatetime
