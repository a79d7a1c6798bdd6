"""What the process of a signal order's target and stop takes and gives. Prices in rupees."""

from decimal import Decimal

from pydantic import AwareDatetime, BaseModel

from domain.exits import ExitStatus
from domain.trading import Side


class ExitInput(BaseModel):
    """Starts the ExitOrders process of an order that opened a position."""

    order_id: str
    user_id: str
    account_id: str
    exchange: str
    symbol: str
    product: str
    side: Side
    """Of the order that closes."""
    quantity: int
    target_price: Decimal
    stop_price: Decimal


class OpenExit(BaseModel):
    exit: ExitInput
    as_of: AwareDatetime


class WorkExit(BaseModel):
    """One step of an exit; `attempt` as the process counts them."""

    order_id: str
    account_id: str
    attempt: int
    as_of: AwareDatetime


class ExitStanding(BaseModel):
    """Where the record says an exit stands after a step; `pause_seconds` before the next one, where the step
    knows."""

    status: ExitStatus
    attempt: int
    trigger_id: str | None = None
    broker_order_id: str | None = None
    reason_code: str | None = None
    pause_seconds: float = 0.0
    version: int


class BrokerTrigger(BaseModel):
    """A trigger as the broker's book shows it. `orders`: limit prices of its legs, in the order of `levels`;
    `fired`: the broker's id of the order that it sent, None before or where that was refused."""

    trigger_id: str
    status: str
    exchange: str
    symbol: str
    side: Side
    levels: tuple[Decimal, ...]
    prices: tuple[Decimal, ...]
    quantity: int
    fired: str | None = None
