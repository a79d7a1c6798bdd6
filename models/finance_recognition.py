"""Tables of the schema `finance`: what is earned over time, its runs, closed months, postings by hand."""

from datetime import date as Day
from datetime import datetime
from typing import Any

from sqlalchemy import Date, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import BigInteger, Field, SQLModel

from models.platform import instant


class RevenuePlan(SQLModel, table=True):
    """What was sold with a payment, and from when until the day before when it is earned."""

    __tablename__ = "revenue_plans"
    __table_args__ = {"schema": "finance"}

    payment_id: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(sa_type=Text)
    reference_id: str = Field(sa_type=Text)
    net: int = Field(sa_type=BigInteger)
    starts_on: Day = Field(sa_type=Date)
    ends_on: Day = Field(sa_type=Date)
    made_at: datetime = Field(sa_column=instant())


class RevenueSegment(SQLModel, table=True):
    """A stretch of a plan that is earned evenly: see `domain.recognition.Segment`."""

    __tablename__ = "revenue_segments"
    __table_args__ = {"schema": "finance"}

    payment_id: str = Field(primary_key=True, sa_type=Text)
    number: int = Field(primary_key=True)
    kind: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    starts_on: Day = Field(sa_type=Date)
    ends_on: Day = Field(sa_type=Date)
    since_run: int = Field(sa_type=BigInteger)
    """Runs with a higher number count it."""
    cut_on: Day | None = Field(default=None, sa_type=Date)
    kept: int | None = Field(default=None, sa_type=BigInteger)


class RevenueRun(SQLModel, table=True):
    """One recognition of a day; append-only."""

    __tablename__ = "revenue_runs"
    __table_args__ = {"schema": "finance"}

    number: int = Field(primary_key=True, sa_type=BigInteger)
    day: Day = Field(sa_type=Date)
    segments: int = Field(sa_type=BigInteger)
    subscriptions: int = Field(sa_type=BigInteger)
    courses: int = Field(sa_type=BigInteger)
    entry_id: str | None = Field(default=None, sa_type=Text)
    made_at: datetime = Field(sa_column=instant())


class Period(SQLModel, table=True):
    """A closed month and what it held; append-only. The hashes prove that it still holds the same."""

    __tablename__ = "periods"
    __table_args__ = {"schema": "finance"}

    period: str = Field(primary_key=True, sa_type=Text)
    first_on: Day = Field(sa_type=Date)
    next_on: Day = Field(sa_type=Date)
    closed_at: datetime = Field(sa_column=instant())
    closed_by: str = Field(sa_type=Text)
    entries: int = Field(sa_type=BigInteger)
    turnover: int = Field(sa_type=BigInteger)
    book_hash: str = Field(sa_type=Text)
    documents: int = Field(sa_type=BigInteger)
    documents_hash: str = Field(sa_type=Text)


class VoucherRow(SQLModel, table=True):
    """A posting by hand; above ₹50,000 two people stand on it."""

    __tablename__ = "vouchers"
    __table_args__ = {"schema": "finance"}

    voucher_id: str = Field(primary_key=True, sa_type=Text)
    status: str = Field(sa_type=Text)
    date: Day = Field(sa_type=Date)
    lines: list[dict[str, Any]] = Field(sa_type=JSONB)
    amount: int = Field(sa_type=BigInteger)
    note_id: str = Field(sa_type=Text)
    first_by: str = Field(sa_type=Text)
    second_by: str | None = Field(default=None, sa_type=Text)
    entry_id: str | None = Field(default=None, sa_type=Text)
    opened_at: datetime = Field(sa_column=instant())
    ended_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    version: int = Field(sa_type=BigInteger)
