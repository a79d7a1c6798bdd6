"""Tables of the schema `finance`: registrations with the e-invoice portal, and numbers that were given up."""

from datetime import date, datetime

from sqlalchemy import LargeBinary, Text
from sqlmodel import Field, SQLModel

from models.platform import instant


class EInvoice(SQLModel, table=True):
    """Where a document to a registered buyer stands at the portal; moves by `domain.einvoices.NEXT`."""

    __tablename__ = "einvoices"
    __table_args__ = {"schema": "finance"}

    invoice_id: str = Field(primary_key=True, sa_type=Text, foreign_key="finance.invoices.invoice_id")
    status: str = Field(sa_type=Text)
    report_by: date | None = None
    """The last day on which the portal takes it; None where it sets none."""
    failure_code: str | None = Field(default=None, sa_type=Text)
    recipient_address: bytes | None = Field(default=None, sa_type=LargeBinary)
    """Where the GSTIN is registered, sealed as the recipient is; None where the buyer gave an address."""
    irn: str | None = Field(default=None, sa_type=Text, unique=True)
    ack_no: str | None = Field(default=None, sa_type=Text)
    ack_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    signed_qr: str | None = Field(default=None, sa_type=Text)
    signed_invoice: bytes | None = Field(default=None, sa_type=LargeBinary)
    """Holds who is billed: sealed as the recipient is."""
    cancelled_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    created_at: datetime = Field(sa_column=instant())
    changed_at: datetime = Field(sa_column=instant())
    version: int
    start_at: datetime = Field(sa_column=instant())
    """When the relay starts its process next."""
    starts: int = 0


class Void(SQLModel, table=True):
    """Why a number of a series stands for no document, and which one stands in its place; append-only."""

    __tablename__ = "voids"
    __table_args__ = {"schema": "finance"}

    invoice_id: str = Field(primary_key=True, sa_type=Text, foreign_key="finance.invoices.invoice_id")
    number: str = Field(sa_type=Text, unique=True)
    reason: str = Field(sa_type=Text)
    note_id: str | None = Field(default=None, sa_type=Text)
    subject: str = Field(sa_type=Text)
    voided_at: datetime = Field(sa_column=instant())
    replaced_by: str = Field(sa_type=Text, unique=True, foreign_key="finance.invoices.invoice_id")
