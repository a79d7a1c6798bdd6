"""Steps 5 and 6: a signal from real candles to the live stream, and from the customer's yes to a position."""

import json
import os
import signal as signals
import time
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from cli.demo.people import one_time_code, sign_in
from cli.demo.stage import Person, Stage, promise

SYMBOL = "GOOG"
"""Daily bars of Alphabet Inc as published with a backtesting library; listed under their own name."""
FREE_ALLOWANCE = 5
QUANTITY = 10


def listen(stage: Stage, who: Person) -> ClientConnection:
    """Opens the live stream with a one-use ticket."""
    ticket = stage.call("POST", "/signals/stream-ticket", who)["ticket"]
    live = stage.endpoints["live"].replace("http", "ws", 1)
    return connect(f"{live}/v1/ws/signals/stream?ticket={ticket}")


def heard(stream: ClientConnection, wanted: str, seconds: float) -> list[dict[str, Any]]:
    """Messages received until one of type `wanted` came, or the time is over."""
    messages: list[dict[str, Any]] = []
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            messages.append(json.loads(stream.recv(timeout=left)))
        except (TimeoutError, ConnectionClosed):
            break
        if messages[-1]["type"] == wanted:
            break
    return messages


def step_signal(stage: Stage, customer: Person, free: Person) -> tuple[str, str]:
    """What happened, and the signal's id."""
    analyst = stage.staff("analyst")
    sign_in(stage, analyst)
    open_market_data(stage, analyst)
    with listen(stage, customer) as paid_stream, listen(stage, free) as free_stream:
        run = stage.call(
            "POST",
            "/signals/runs",
            analyst,
            expect=(200, 201, 202),
            json={"strategy": "trend", "exchange": "NSE", "symbol": SYMBOL, "timeframe": "1d"},
        )
        promise(run["candle_source"] == "replayed", "the candles are real ones, replayed, and say so")
        drafts = run["signals"]
        promise(drafts, "the strategy finds a signal in the real candles")
        signal_id = drafts[0]["signal_id"]
        published_at = time.monotonic()
        stage.call("POST", f"/signals/{signal_id}/publish", analyst, json={})
        got = heard(paid_stream, "signal.published", 5.0)
        promise(
            any(m["signal"]["signal_id"] == signal_id for m in got), "a subscriber hears a published signal"
        )
        delay = (time.monotonic() - published_at) * 1000
        for _ in range(FREE_ALLOWANCE):
            again = draft_by_hand(stage, analyst)
            stage.call("POST", f"/signals/{again}/publish", analyst, json={})
        told = heard(free_stream, "allowance.spent", 10.0)
        shown = [m for m in told if m["type"] == "signal.published"]
        promise(
            len(shown) == FREE_ALLOWANCE,
            f"the free plan hears {FREE_ALLOWANCE} signals a day, not {len(shown)}",
        )
        promise(told[-1]["type"] == "allowance.spent", "the free plan is told that its allowance is spent")
    stage.link("signal", f"signal:{signal_id}")
    return (
        f"{drafts[0]['action']} {SYMBOL} from {run['candle_count']} real candles, heard {delay:.0f} ms after "
        f"the call to publish it; the free plan got {len(shown)} a day",
        signal_id,
    )


def open_market_data(stage: Stage, analyst: Person) -> None:
    """The house signs in at the broker: market data needs no customer's session."""
    api_key = stage.sandbox.get("/_control/credentials").json()["kite"]["api_key"]
    login = stage.control("kite/login", api_key=api_key, user_id="TREUM1", name="Treum market data")
    body = {"request_token": login["request_token"]}
    stage.call("POST", "/signals/market-data", analyst, expect=201, json=body)


def draft_by_hand(stage: Stage, analyst: Person) -> str:
    """An analyst's own draft; its figures are invented for the allowance and say so."""
    answer = stage.call(
        "POST",
        "/signals",
        analyst,
        expect=201,
        json={
            "exchange": "NSE",
            "symbol": "INFY",
            "action": "buy",
            "timeframe": "1d",
            "entry_price": "1500.00",
            "target_price": "1560.00",
            "stop_loss": "1470.00",
            "confidence": 80,
            "expires_at": "2030-01-01T00:00:00Z",
            "rationale": "Drawn up for the demonstration of the daily allowance.",
            "disclosure": "No holding in this security. Synthetic prices.",
        },
    )
    return str(answer["signal_id"])


def connect_broker(stage: Stage, customer: Person) -> str:
    """Goes through Kite's login; the connected account's id."""
    step_up(stage, customer)
    begun = stage.call("POST", "/trading/exchanges/connect", customer, expect=201, json={"broker": "kite"})
    api_key = stage.sandbox.get("/_control/credentials").json()["kite"]["api_key"]
    login = stage.control("kite/login", api_key=api_key, user_id=customer.broker_user, name=customer.name)
    state = begun["login_url"].split("state%3D")[-1].split("&")[0]
    connected = stage.call(
        "POST",
        "/trading/exchanges/callback",
        customer,
        json={"request_token": login["request_token"], "state": state},
    )
    promise(connected["status"] == "connected", "the broker's account is connected")
    return str(begun["account_id"])


def step_up(stage: Stage, customer: Person) -> None:
    """Puts a fresh second factor on the customer's token."""
    stage.call("POST", "/auth/step-up/challenge", customer, json={"method": "totp"})
    answer = stage.call(
        "POST", "/auth/step-up", customer, json={"method": "totp", "code": one_time_code(customer)}
    )
    customer.token = answer["access_token"]


def step_order(stage: Stage, customer: Person, signal_id: str) -> str:
    account = connect_broker(stage, customer)
    stage.control("kite/market", symbol=SYMBOL, manual=True)
    begun = time.monotonic()
    stage.refresh()
    pid = stage.endpoints["processes"]["worker-trading"]
    placed = stage.call(
        "POST",
        f"/signals/{signal_id}/act",
        customer,
        expect=201,
        json={"account_id": account, "quantity": QUANTITY, "decision": "confirm"},
    )
    os.kill(pid, signals.SIGKILL)
    order = f"/trading/orders/{placed['order_id']}"
    resting = stage.until(
        order,
        customer,
        lambda o: o["status"] in ("open", "rejected", "risk_rejected"),
        "the order rests at Kite",
    )
    promise(
        resting["status"] == "open",
        f"the order is accepted, not {resting['status']} ({resting['reason_code']})",
    )
    broker_id = resting["broker_order_id"]
    stage.control("kite/fill", order_id=broker_id, quantity=QUANTITY // 2)
    stage.until(order, customer, lambda o: o["status"] == "partially_filled", "a partial fill is seen")
    stage.control("kite/fill", order_id=broker_id, quantity=QUANTITY - QUANTITY // 2)
    stage.until(order, customer, lambda o: o["status"] == "filled", "the rest is filled")
    seconds = time.monotonic() - begun
    held = stage.call("GET", "/trading/positions", customer)["items"]
    promise(
        any(p["symbol"] == SYMBOL and abs(p["quantity"]) == QUANTITY for p in held),
        "the position is on the books",
    )
    sent = [c for c in stage.journal("kite") if c["method"] == "POST" and (c["effect"] or {}).get("order_id")]
    promise(len(sent) == 1, f"Kite saw exactly one order, not {len(sent)}")
    stage.refresh()
    promise(stage.endpoints["processes"]["worker-trading"] != pid, "the killed worker was replaced")
    stage.link("order", f"order:{placed['order_id']}")
    return f"worker {pid} killed with SIGKILL; one order at Kite, filled in two parts ({seconds:.1f} s)"
