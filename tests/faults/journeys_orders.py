"""Ways through an order made elsewhere, and through the target and stop of one that answered a signal."""

from time import monotonic, sleep
from typing import Any

from cli.demo.stage import BrokenPromise, Person, Stage
from tests.faults import journeys

SECONDS = 120.0
SYMBOL, ENTRY, TARGET, STOP = "ICICIBANK", 1380.0, 1400.0, 1360.0
"""A share that no other journey trades in: its price is moved here."""


def elsewhere(stage: Stage) -> None:
    """An order that the customer makes in the broker's own app: followed as ours are."""
    person = journeys.verified(stage)
    account = journeys.connected(stage, person)
    wanted = {
        "exchange": "NSE", "tradingsymbol": "NIFTYBEES", "transaction_type": "BUY", "quantity": 3,
        "order_type": "LIMIT", "price": 280, "product": "CNC",
    }  # fmt: skip
    stage.control("kite/order", user_id=person.broker_user, **wanted)

    def held(seen: dict[str, Any]) -> bool:
        mine = [each for each in seen["items"] if each["account_id"] == account]
        return [each["quantity"] for each in mine] == [3]

    until(stage, "/trading/positions", person, held, "an order made elsewhere is in the position")


def kept(stage: Stage) -> None:
    """An order on a signal; its target is touched and filled."""
    _acted(stage)


def lost_trigger(stage: Stage) -> None:
    """The same, where the broker's answer to the trigger is lost: found in its book."""
    _acted(stage, "timeout_after")


def prepared(stage: Stage) -> None:
    """Who wants an order of each signal finds it there, once, and says yes."""
    person = journeys.verified(stage)
    journeys.subscribed(stage, person)
    account = journeys.connected(stage, person)
    stage.call("PUT", f"/trading/accounts/{account}", person, json={"signal_order_value": 3_000_00})
    signal = published(stage)

    def ready(seen: dict[str, Any]) -> list[str]:
        return [
            each["order_id"]
            for each in seen["items"]
            if (each["status"], each["signal_id"]) == ("awaiting_confirmation", signal)
        ]

    until(stage, "/trading/orders", person, ready, "an order waits for its customer's yes")
    (order,) = ready(stage.call("GET", "/trading/orders", person))
    stage.call("POST", f"/trading/orders/{order}/confirm", person, json={})
    journeys.waits(stage, person, order, "filled")
    # Other journeys publish signals too.
    stage.call("PUT", f"/trading/accounts/{account}", person, json={"signal_order_value": 0})


def published(stage: Stage) -> str:
    """A signal on the share, which stands at its entry price."""
    stage.control("kite/market", symbol=SYMBOL, price=ENTRY, manual=False)
    analyst = stage.staff("analyst")
    signal = str(stage.call("POST", "/signals", analyst, expect=201, json=draft())["signal_id"])
    stage.call("POST", f"/signals/{signal}/publish", analyst, json={})
    return signal


def _acted(stage: Stage, fault: str = "") -> None:
    signal = published(stage)
    person = journeys.verified(stage)
    account = journeys.connected(stage, person)
    if fault:
        # By its method: others read triggers at the same time.
        match = "POST /kite/gtt/triggers"
        stage.control("faults", target="kite", match=match, fault=fault, times=1, seconds=0.1)
    terms = {
        "account_id": account, "exchange": "NSE", "symbol": SYMBOL, "side": "BUY", "quantity": 2,
        "order_type": "LIMIT", "price": f"{ENTRY:.2f}", "product": "CNC", "signal_id": signal,
    }  # fmt: skip
    order = str(stage.call("POST", "/trading/orders", person, expect=201, json=terms)["order_id"])
    journeys.waits(stage, person, order, "filled")
    exits(stage, person, order, "active")
    stage.control("kite/market", symbol=SYMBOL, price=TARGET)
    exits(stage, person, order, "filled")


def exits(stage: Stage, person: Person, order: str, status: str) -> None:
    def reached(seen: dict[str, Any]) -> bool:
        return bool(seen["exits"]) and seen["exits"]["status"] == status

    until(stage, f"/trading/orders/{order}", person, reached, f"target and stop are {status}")


def draft() -> dict[str, Any]:
    return {
        "exchange": "NSE",
        "symbol": SYMBOL,
        "action": "buy",
        "timeframe": "1d",
        "entry_price": f"{ENTRY:.2f}",
        "target_price": f"{TARGET:.2f}",
        "stop_loss": f"{STOP:.2f}",
        "confidence": 80,
        "expires_at": "2030-01-01T00:00:00Z",
        "rationale": "Drawn up for a test of what is kept at the broker.",
        "disclosure": "No holding in this security. Synthetic prices.",
    }


def until(stage: Stage, path: str, person: Person, holds: Any, what: str) -> None:
    """Reads until it holds: what these paths show has no version of its own that would move."""
    deadline = monotonic() + SECONDS
    while not holds(seen := stage.call("GET", path, person)):
        if monotonic() > deadline:
            raise BrokenPromise(f"{what}: not so after {SECONDS:.0f} s; last seen {str(seen)[:300]}")
        sleep(0.1)


journeys.JOURNEYS |= {journey.__name__: journey for journey in (elsewhere, kept, lost_trigger, prepared)}
