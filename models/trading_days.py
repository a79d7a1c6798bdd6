"""Tables of the Postgres schema `trading`: the day compared with the broker. Money in paise (bigint)."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Numeric, Text
from sqlmodel import Field, SQLModel

from models.platform import instant

SCHEMA = {"schema": "trading"}


class BrokerDayRow(SQLModel, table=True):
    """One account's trading day, compared with the broker's book."""

    __tablename__ = "broker_days"
    __table_args__ = SCHEMA

    account_id: str = Field(primary_key=True, sa_type=Text, foreign_key="trading.accounts.account_id")
    day: date = Field(primary_key=True)
    status: str = Field(sa_type=Text)
    orders: int = 0
    trades: int = 0
    elsewhere: int = 0
    """Trades of orders that were not ours."""
    positions: int = 0
    read_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """By the broker's clock."""
    version: int = Field(default=1, sa_type=BigInteger)


class BrokerBreakRow(SQLModel, table=True):
    """One difference between the day's book and the broker's."""

    __tablename__ = "broker_breaks"
    __table_args__ = SCHEMA

    break_id: str = Field(primary_key=True, sa_type=Text)
    account_id: str = Field(sa_type=Text)
    day: date
    kind: str = Field(sa_type=Text)
    reference: str = Field(sa_type=Text)
    ours: str = Field(sa_type=Text)
    theirs: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    resolution: str | None = Field(default=None, sa_type=Text)
    note_id: str | None = Field(default=None, sa_type=Text)
    decided_by: str | None = Field(default=None, sa_type=Text)
    opened_at: datetime = Field(sa_column=instant())
    resolved_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    version: int = Field(default=1, sa_type=BigInteger)


class DayPositionRow(SQLModel, table=True):
    """The broker's own position as last read on a day; prices in rupees."""

    __tablename__ = "day_positions"
    __table_args__ = SCHEMA

    account_id: str = Field(primary_key=True, sa_type=Text)
    day: date = Field(primary_key=True)
    exchange: str = Field(primary_key=True, sa_type=Text)
    symbol: str = Field(primary_key=True, sa_type=Text)
    product: str = Field(primary_key=True, sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    average_price: Decimal = Field(sa_type=Numeric)
    last_price: Decimal = Field(sa_type=Numeric)


class ChargeRow(SQLModel, table=True):
    """What the broker and the state took for one order of a day, by the broker's calculation."""

    __tablename__ = "charges"
    __table_args__ = SCHEMA

    account_id: str = Field(primary_key=True, sa_type=Text, foreign_key="trading.accounts.account_id")
    day: date = Field(primary_key=True)
    broker_order_id: str = Field(primary_key=True, sa_type=Text)
    exchange: str = Field(sa_type=Text)
    symbol: str = Field(sa_type=Text)
    product: str = Field(sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    brokerage: int = Field(sa_type=BigInteger)
    transaction_tax: int = Field(sa_type=BigInteger)
    exchange_fee: int = Field(sa_type=BigInteger)
    regulator_fee: int = Field(sa_type=BigInteger)
    stamp_duty: int = Field(sa_type=BigInteger)
    gst: int = Field(sa_type=BigInteger)
    total: int = Field(sa_type=BigInteger)


class HoldingRow(SQLModel, table=True):
    """Delivered shares as the broker last showed them."""

    __tablename__ = "holdings"
    __table_args__ = SCHEMA

    account_id: str = Field(primary_key=True, sa_type=Text, foreign_key="trading.accounts.account_id")
    exchange: str = Field(primary_key=True, sa_type=Text)
    symbol: str = Field(primary_key=True, sa_type=Text)
    product: str = Field(primary_key=True, sa_type=Text)
    isin: str = Field(sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    unsettled: int = Field(sa_type=BigInteger)
    average_price: Decimal = Field(sa_type=Numeric)
    last_price: Decimal = Field(sa_type=Numeric)
    read_at: datetime = Field(sa_column=instant())
