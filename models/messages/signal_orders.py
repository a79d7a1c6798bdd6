"""What an order is that answers a signal, and the messages of those that are prepared at its publication."""

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel

from domain.trading import DELIVERING
from models.messages.trading import OrderTerms, SignalOrigin


class SignalOrdersInput(BaseModel):
    """Starts SignalOrders; `after` an account where an earlier run has come to."""

    signal_id: str
    after: str = ""
    prepared: int = 0


class PreparePage(BaseModel):
    """Prepare the orders of the next accounts."""

    signal_id: str
    after: str
    as_of: AwareDatetime


class Prepared(BaseModel):
    """`orders` that stand now; `after`: the last account of the page, None where no more follow."""

    orders: int
    after: str | None


SIDES = {"buy": "BUY", "sell": "SELL", "exit": "SELL"}
"""What an order does that answers a signal's action."""


def side_of(signal: Mapping[str, Any]) -> str | None:
    """The side of an order that answers the signal; None where there is nothing to order."""
    return SIDES.get(signal["action"])


def signal_terms(exchange: str, symbol: str, action: str, quantity: int, origin: SignalOrigin) -> OrderTerms:
    """The order that answers a signal: a day's limit order at the price that the signal named.

    Raises:
        ValueError: the signal says hold; there is nothing to order.
    """
    if action not in SIDES:
        raise ValueError("a signal to hold has no order")
    return OrderTerms.model_validate(
        {
            "exchange": exchange,
            "symbol": symbol,
            "side": SIDES[action],
            "quantity": quantity,
            "order_type": "LIMIT",
            "price": origin.entry_price,
            "product": "CNC" if exchange in DELIVERING else "NRML",
        }
    )
