"""Tables of the schema `finance`: disputes, and each step of a refund."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Identity, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from models.platform import instant


class DisputeRow(SQLModel, table=True):
    """One dispute of a captured payment, under the gateway's own id. Amounts in paise."""

    __tablename__ = "disputes"
    __table_args__ = {"schema": "finance"}

    dispute_id: str = Field(primary_key=True, sa_type=Text)
    payment_id: str = Field(sa_type=Text, foreign_key="finance.payments.payment_id")
    user_id: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    phase: str = Field(sa_type=Text)
    """As the gateway has it: fraud, retrieval, chargeback, pre_arbitration, arbitration."""
    reason_code: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    lost: int = Field(default=0, sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    respond_by: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    approvals_due: int
    """How many people of finance have to agree before it is given up."""
    approvers: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    note_ids: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    opened_at: datetime = Field(sa_column=instant())
    ended_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    updated_at: datetime = Field(sa_column=instant())
    version: int = Field(default=1, sa_type=BigInteger)


class RefundTimeline(SQLModel, table=True):
    """Each state a refund went through, who brought it there and why."""

    __tablename__ = "refund_timeline"
    __table_args__ = {"schema": "finance"}

    refund_id: str = Field(primary_key=True, sa_type=Text, foreign_key="finance.refunds.refund_id")
    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    status: str = Field(sa_type=Text)
    at: datetime = Field(sa_column=instant())
    source: str = Field(sa_type=Text)
    """What brought it there: customer, support, finance, system, gateway, bank, dispute."""
    actor: str | None = Field(default=None, sa_type=Text)
    """The member of staff, where one did."""
    code: str | None = Field(default=None, sa_type=Text)
    note_id: str | None = Field(default=None, sa_type=Text)
    """What that person wrote."""
