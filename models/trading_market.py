"""Tables of the schema `trading` that hold the market as brokers tell it, and how they may be asked."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Numeric, SmallInteger, Text
from sqlmodel import Field, SQLModel

from models.platform import instant
from models.trading import SCHEMA


class InstrumentRow(SQLModel, table=True):
    """The broker's daily list of instruments, newest day only."""

    __tablename__ = "instruments"
    __table_args__ = SCHEMA

    broker: str = Field(primary_key=True, sa_type=Text)
    exchange: str = Field(primary_key=True, sa_type=Text)
    symbol: str = Field(primary_key=True, sa_type=Text)
    listed_on: date
    token: int = Field(sa_type=BigInteger)
    segment: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    underlying: str = Field(sa_type=Text)
    tick: Decimal = Field(sa_type=Numeric)
    lot: int
    expiry: date | None = None


class QuoteRow(SQLModel, table=True):
    """The last quote read from a broker; `quoted_at` by the broker's clock, `read_at` by the record's."""

    __tablename__ = "quotes"
    __table_args__ = SCHEMA

    broker: str = Field(primary_key=True, sa_type=Text)
    exchange: str = Field(primary_key=True, sa_type=Text)
    symbol: str = Field(primary_key=True, sa_type=Text)
    last_price: Decimal = Field(sa_type=Numeric)
    close: Decimal | None = Field(default=None, sa_type=Numeric)
    lower_limit: Decimal | None = Field(default=None, sa_type=Numeric)
    upper_limit: Decimal | None = Field(default=None, sa_type=Numeric)
    quoted_at: datetime = Field(sa_column=instant())
    read_at: datetime = Field(sa_column=instant())


class LastPriceRow(SQLModel, table=True):
    """The market as last seen by anybody's session: what the paper broker trades on."""

    __tablename__ = "last_prices"
    __table_args__ = SCHEMA

    exchange: str = Field(primary_key=True, sa_type=Text)
    symbol: str = Field(primary_key=True, sa_type=Text)
    last_price: Decimal = Field(sa_type=Numeric)
    quoted_at: datetime = Field(sa_column=instant())
    read_at: datetime = Field(sa_column=instant())


class PaceRow(SQLModel, table=True):
    """Order calls of an account: in the day of the broker's clock, and of the minute that slides."""

    __tablename__ = "pace"
    __table_args__ = SCHEMA

    account_id: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(primary_key=True, sa_type=Text)
    starts_at: datetime = Field(sa_column=instant())
    used: int
    recent: list[datetime] = Field(sa_column=Column(ARRAY(DateTime(timezone=True)), nullable=False))
    """When the last calls left, by the record's clock."""
    verdict: str = Field(default="granted", sa_type=Text)


class BrokerHealthRow(SQLModel, table=True):
    """Whether a broker answers: one row that every worker reads before it asks."""

    __tablename__ = "broker_health"
    __table_args__ = SCHEMA

    broker: str = Field(primary_key=True, sa_type=Text)
    failures: int = 0
    openings: int = 0
    open_until: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    probe_until: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    changed_at: datetime = Field(sa_column=instant())


class ReadTurnRow(SQLModel, table=True):
    """One of an account's quotes or history calls in a second; `holder` has it until `free_at`."""

    __tablename__ = "read_turns"
    __table_args__ = SCHEMA

    account_id: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(primary_key=True, sa_type=Text)
    turn: int = Field(primary_key=True, sa_type=SmallInteger)
    holder: str | None = Field(default=None, sa_type=Text)
    free_at: datetime = Field(sa_column=instant())
