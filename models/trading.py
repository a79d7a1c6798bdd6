"""Tables of the Postgres schema `trading`. Prices in rupees (numeric), money in paise (bigint)."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Identity,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.platform import instant

SCHEMA = {"schema": "trading"}


class AccountRow(SQLModel, table=True):
    """A customer's account at a broker. The token and the broker's user id are sealed for the person."""

    __tablename__ = "accounts"
    __table_args__ = SCHEMA

    account_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    broker: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    broker_user_index: bytes | None = Field(default=None, sa_type=LargeBinary)
    broker_user: bytes | None = Field(default=None, sa_type=LargeBinary)
    access_token: bytes | None = Field(default=None, sa_type=LargeBinary)
    session_began_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    session_expires_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    connected_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    mode: str = Field(default="confirm", sa_type=Text)
    blocked_by: str | None = Field(default=None, sa_type=Text)
    """The kill switch that lets no order through."""
    max_order_value: int | None = Field(default=None, sa_type=BigInteger)
    max_symbol_exposure: int | None = Field(default=None, sa_type=BigInteger)
    max_open_positions: int | None = None
    max_daily_loss: int | None = Field(default=None, sa_type=BigInteger)
    algo_provider: str | None = Field(default=None, sa_type=Text)
    """The empanelled provider that routes an account's orders which leave unasked."""
    signal_order_value: int = Field(default=0, sa_type=BigInteger)
    """Paise: of at most so much an order is prepared when a signal is published; 0: none."""
    session_reminders: bool = False
    """Whether the customer wants to be reminded of the login before every opening."""
    made_at: datetime = Field(sa_column=instant())
    version: int = Field(default=1, sa_type=BigInteger)


class LoginRow(SQLModel, table=True):
    """One login that a customer began; only a blind index of its one-time state is kept."""

    __tablename__ = "logins"
    __table_args__ = SCHEMA

    login_id: str = Field(primary_key=True, sa_type=Text)
    state_index: bytes = Field(sa_type=LargeBinary, unique=True)
    account_id: str = Field(sa_type=Text, foreign_key="trading.accounts.account_id")
    user_id: str = Field(sa_type=Text)
    process: str = Field(sa_type=Text)
    made_at: datetime = Field(sa_column=instant())
    expires_at: datetime = Field(sa_column=instant())
    used_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class OrderRow(SQLModel, table=True):
    """An order as the customer sees it: its terms and where it stands."""

    __tablename__ = "orders"
    __table_args__ = SCHEMA

    order_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    account_id: str = Field(sa_type=Text, foreign_key="trading.accounts.account_id")
    exchange: str = Field(sa_type=Text)
    symbol: str = Field(sa_type=Text)
    side: str = Field(sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    order_type: str = Field(sa_type=Text)
    price: Decimal | None = Field(default=None, sa_type=Numeric)
    trigger_price: Decimal | None = Field(default=None, sa_type=Numeric)
    product: str = Field(sa_type=Text)
    validity: str = Field(sa_type=Text)
    variety: str = Field(sa_type=Text)
    market_protection: Decimal | None = Field(default=None, sa_type=Numeric)
    disclosed_quantity: int | None = Field(default=None, sa_type=BigInteger)
    signal_id: str | None = Field(default=None, sa_type=Text)
    flattens: str | None = Field(default=None, sa_type=Text)
    """The kill switch that closes a position by this order."""
    status: str = Field(sa_type=Text)
    reason_code: str | None = Field(default=None, sa_type=Text)
    broker_order_id: str | None = Field(default=None, sa_type=Text)
    filled_quantity: int = Field(default=0, sa_type=BigInteger)
    average_price: Decimal = Field(default=Decimal(0), sa_type=Numeric)
    order_value: int | None = Field(default=None, sa_type=BigInteger)
    """What it was worth when it was checked, in paise."""
    modifications: int = 0
    legs: int = 1
    """Slices that it leaves in; above one they are rows of `order_legs`."""
    adopted: bool = False
    """Made elsewhere, at the broker itself, and followed by us."""
    trading_day: date | None = None
    confirmed_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """When the customer's own yes was recorded."""
    made_at: datetime = Field(sa_column=instant())
    changed_at: datetime = Field(sa_column=instant())
    version: int = Field(default=1, sa_type=BigInteger)


class OrderEventRow(SQLModel, table=True):
    """One step of an order, append-only."""

    __tablename__ = "order_events"
    __table_args__ = SCHEMA

    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    order_id: str = Field(sa_type=Text, foreign_key="trading.orders.order_id")
    type: str = Field(sa_type=Text)
    reason_code: str | None = Field(default=None, sa_type=Text)
    filled_quantity: int | None = Field(default=None, sa_type=BigInteger)
    at: datetime = Field(sa_column=instant())


class AttemptRow(SQLModel, table=True):
    """One attempt to send one leg of an order; see `domain.trading.AttemptStatus`."""

    __tablename__ = "order_attempts"
    __table_args__ = SCHEMA

    order_id: str = Field(primary_key=True, sa_type=Text, foreign_key="trading.orders.order_id")
    leg: int = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    tag: str = Field(sa_type=Text, unique=True)
    status: str = Field(sa_type=Text)
    broker_order_id: str | None = Field(default=None, sa_type=Text)
    reason_code: str | None = Field(default=None, sa_type=Text)
    sending_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    sent_on: date | None = None
    """The broker's trading day."""
    server_started_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """When the Postgres server that holds the sender's lock was started."""
    looks: int = 0


class LegRow(SQLModel, table=True):
    """One slice of an order above the freeze quantity; see `domain.slices.LegStatus`."""

    __tablename__ = "order_legs"
    __table_args__ = SCHEMA

    order_id: str = Field(primary_key=True, sa_type=Text, foreign_key="trading.orders.order_id")
    leg: int = Field(primary_key=True)
    quantity: int = Field(sa_type=BigInteger)
    status: str = Field(default="waiting", sa_type=Text)
    broker_order_id: str | None = Field(default=None, sa_type=Text)
    filled_quantity: int = Field(default=0, sa_type=BigInteger)
    average_price: Decimal = Field(default=Decimal(0), sa_type=Numeric)
    reason_code: str | None = Field(default=None, sa_type=Text)


class TradeRow(SQLModel, table=True):
    """One execution, append-only: what positions are made of."""

    __tablename__ = "trades"
    __table_args__ = (UniqueConstraint("account_id", "trading_day", "exchange", "trade_id"), SCHEMA)

    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    account_id: str = Field(sa_type=Text, foreign_key="trading.accounts.account_id")
    trading_day: date
    trade_id: str = Field(sa_type=Text)
    order_id: str | None = Field(default=None, sa_type=Text, foreign_key="trading.orders.order_id")
    broker_order_id: str = Field(sa_type=Text)
    exchange: str = Field(sa_type=Text)
    symbol: str = Field(sa_type=Text)
    product: str = Field(sa_type=Text)
    side: str = Field(sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    price: Decimal = Field(sa_type=Numeric)
    traded_at: datetime = Field(sa_column=instant())
    kind: str = Field(default="fill", sa_type=Text)


class PositionRow(SQLModel, table=True):
    """The fold of an account's trades in one instrument and product; `cost` and `realised` in paise."""

    __tablename__ = "positions"
    __table_args__ = SCHEMA

    account_id: str = Field(primary_key=True, sa_type=Text, foreign_key="trading.accounts.account_id")
    exchange: str = Field(primary_key=True, sa_type=Text)
    symbol: str = Field(primary_key=True, sa_type=Text)
    product: str = Field(primary_key=True, sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    cost: int = Field(sa_type=BigInteger)
    realised: int = Field(sa_type=BigInteger)
    last_traded_at: datetime = Field(sa_column=instant())
    last_trade_id: str = Field(sa_type=Text)
    day: date
    """Of the last trade."""
    realised_before: int = Field(sa_type=BigInteger)
    """What had been realised before that day, in paise."""
    version: int = Field(default=1, sa_type=BigInteger)


class ExitRow(SQLModel, table=True):
    """Target and stop of a signal's order, kept at the broker until one of them is really filled."""

    __tablename__ = "exits"
    __table_args__ = SCHEMA

    order_id: str = Field(primary_key=True, sa_type=Text, foreign_key="trading.orders.order_id")
    account_id: str = Field(sa_type=Text, foreign_key="trading.accounts.account_id")
    user_id: str = Field(sa_type=Text)
    exchange: str = Field(sa_type=Text)
    symbol: str = Field(sa_type=Text)
    product: str = Field(sa_type=Text)
    side: str = Field(sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    target_price: Decimal = Field(sa_type=Numeric)
    stop_price: Decimal = Field(sa_type=Numeric)
    status: str = Field(sa_type=Text)
    attempt: int = 1
    trigger_id: str | None = Field(default=None, sa_type=Text)
    known_triggers: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """Every trigger at the broker that this exit was ever known by."""
    broker_order_id: str | None = Field(default=None, sa_type=Text)
    reason_code: str | None = Field(default=None, sa_type=Text)
    sending_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    sent_on: date | None = None
    server_started_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    looks: int = 0
    filled_quantity: int = Field(default=0, sa_type=BigInteger)
    changed_at: datetime = Field(sa_column=instant())
    version: int = Field(default=1, sa_type=BigInteger)


class KillSwitchRow(SQLModel, table=True):
    """A customer's emergency stop of one account."""

    __tablename__ = "kill_switches"
    __table_args__ = SCHEMA

    kill_switch_id: str = Field(primary_key=True, sa_type=Text)
    account_id: str = Field(sa_type=Text, foreign_key="trading.accounts.account_id")
    user_id: str = Field(sa_type=Text)
    flatten: bool
    status: str = Field(sa_type=Text)
    report: dict | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    made_at: datetime = Field(sa_column=instant())
    lifted_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    signed_report: str | None = Field(default=None, sa_type=Text)
    """The final report as a compact JWS."""
    version: int = Field(default=1, sa_type=BigInteger)


class PaperOrderRow(SQLModel, table=True):
    """The book of the paper broker: a stand-in for a broker's own record, read only through its protocol."""

    __tablename__ = "paper_orders"
    __table_args__ = SCHEMA

    broker_order_id: str = Field(primary_key=True, sa_type=Text)
    account_id: str = Field(sa_type=Text, foreign_key="trading.accounts.account_id")
    tag: str = Field(sa_type=Text, unique=True)
    trading_day: date
    exchange: str = Field(sa_type=Text)
    symbol: str = Field(sa_type=Text)
    side: str = Field(sa_type=Text)
    product: str = Field(sa_type=Text)
    order_type: str = Field(sa_type=Text)
    validity: str = Field(sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    price: Decimal | None = Field(default=None, sa_type=Numeric)
    trigger_price: Decimal | None = Field(default=None, sa_type=Numeric)
    triggered: bool = False
    rests: bool = False
    status: str = Field(sa_type=Text)
    filled_quantity: int = Field(default=0, sa_type=BigInteger)
    fill_price: Decimal | None = Field(default=None, sa_type=Numeric)
    reason_code: str | None = Field(default=None, sa_type=Text)
    updated_at: datetime = Field(sa_column=instant())


class PaperTriggerRow(SQLModel, table=True):
    """A trigger of two legs at the paper broker; `broker_order_id`: the order that it fired."""

    __tablename__ = "paper_triggers"
    __table_args__ = SCHEMA

    trigger_id: int = Field(primary_key=True, sa_type=BigInteger)
    account_id: str = Field(sa_type=Text, foreign_key="trading.accounts.account_id")
    exchange: str = Field(sa_type=Text)
    symbol: str = Field(sa_type=Text)
    product: str = Field(sa_type=Text)
    side: str = Field(sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    lower_level: Decimal = Field(sa_type=Numeric)
    lower_price: Decimal = Field(sa_type=Numeric)
    upper_level: Decimal = Field(sa_type=Numeric)
    upper_price: Decimal = Field(sa_type=Numeric)
    status: str = Field(sa_type=Text)
    fired_price: Decimal | None = Field(default=None, sa_type=Numeric)
    broker_order_id: str | None = Field(default=None, sa_type=Text)
    placed_at: datetime = Field(sa_column=instant())
    updated_at: datetime = Field(sa_column=instant())
    expires_at: datetime = Field(sa_column=instant())
