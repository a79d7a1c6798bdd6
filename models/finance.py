"""Tables of the Postgres schema `finance`: payments, refunds, the ledger and the documents.

Constraints and triggers stand in migration 0004: they, not this file, are what the database enforces.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Identity, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from models.platform import instant


class Payment(SQLModel, table=True):
    """One checkout, or one debit of a renewal, with where it stands. Amounts in paise."""

    __tablename__ = "payments"
    __table_args__ = {"schema": "finance"}

    payment_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    purpose: str = Field(sa_type=Text)
    reference_id: str = Field(sa_type=Text)
    process: str = Field(sa_type=Text)
    """Id of the workflow that owns it: who is signalled when the gateway says something."""
    renewal: bool = False
    title: str = Field(sa_type=Text)
    sac: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    place_of_supply: str = Field(sa_type=Text)
    amount_refunding: int = Field(default=0, sa_type=BigInteger)
    """Sum of refunds asked for and not turned down; kept by trigger, never above `amount`."""
    amount_refunded: int = Field(default=0, sa_type=BigInteger)
    gateway_order_id: str | None = Field(default=None, sa_type=Text, unique=True)
    gateway_payment_id: str | None = Field(default=None, sa_type=Text, unique=True)
    gateway_customer_id: str | None = Field(default=None, sa_type=Text)
    token_id: str | None = Field(default=None, sa_type=Text)
    method: str | None = Field(default=None, sa_type=Text)
    mandate_max: int | None = Field(default=None, sa_type=BigInteger)
    fee: int | None = Field(default=None, sa_type=BigInteger)
    """The gateway's fee, its GST included, as told at capture; booked at settlement."""
    tax: int | None = Field(default=None, sa_type=BigInteger)
    failure_code: str | None = Field(default=None, sa_type=Text)
    flags: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime = Field(sa_column=instant())
    captured_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    updated_at: datetime = Field(sa_column=instant())
    version: int = Field(default=1, sa_type=BigInteger)


class PaymentTimeline(SQLModel, table=True):
    """Each state a payment went through, and what told us."""

    __tablename__ = "payment_timeline"
    __table_args__ = {"schema": "finance"}

    payment_id: str = Field(primary_key=True, sa_type=Text, foreign_key="finance.payments.payment_id")
    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    status: str = Field(sa_type=Text)
    at: datetime = Field(sa_column=instant())
    source: str = Field(sa_type=Text)
    code: str | None = Field(default=None, sa_type=Text)
    """Why, as the customer is told: a neutral code."""


class PaymentRefusal(SQLModel, table=True):
    """A payment that was refused before anything was asked of the gateway."""

    __tablename__ = "payment_refusals"
    __table_args__ = {"schema": "finance"}

    payment_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    purpose: str = Field(sa_type=Text)
    reference_id: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    at: datetime = Field(sa_column=instant())


class Attempt(SQLModel, table=True):
    """One try of an irreversible call; at most one of an object's tries is not void."""

    __tablename__ = "attempts"
    __table_args__ = {"schema": "finance"}

    kind: str = Field(primary_key=True, sa_type=Text)
    object_id: str = Field(primary_key=True, sa_type=Text)
    number: int = Field(primary_key=True)
    state: str = Field(sa_type=Text)
    code: str | None = Field(default=None, sa_type=Text)
    begun_at: datetime = Field(sa_column=instant())
    ended_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class GatewayCustomer(SQLModel, table=True):
    """A person's id at the gateway, needed for mandates."""

    __tablename__ = "gateway_customers"
    __table_args__ = {"schema": "finance"}

    user_id: str = Field(primary_key=True, sa_type=Text)
    gateway_customer_id: str = Field(sa_type=Text, unique=True)
    made_at: datetime = Field(sa_column=instant())


class Entitlement(SQLModel, table=True):
    """What a purchase lets a person use, and until when."""

    __tablename__ = "entitlements"
    __table_args__ = {"schema": "finance"}

    entitlement_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    reference: str = Field(sa_type=Text)
    plan_tier: str | None = Field(default=None, sa_type=Text)
    starts_at: datetime = Field(sa_column=instant())
    ends_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class Refund(SQLModel, table=True):
    """Money on its way back to the customer, with who asked, who approved and where it stands."""

    __tablename__ = "refunds"
    __table_args__ = {"schema": "finance"}

    refund_id: str = Field(primary_key=True, sa_type=Text)
    payment_id: str = Field(sa_type=Text, foreign_key="finance.payments.payment_id")
    user_id: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    speed: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    requested_by: str = Field(sa_type=Text)
    authority: str = Field(sa_type=Text)
    approvers: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    approvals_due: int
    note_id: str | None = Field(default=None, sa_type=Text)
    reason_code: str = Field(sa_type=Text)
    gateway_refund_id: str | None = Field(default=None, sa_type=Text, unique=True)
    utr: str | None = Field(default=None, sa_type=Text, unique=True)
    arn: str | None = Field(default=None, sa_type=Text)
    """What the customer's bank finds a refund of the gateway by."""
    returned_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """When the customer's bank returned what the gateway had paid."""
    failure_code: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_column=instant())
    updated_at: datetime = Field(sa_column=instant())
    version: int = Field(default=1, sa_type=BigInteger)


class LedgerAccount(SQLModel, table=True):
    """The chart of accounts (`domain/ledger.py`)."""

    __tablename__ = "accounts"
    __table_args__ = {"schema": "finance"}

    account: str = Field(primary_key=True, sa_type=Text)
    nature: str = Field(sa_type=Text)


class JournalEntry(SQLModel, table=True):
    """One posting; append-only, unique by business key, balanced at commit."""

    __tablename__ = "journal_entries"
    __table_args__ = {"schema": "finance"}

    entry_id: str = Field(primary_key=True, sa_type=Text)
    business_key: str = Field(sa_type=Text, unique=True)
    date: date
    refs: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    made_at: datetime = Field(sa_column=instant())


class JournalLine(SQLModel, table=True):
    """One side of a posting; comes with its entry or not at all."""

    __tablename__ = "journal_lines"
    __table_args__ = {"schema": "finance"}

    entry_id: str = Field(primary_key=True, sa_type=Text, foreign_key="finance.journal_entries.entry_id")
    number: int = Field(primary_key=True)
    account: str = Field(sa_type=Text, foreign_key="finance.accounts.account")
    debit: int = Field(sa_type=BigInteger)
    credit: int = Field(sa_type=BigInteger)


class NumberSeries(SQLModel, table=True):
    """The last number of a document series in a financial year; its row lock orders the writers."""

    __tablename__ = "number_series"
    __table_args__ = {"schema": "finance"}

    kind: str = Field(primary_key=True, sa_type=Text)
    financial_year: int = Field(primary_key=True)
    last: int = Field(sa_type=BigInteger)


class Invoice(SQLModel, table=True):
    """An invoice or a credit note as issued; append-only but for being void. Who is billed is sealed under a
    key of the document's own: the law keeps it longer than a person may be known elsewhere."""

    __tablename__ = "invoices"
    __table_args__ = {"schema": "finance"}

    invoice_id: str = Field(primary_key=True, sa_type=Text)
    number: str = Field(sa_type=Text, unique=True)
    kind: str = Field(sa_type=Text)
    financial_year: int
    sequence: int = Field(sa_type=BigInteger)
    status: str = Field(sa_type=Text)
    issued_on: date
    tax_point: datetime = Field(sa_column=instant())
    user_id: str = Field(sa_type=Text)
    payment_id: str = Field(sa_type=Text, foreign_key="finance.payments.payment_id")
    refund_id: str | None = Field(default=None, sa_type=Text, foreign_key="finance.refunds.refund_id")
    original_invoice_id: str | None = Field(
        default=None, sa_type=Text, foreign_key="finance.invoices.invoice_id"
    )
    buyer_gstin: str | None = Field(default=None, sa_type=Text)
    recipient: bytes = Field(sa_type=LargeBinary)
    recipient_key: bytes = Field(sa_type=LargeBinary)
    """Wrapped by the firm's key; empty on rows that are sealed under the person's."""
    place_of_supply: str = Field(sa_type=Text)
    supplier: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    """Name, GSTIN, state and address as they were on that day."""
    sac: str = Field(sa_type=Text)
    description: str = Field(sa_type=Text)
    rate: int
    """Per cent."""
    currency: str = Field(sa_type=Text)
    taxable: int = Field(sa_type=BigInteger)
    cgst: int = Field(sa_type=BigInteger)
    sgst: int = Field(sa_type=BigInteger)
    igst: int = Field(sa_type=BigInteger)
    total: int = Field(sa_type=BigInteger)
