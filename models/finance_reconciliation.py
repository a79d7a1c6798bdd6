"""Tables of the schema `finance`: settlement days, the gateway's lines, and the breaks between."""

from datetime import date as Day
from datetime import datetime

from sqlalchemy import Column, Date, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import BigInteger, Field, SQLModel

from models.platform import instant


class ReconciliationRow(SQLModel, table=True):
    """One settlement date (Indian calendar), as last read."""

    __tablename__ = "reconciliations"
    __table_args__ = {"schema": "finance"}

    date: Day = Field(primary_key=True, sa_type=Date)
    status: str = Field(sa_type=Text)
    reading: int
    """How often the report was read; lines that a later reading does not hold count as gone."""
    lines: int = Field(sa_type=BigInteger)
    matched: int = Field(sa_type=BigInteger)
    bank: int = Field(sa_type=BigInteger)
    """Paise that the report says went to the bank: credits less debits."""
    settled_until: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """When the day's last settlement was made: what was captured later is not due yet."""
    started_at: datetime = Field(sa_column=instant())
    finished_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    version: int = Field(sa_type=BigInteger)


class SettlementLine(SQLModel, table=True):
    """A line of the gateway's combined recon report, all amounts in paise."""

    __tablename__ = "settlement_lines"
    __table_args__ = {"schema": "finance"}

    settlement_id: str = Field(primary_key=True, sa_type=Text)
    entity_id: str = Field(primary_key=True, sa_type=Text)
    """The gateway's payment, refund, transfer or adjustment."""
    occurrence: int = Field(primary_key=True, sa_type=BigInteger)
    """1, and more where the report holds the same thing again."""
    date: Day = Field(sa_type=Date)
    kind: str = Field(sa_type=Text)
    payment_id: str | None = Field(default=None, sa_type=Text)
    """The gateway's payment that a refund line belongs to; null on payment lines."""
    utr: str | None = Field(default=None, sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    debit: int = Field(sa_type=BigInteger)
    credit: int = Field(sa_type=BigInteger)
    fee: int = Field(sa_type=BigInteger)
    """Tax included."""
    tax: int = Field(sa_type=BigInteger)
    verdict: str = Field(default="new", sa_type=Text)
    expected_fee: int = Field(default=0, sa_type=BigInteger)
    expected_tax: int = Field(default=0, sa_type=BigInteger)
    dispute_id: str | None = Field(default=None, sa_type=Text)
    expected: int = Field(default=0, sa_type=BigInteger)
    """What the book expects of it before fees: positive where money comes in."""
    matches: str | None = Field(default=None, sa_type=Text)
    """Our payment, refund, dispute, or the break whose claim it pays."""


class Settlement(SQLModel, table=True):
    """One payout of the gateway to the bank, and what the ledger has of it so far. Amounts in paise."""

    __tablename__ = "settlements"
    __table_args__ = {"schema": "finance"}

    settlement_id: str = Field(primary_key=True, sa_type=Text)
    date: Day = Field(primary_key=True, sa_type=Date)
    utr: str | None = Field(default=None, sa_type=Text)
    amount: int | None = Field(default=None, sa_type=BigInteger)
    """By the gateway's list of settlements; the lines of its report may say otherwise."""
    made_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    booked_bank: int = Field(default=0, sa_type=BigInteger)
    booked_fee: int = Field(default=0, sa_type=BigInteger)
    booked_tax: int = Field(default=0, sa_type=BigInteger)
    bookings: int = 0
    """How many entries of the ledger: a later reading of the day books what has changed."""
    residual: int = Field(default=0, sa_type=BigInteger)
    """Paid beyond the lines and beyond what their breaks explain: booked with the lines, and a break."""


class SettlementBooking(SQLModel, table=True):
    """One entry of a settlement in the ledger. Amounts in paise."""

    __tablename__ = "settlement_bookings"
    __table_args__ = {"schema": "finance"}

    settlement_id: str = Field(primary_key=True, sa_type=Text)
    date: Day = Field(primary_key=True, sa_type=Date)
    number: int = Field(primary_key=True)
    booked_on: Day = Field(sa_type=Date)
    """The entry's day of the book: a later one where the month of the settlement was closed."""
    bank: int = Field(sa_type=BigInteger)
    fee: int = Field(sa_type=BigInteger)
    """Without its tax."""
    tax: int = Field(sa_type=BigInteger)


class BreakRow(SQLModel, table=True):
    """One discrepancy between report and book: the projection of a `ReconciliationBreak` process."""

    __tablename__ = "breaks"
    __table_args__ = {"schema": "finance"}

    break_id: str = Field(primary_key=True, sa_type=Text)
    date: Day = Field(sa_type=Date)
    kind: str = Field(sa_type=Text)
    reference: str = Field(sa_type=Text)
    """The gateway's id of what does not agree."""
    payment_id: str | None = Field(default=None, sa_type=Text)
    """Our payment, where it is known."""
    expected: int = Field(sa_type=BigInteger)
    found: int = Field(sa_type=BigInteger)
    difference: int = Field(sa_type=BigInteger)
    """Paise left on gateway clearing by this break: positive where the gateway owes us."""
    difference_tax: int = Field(sa_type=BigInteger)
    """Of that, GST on a fee."""
    status: str = Field(sa_type=Text)
    resolution: str | None = Field(default=None, sa_type=Text)
    note_ids: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """What each person wrote who decided, in turn."""
    first_by: str | None = Field(default=None, sa_type=Text)
    second_by: str | None = Field(default=None, sa_type=Text)
    opened_at: datetime = Field(sa_column=instant())
    resolved_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    version: int = Field(sa_type=BigInteger)
    about: str = Field(sa_type=Text)
    """The reference without the number of the break about it: the first has none."""
    settlement_id: str | None = Field(default=None, sa_type=Text)
    utr: str | None = Field(default=None, sa_type=Text)
    booked: int = Field(default=0, sa_type=BigInteger)
    """Paise that the decision moved off gateway clearing."""
    decided_tax: int = Field(default=0, sa_type=BigInteger)
    """The GST in what was decided."""
    booked_on: Day | None = Field(default=None, sa_type=Date)
    """The day of the book on which the decision stands."""
    ended: str | None = Field(default=None, sa_type=Text)
    claim: str | None = Field(default=None, sa_type=Text)
    claim_resolution: str | None = Field(default=None, sa_type=Text)
    """Where a claim went that was given up: `paid_outside` to the bank."""
    claim_note_ids: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    claim_first_by: str | None = Field(default=None, sa_type=Text)
    claim_second_by: str | None = Field(default=None, sa_type=Text)
    claim_line: str | None = Field(default=None, sa_type=Text)
    """The thing whose line paid the claim."""
    claim_settled_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    seen_date: Day = Field(sa_type=Date)
    seen_reading: int = 0
    """The reading of that day is the last that opened, changed or ended the break."""
