"""Tables of the Postgres schema `signals`. Prices in rupees (numeric); returns in percent."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.platform import instant

SCHEMA = {"schema": "signals"}


class SignalRunRow(SQLModel, table=True):
    """One run of a strategy: which candles it saw, what it found, how the same rule did before."""

    __tablename__ = "signal_runs"
    __table_args__ = SCHEMA

    run_id: str = Field(primary_key=True, sa_type=Text)
    requested_by: str = Field(sa_type=Text)
    strategy: str = Field(sa_type=Text)
    exchange: str = Field(sa_type=Text)
    symbol: str = Field(sa_type=Text)
    timeframe: str = Field(sa_type=Text)
    candle_source: str = Field(sa_type=Text)
    """Of `models.messages.signals.CandleSource`: the live exchange, a replay of real bars, or made up."""
    candle_count: int
    first_candle_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    last_candle_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    findings: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    backtest: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    reason_code: str | None = Field(default=None, sa_type=Text)
    """Why the run proposed nothing."""
    made_at: datetime = Field(sa_column=instant())
    watch_id: str | None = Field(default=None, sa_type=Text, foreign_key="signals.watches.watch_id")
    """Of what is on watch, where a schedule began the run; None where an analyst asked for it."""
    bar_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """When the bar closed that the run is for: one run a watch and bar."""


class WatchRow(SQLModel, table=True):
    """What an analyst has put on watch: a strategy that runs over an instrument after each bar."""

    __tablename__ = "watches"
    __table_args__ = SCHEMA

    watch_id: str = Field(primary_key=True, sa_type=Text)
    analyst_id: str = Field(sa_type=Text)
    strategy: str = Field(sa_type=Text)
    exchange: str = Field(sa_type=Text)
    symbol: str = Field(sa_type=Text)
    timeframe: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    put_on_at: datetime = Field(sa_column=instant())
    taken_off_by: str | None = Field(default=None, sa_type=Text)
    taken_off_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    last_bar_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    last_run_id: str | None = Field(default=None, sa_type=Text)
    last_outcome: str | None = Field(default=None, sa_type=Text)
    """What became of the newest bar's run, as a code."""
    version: int = Field(default=1, sa_type=BigInteger)


class TradingSignalRow(SQLModel, table=True):
    """A recommendation. Once published a trigger lets only its standing and its end be written."""

    __tablename__ = "trading_signals"
    __table_args__ = SCHEMA

    signal_id: str = Field(primary_key=True, sa_type=Text)
    run_id: str | None = Field(default=None, sa_type=Text, foreign_key="signals.signal_runs.run_id")
    source: str = Field(sa_type=Text)
    analyst_id: str = Field(sa_type=Text)
    exchange: str = Field(sa_type=Text)
    symbol: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    timeframe: str = Field(sa_type=Text)
    entry_price: Decimal = Field(sa_type=Numeric)
    target_price: Decimal | None = Field(default=None, sa_type=Numeric)
    stop_loss: Decimal | None = Field(default=None, sa_type=Numeric)
    confidence: int
    expires_at: datetime = Field(sa_column=instant())
    rationale_note: str = Field(sa_type=Text)
    disclosure_note: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    made_at: datetime = Field(sa_column=instant())
    registration_number: str | None = Field(default=None, sa_type=Text)
    published_by: str | None = Field(default=None, sa_type=Text)
    published_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    kept_until: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    seal: bytes | None = Field(default=None, sa_type=LargeBinary)
    """The API's signed word of who published it, over the digest of terms, rationale and disclosure."""
    actual_entry: Decimal | None = Field(default=None, sa_type=Numeric)
    """The first market price seen after publication: what a reader could have had."""
    entered_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    actual_exit: Decimal | None = Field(default=None, sa_type=Numeric)
    closed_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    return_percent: Decimal | None = Field(default=None, sa_type=Numeric)
    withdrawal_note: str | None = Field(default=None, sa_type=Text)
    ai_used: bool = False
    published_price: Decimal | None = Field(default=None, sa_type=Numeric)
    """The market's at publication; None where the house could not see it."""
    published_price_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    version: int = Field(default=1, sa_type=BigInteger)


class DecisionRow(SQLModel, table=True):
    """A customer's own recorded yes or no to a signal."""

    __tablename__ = "decisions"
    __table_args__ = SCHEMA

    decision_id: str = Field(primary_key=True, sa_type=Text)
    signal_id: str = Field(sa_type=Text, foreign_key="signals.trading_signals.signal_id")
    user_id: str = Field(sa_type=Text)
    account_id: str = Field(sa_type=Text)
    decision: str = Field(sa_type=Text)
    order_id: str | None = Field(default=None, sa_type=Text)
    quantity: int | None = Field(default=None, sa_type=BigInteger)
    made_at: datetime = Field(sa_column=instant())


class DeliveryRow(SQLModel, table=True):
    """A signal shown to someone with a daily allowance; `delivered_on` is a day in Asia/Kolkata."""

    __tablename__ = "deliveries"
    __table_args__ = SCHEMA

    user_id: str = Field(primary_key=True, sa_type=Text)
    signal_id: str = Field(primary_key=True, sa_type=Text, foreign_key="signals.trading_signals.signal_id")
    delivered_on: date
    delivered_at: datetime = Field(sa_column=instant())


class MarketSessionRow(SQLModel, table=True):
    """The house's own session at the broker, for market data only; the token sealed by the firm's key."""

    __tablename__ = "market_sessions"
    __table_args__ = SCHEMA

    session_id: str = Field(primary_key=True, sa_type=Text)
    opened_by: str = Field(sa_type=Text)
    access_token: bytes = Field(sa_type=LargeBinary)
    opened_at: datetime = Field(sa_column=instant())
    expires_at: datetime = Field(sa_column=instant())
    ended_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
