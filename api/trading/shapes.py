"""Bodies of the trading calls, strict, and how rows are shown."""

from datetime import date as CalendarDay  # a field is named date
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.pretrade import (
    DEFAULT_MAX_DAILY_LOSS,
    DEFAULT_MAX_OPEN_POSITIONS,
    DEFAULT_MAX_ORDER_VALUE,
    DEFAULT_MAX_SYMBOL_EXPOSURE,
)
from domain.trading import BrokerName, Exchange, OrderType, Product, Side, Validity, Variety
from models.messages.trading import Modify, OrderTerms

Price = Annotated[Decimal, Field(gt=0, lt=10**9, max_digits=13, decimal_places=4)]
Quantity = Annotated[int, Field(gt=0, le=10**9, strict=True)]
Symbol = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[A-Z0-9&\-_ ]+$")]
Identifier = Annotated[str, Field(min_length=1, max_length=64)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ConnectBody(Body):
    broker: BrokerName


class CallbackBody(Body):
    request_token: str = Field(min_length=1, max_length=256)
    state: str = Field(min_length=1, max_length=256)


class OrderBody(Body):
    """A direct order is its own confirmation."""

    account_id: Identifier
    exchange: Exchange
    symbol: Symbol
    side: Side
    quantity: Quantity
    order_type: OrderType
    price: Price | None = None
    trigger_price: Price | None = None
    product: Product
    validity: Validity = Validity.DAY
    variety: Variety = Variety.REGULAR
    market_protection: Annotated[Decimal, Field(ge=-1, le=100)] | None = None
    disclosed_quantity: Quantity | None = None
    signal_id: Identifier | None = None

    def terms(self) -> OrderTerms:
        return OrderTerms(**self.model_dump(exclude={"account_id", "signal_id"}))


class ModifyBody(Body):
    quantity: Quantity | None = None
    price: Price | None = None
    trigger_price: Price | None = None
    order_type: OrderType | None = None
    validity: Validity | None = None

    def change(self) -> Modify:
        return Modify(**self.model_dump())


class DayBody(Body):
    date: CalendarDay | None = None
    """Today in India where it is missing."""


class SettingsBody(Body):
    """What is missing stays as it is. A limit of the customer's own may be below the firm's, never above."""

    session_reminders: Annotated[bool, Field(strict=True)] | None = None
    signal_order_value: Annotated[int, Field(ge=0, le=DEFAULT_MAX_ORDER_VALUE, strict=True)] | None = None
    """Paise. When a signal is published an order of at most so much waits for the customer's yes; 0: none."""
    mode: Literal["confirm"] | None = None
    max_order_value: Annotated[int, Field(gt=0, le=DEFAULT_MAX_ORDER_VALUE, strict=True)] | None = None
    max_symbol_exposure: Annotated[int, Field(gt=0, le=DEFAULT_MAX_SYMBOL_EXPOSURE, strict=True)] | None = (
        None
    )
    max_open_positions: Annotated[int, Field(gt=0, le=DEFAULT_MAX_OPEN_POSITIONS, strict=True)] | None = None
    max_daily_loss: Annotated[int, Field(gt=0, le=DEFAULT_MAX_DAILY_LOSS, strict=True)] | None = None


class EmptyBody(Body):
    pass


class KillSwitchBody(Body):
    flatten: bool = False


Decision = Literal["confirm", "decline"]


def instant(value: datetime | None) -> str | None:
    return value.isoformat().replace("+00:00", "Z") if value else None


def decimal(value: Decimal | None) -> str | None:
    """A market price as its decimal string, without an exponent or needless zeros."""
    if value is None:
        return None
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def order(row: dict[str, Any]) -> dict[str, Any]:
    """An order as the API gives it; `events` where they were read."""
    shown = {
        name: row[name]
        for name in (
            *("order_id", "account_id", "status", "reason_code", "exchange", "symbol", "side", "quantity"),
            *("order_type", "product", "validity", "variety", "disclosed_quantity", "signal_id"),
            *("filled_quantity", "broker_order_id", "adopted", "version"),
        )
    }
    shown |= {
        name: decimal(row[name]) for name in ("price", "trigger_price", "market_protection", "average_price")
    }
    shown |= {"created_at": instant(row["made_at"]), "updated_at": instant(row["changed_at"])}
    if "events" in row:
        shown |= {"events": row["events"], "slices": row["slices"], "exits": row["exits"]}
    return shown


def account(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "expires_at": instant(row["expires_at"]),
        "connected_at": instant(row["connected_at"]),
    }
