"""What a broker answers, in one vocabulary. Prices in rupees."""

from datetime import date, datetime
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel

from domain.trading import BrokerStatus, Side
from models.messages.trading import OrderTerms


class BrokerOrder(BaseModel):
    """An order as the broker's book shows it."""

    broker_order_id: str
    status: BrokerStatus
    tag: str | None = None
    quantity: int
    filled_quantity: int
    average_price: Decimal
    reason_code: str | None = None
    updated_at: datetime | None = None
    terms: OrderTerms | None = None
    """What it trades, where the whole book was read; None for what this platform does not trade in."""


class BrokerTrade(BaseModel):
    """One execution. `traded_at` is the exchange's time."""

    trade_id: str
    broker_order_id: str
    exchange: str
    symbol: str
    product: str
    side: Side
    quantity: int
    price: Decimal
    traded_at: AwareDatetime


class Instrument(BaseModel):
    """One line of the broker's daily list of instruments."""

    exchange: str
    symbol: str
    token: int
    segment: str
    kind: str
    underlying: str
    tick: Decimal
    lot: int
    expiry: date | None = None


class MarketQuote(BaseModel):
    """Last price and the day's limits, in rupees; a limit of None is not known."""

    exchange: str
    symbol: str
    last_price: Decimal
    close: Decimal | None = None
    lower_limit: Decimal | None = None
    upper_limit: Decimal | None = None


class MarginAnswer(BaseModel):
    """The broker's own calculation for one order, in rupees."""

    required: Decimal
    available: Decimal


class Grant(BaseModel):
    """What a completed login gives. `holder` is a name: it stays inside the activity."""

    broker_user_id: str
    holder: str
    access_token: str
