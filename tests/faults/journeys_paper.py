"""The way of a paper order's target and stop: another's session reads the price that fires it."""

from time import monotonic, sleep
from typing import Any

from cli.demo.stage import Person, Stage, promise
from tests.faults import journeys, journeys_orders

SYMBOL, ENTRY, TARGET, STOP = "SBIN", 880.0, 900.0, 860.0
"""A share that no other journey trades in: its price is moved here."""


def paper(stage: Stage) -> None:
    """An order of a paper account on a signal; a real customer's order has the market read at the target."""
    stage.control("kite/market", symbol=SYMBOL, price=ENTRY, manual=False)
    analyst = stage.staff("analyst")
    draft = {
        **journeys_orders.draft(),
        **{"symbol": SYMBOL, "entry_price": f"{ENTRY:.2f}"},
        **{"target_price": f"{TARGET:.2f}", "stop_loss": f"{STOP:.2f}"},
    }
    signal = str(stage.call("POST", "/signals", analyst, expect=201, json=draft)["signal_id"])
    stage.call("POST", f"/signals/{signal}/publish", analyst, json={})
    reader = journeys.verified(stage)
    real = journeys.connected(stage, reader)
    bought(stage, reader, real, ENTRY)
    person = journeys.verified(stage)
    connect = {"broker": "paper"}
    answer = stage.call("POST", "/trading/exchanges/connect", person, expect=201, json=connect)
    account = str(answer["account_id"])
    order = bought(stage, person, account, ENTRY, signal_id=signal)
    journeys_orders.exits(stage, person, order, "active")
    stage.control("kite/market", symbol=SYMBOL, price=TARGET)
    deadline = monotonic() + journeys_orders.SECONDS
    while stage.call("GET", f"/trading/orders/{order}", person)["exits"]["status"] == "active":
        # A quote of less than five seconds ago is not read again: somebody trades until it is.
        promise(monotonic() < deadline, "the paper trigger did not fire at its target")
        bought(stage, reader, real, TARGET)
        sleep(1.0)
    journeys_orders.exits(stage, person, order, "filled")

    def sold(seen: dict[str, Any]) -> bool:
        return [each["quantity"] for each in seen["items"] if each["account_id"] == account] in ([], [0])

    journeys_orders.until(stage, "/trading/positions", person, sold, "the paper position is closed, once")


def bought(stage: Stage, person: Person, account: str, price: float, **more: Any) -> str:
    terms = {
        "account_id": account, "exchange": "NSE", "symbol": SYMBOL, "side": "BUY", "quantity": 2,
        "order_type": "LIMIT", "price": f"{price:.2f}", "product": "CNC", **more,
    }  # fmt: skip
    order = str(stage.call("POST", "/trading/orders", person, expect=201, json=terms)["order_id"])
    journeys.waits(stage, person, order, "filled")
    return order


journeys.JOURNEYS |= {paper.__name__: paper}
