"""Tables of the Postgres schema `user_management` that KYC uses; sealed columns are bytes."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Date, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from models.platform import instant

SCHEMA = {"schema": "user_management"}


class KycSubmission(SQLModel, table=True):
    """What a customer handed in at once: facts, the Aadhaar file, and what was read from it."""

    __tablename__ = "kyc_submissions"
    __table_args__ = SCHEMA

    submission_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    tier: str = Field(sa_type=Text)
    consent_id: str = Field(sa_type=Text)
    data: bytes = Field(sa_type=LargeBinary)
    aadhaar_file: bytes = Field(sa_type=LargeBinary)
    aadhaar_record: bytes | None = Field(default=None, sa_type=LargeBinary)
    pan_index: bytes = Field(sa_type=LargeBinary)
    made_at: datetime = Field(sa_column=instant())


class KycDocument(SQLModel, table=True):
    """A file of a submission."""

    __tablename__ = "kyc_documents"
    __table_args__ = SCHEMA

    submission_id: str = Field(primary_key=True, sa_type=Text)
    number: int = Field(primary_key=True, sa_type=SmallInteger)
    type: str = Field(sa_type=Text)
    issued_on: date | None = Field(default=None, sa_type=Date)
    content: bytes = Field(sa_type=LargeBinary)


class KycStatus(SQLModel, table=True):
    """Where a customer stands; `moves` is the number of the last move that was written."""

    __tablename__ = "kyc_status"
    __table_args__ = SCHEMA

    user_id: str = Field(primary_key=True, sa_type=Text)
    status: str = Field(sa_type=Text)
    tier: str | None = Field(default=None, sa_type=Text)
    submission_id: str | None = Field(default=None, sa_type=Text)
    reason_code: str | None = Field(default=None, sa_type=Text)
    legal_name: bytes | None = Field(default=None, sa_type=LargeBinary)
    pan_index: bytes | None = Field(default=None, sa_type=LargeBinary)
    verified_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    expires_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    risk_score: int | None = Field(default=None, sa_type=SmallInteger)
    list_version: str | None = Field(default=None, sa_type=Text)
    screened_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    frozen_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    moves: int = Field(default=0, sa_type=BigInteger)
    updated_at: datetime = Field(sa_column=instant())
    version: int = Field(default=1, sa_type=BigInteger)


class KycStep(SQLModel, table=True):
    """What one check of a submission came to."""

    __tablename__ = "kyc_steps"
    __table_args__ = SCHEMA

    submission_id: str = Field(primary_key=True, sa_type=Text)
    step: str = Field(primary_key=True, sa_type=Text)
    result: str = Field(sa_type=Text)
    codes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    at: datetime = Field(sa_column=instant())


class KycCheck(SQLModel, table=True):
    """A paid check at a provider, by the reference that it dedupes by."""

    __tablename__ = "kyc_checks"
    __table_args__ = SCHEMA

    reference: str = Field(primary_key=True, sa_type=Text)
    submission_id: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    made_at: datetime = Field(sa_column=instant())
    answered_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class KycHit(SQLModel, table=True):
    """A listed person who resembles a customer; for staff only."""

    __tablename__ = "kyc_hits"
    __table_args__ = SCHEMA

    user_id: str = Field(primary_key=True, sa_type=Text)
    entry_id: str = Field(primary_key=True, sa_type=Text)
    list_version: str = Field(sa_type=Text)
    programme: str = Field(sa_type=Text)
    score: int = Field(sa_type=SmallInteger)
    name: bytes = Field(sa_type=LargeBinary)
    state: str = Field(sa_type=Text)
    found_at: datetime = Field(sa_column=instant())
    decided_by: str | None = Field(default=None, sa_type=Text)
    decided_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class KycCase(SQLModel, table=True):
    """A manual review; at most one undecided a customer."""

    __tablename__ = "kyc_cases"
    __table_args__ = SCHEMA

    case_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    submission_id: str | None = Field(default=None, sa_type=Text)
    reason: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    risk_score: int | None = Field(default=None, sa_type=SmallInteger)
    opened_at: datetime = Field(sa_column=instant())
    due_at: datetime = Field(sa_column=instant())
    escalated_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    decided_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    decided_by: str | None = Field(default=None, sa_type=Text)
    note_id: str | None = Field(default=None, sa_type=Text)
    first_by: str | None = Field(default=None, sa_type=Text)
    version: int = Field(default=1, sa_type=BigInteger)


class ComplianceAlert(SQLModel, table=True):
    """What compliance was alerted of, and by when a report is due, if one is."""

    __tablename__ = "compliance_alerts"
    __table_args__ = SCHEMA

    alert_id: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(sa_type=Text)
    user_id: str = Field(sa_type=Text)
    reference: str = Field(sa_type=Text)
    made_at: datetime = Field(sa_column=instant())
    report_by: date | None = Field(default=None, sa_type=Date)


class Complaint(SQLModel, table=True):
    """A grievance and its deadline."""

    __tablename__ = "complaints"
    __table_args__ = SCHEMA

    complaint_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    subject: bytes = Field(sa_type=LargeBinary)
    text: bytes = Field(sa_type=LargeBinary)
    about: str | None = Field(default=None, sa_type=Text)
    made_at: datetime = Field(sa_column=instant())
    due_at: datetime = Field(sa_column=instant())
    status: str = Field(default="open", sa_type=Text)
    note_id: str | None = Field(default=None, sa_type=Text)
    version: int = Field(default=1, sa_type=BigInteger)
