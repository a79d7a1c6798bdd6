"""Tables of the schema `finance`: what monitoring saw of payments."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Column, Identity, Numeric, Text
from sqlmodel import Field, SQLModel

from models.platform import instant


class PaymentAlert(SQLModel, table=True):
    """One flag on one payment, opened or refused; for compliance alone."""

    __tablename__ = "payment_alerts"
    __table_args__ = {"schema": "finance"}

    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    payment_id: str = Field(sa_type=Text)
    user_id: str = Field(sa_type=Text)
    flag: str = Field(sa_type=Text)
    effect: str = Field(sa_type=Text)
    stage: str = Field(sa_type=Text)
    """`create` or `capture`."""
    measured: Decimal = Field(sa_type=Numeric)
    """Paise, payments or points, as `allowed`."""
    allowed: Decimal = Field(sa_type=Numeric)
    raised_at: datetime = Field(sa_column=instant())
    escalated_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    decision: str | None = Field(default=None, sa_type=Text)
    decided_by: str | None = Field(default=None, sa_type=Text)
    note_id: str | None = Field(default=None, sa_type=Text)
    decided_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
