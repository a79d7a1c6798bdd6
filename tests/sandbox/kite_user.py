"""A signed-in customer of the sandbox's broker, with the official client."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kiteconnect import KiteConnect

if TYPE_CHECKING:
    from tests.sandbox.conftest import Sandbox

TRADING_MORNING = "2026-11-23T10:00:00+05:30"


class KiteUser:
    """A customer on a trading day at 10:00 IST; `client` is the official client, signed in."""

    def __init__(self, sandbox: "Sandbox", user_id: str = "AB1234", now: str = TRADING_MORNING) -> None:
        self.sandbox = sandbox
        self.user_id = user_id
        if now:
            sandbox.control("POST", "/clock", {"now": now, "run": True})
        self.client = self.login()

    def login(self) -> KiteConnect:
        """A client with a session of its own (which ends the earlier one)."""
        keys = self.sandbox.credentials["kite"]
        client = KiteConnect(keys["api_key"], root=f"{self.sandbox.base_url}/kite")
        self.session = client.generate_session(self.request_token(), keys["api_secret"])
        return client

    def request_token(self) -> str:
        """What Kite's login page would hand to the app."""
        keys = self.sandbox.credentials["kite"]
        body = {"api_key": keys["api_key"], "user_id": self.user_id, "name": "Asha Rao"}
        return str(self.sandbox.control("POST", "/kite/login", body)["request_token"])

    def place(self, **different: Any) -> str:
        """Places an order for RELIANCE that differs from a plain limit buy only in what is given."""
        order = {
            "variety": "regular", "exchange": "NSE", "tradingsymbol": "RELIANCE", "transaction_type": "BUY",
            "quantity": 1, "product": "CNC", "order_type": "LIMIT", "price": 1400,
        }  # fmt: skip
        return str(self.client.place_order(**{**order, **different}))

    def buy(self, quantity: int, price: float, **different: Any) -> str:
        """A limit order to buy RELIANCE."""
        return self.place(quantity=quantity, price=price, **different)

    def market(self, symbol: str = "RELIANCE", **change: Any) -> None:
        """Moves the market."""
        self.sandbox.control("POST", "/kite/market", {"symbol": symbol, **change})

    def fill(self, order_id: str, quantity: int) -> None:
        """Fills so much of an order."""
        self.sandbox.control("POST", "/kite/fill", {"order_id": order_id, "quantity": quantity})

    def order(self, order_id: str) -> dict[str, Any]:
        """The order's last state."""
        last: dict[str, Any] = self.client.order_history(order_id)[-1]
        return last

    def wait_for(self, found: Callable[[], list[Any]], seconds: float = 10) -> list[Any]:
        """What `found` answers once it is not empty; raises AssertionError when `seconds` are over."""
        deadline = time.monotonic() + seconds
        while not (items := found()):
            assert time.monotonic() < deadline, "it did not come"
            time.sleep(0.02)
        return items

    def wait(self, order_id: str, status: str, seconds: float = 10) -> dict[str, Any]:
        """The order once it has that status; raises AssertionError when `seconds` are over."""
        deadline = time.monotonic() + seconds
        while (order := self.order(order_id))["status"] != status:
            assert time.monotonic() < deadline, f"{order['status']}: {order['status_message']}"
            time.sleep(0.02)
        return order


def statuses(history: list[dict[str, Any]]) -> list[str]:
    """The states of a history, in order."""
    return [line["status"] for line in history]
