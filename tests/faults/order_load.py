"""A load of orders over many accounts while the broker fails and processes die, and what must hold after it.

Judged from outside: by the sandbox's journal of what it was asked and really did, by the broker's own
positions, and by what the API says. A failure is played again from its seed.
"""

import json
import os
import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from cli.demo import markets, people
from cli.demo.stage import BrokenPromise, Person
from tests.faults.journeys import again, verified
from tests.faults.whole import Clients, Whole

SYMBOLS = {"INFY": 1500.0, "TCS": 3100.0, "HDFCBANK": 1000.0, "SBIN": 880.0, "RELIANCE": 1400.0}
ENDED = ("filled", "cancelled", "rejected", "risk_rejected", "expired")
FAULTS = (
    *("timeout_before", "timeout_after", "error_429", "error_5xx", "expired_token", "silent_ticker"),
    *("drop_webhook", "duplicate_webhook", "reorder_webhooks", "tampered_webhook"),
)
SHORT = {"timeout_before": 0.1, "timeout_after": 0.1, "reorder_webhooks": 1.0, "silent_ticker": 1.0}
KILLED = ("worker-trading", "api", "temporal", "postgres", "sandbox")
SIDE_BY_SIDE = 10


@dataclass
class Intended:
    """One order as its customer meant it."""

    account_id: str
    symbol: str
    quantity: int
    price: float
    rests: bool
    part: int = 0
    """So many are filled by hand before the customer takes it back."""
    order_id: str = ""


@dataclass
class Customer:
    person: Person
    account_id: str
    broker_user: str
    orders: list[Intended] = field(default_factory=list)


class OrderLoad:
    """`accounts` customers with `orders` orders between them, `faults` planted, `kills` processes killed.

    `weather`: the faults that there are to choose from.
    """

    def __init__(
        self,
        whole: Whole,
        seed: int,
        *,
        accounts: int,
        orders: int,
        faults: int,
        kills: int,
        weather: Sequence[str] = FAULTS,
    ) -> None:
        self._weather = tuple(weather)
        self.whole = whole
        self.stage: Clients = whole.clients
        self._chance = random.Random(seed)
        self._accounts, self._orders, self._faults, self._kills = accounts, orders, faults, kills
        self._over = threading.Event()
        self._desk = threading.Lock()
        self.failures: list[str] = []
        self.customers: list[Customer] = []

    def run(self, seconds: float) -> None:
        """Plays it to its end: every order over, `seconds` after the last was asked for at the latest."""
        for symbol, price in SYMBOLS.items():
            self.stage.control("kite/market", symbol=symbol, price=price, manual=False)
        begun = time.monotonic()
        with ThreadPoolExecutor(SIDE_BY_SIDE) as hands:
            self.customers = list(hands.map(self._customer, range(self._accounts)))
        self._mean_orders()
        print(f"{self._accounts} customers in {time.monotonic() - begun:.0f} s")
        begun = time.monotonic()
        weather = [threading.Thread(target=each) for each in (self._storms, self._deaths)]
        for each in weather:
            each.start()
        with ThreadPoolExecutor(len(self.customers)) as hands:
            list(hands.map(self._guarded(self._trade), self.customers))
            self._over.set()
            for each in weather:
                each.join()
            self.stage.control("faults/heal", target="kite")
            self._deadline = time.monotonic() + seconds
            list(hands.map(self._guarded(self._finish), self.customers))
        print(f"{self._orders} orders over in {time.monotonic() - begun:.0f} s")

    def _guarded(self, play: Callable[[Customer], None]) -> Callable[[Customer], None]:
        def guarded(customer: Customer) -> None:
            try:
                play(customer)
            except Exception as failure:  # noqa: BLE001  # told with its account when all are done
                self.failures.append(f"{customer.account_id}: {type(failure).__name__}: {failure}")

        return guarded

    # Who orders, and what

    def _customer(self, _: int) -> Customer:
        person = verified(self.stage)
        customer = Customer(person, "", f"LD{secrets.token_hex(4).upper()}")
        customer.account_id = again(lambda: self._connected(customer))
        return customer

    def _connected(self, customer: Customer) -> str:
        """Through the broker's login; again where the session was lost."""
        self._ask(customer, "GET", "/trading/accounts")
        markets.step_up(self.stage, customer.person)
        begun = self.stage.call(
            "POST", "/trading/exchanges/connect", customer.person, expect=201, json={"broker": "kite"}
        )
        key = self.stage.sandbox.get("/_control/credentials").json()["kite"]["api_key"]
        login = self.stage.control(
            "kite/login", api_key=key, user_id=customer.broker_user, name=customer.person.name
        )
        state = begun["login_url"].split("state%3D")[-1].split("&")[0]
        body = {"request_token": login["request_token"], "state": state}
        self.stage.call("POST", "/trading/exchanges/callback", customer.person, json=body)
        return str(begun["account_id"])

    def _mean_orders(self) -> None:
        for number in range(self._orders):
            customer = self.customers[number % len(self.customers)]
            symbol = self._chance.choice(sorted(SYMBOLS))
            rests = self._chance.random() < 0.3
            quantity = self._chance.randint(2, 6)
            price = SYMBOLS[symbol] * (0.98 if rests else 1.0)
            part = self._chance.randint(0, quantity - 1) if rests else 0
            customer.orders.append(
                Intended(customer.account_id, symbol, quantity, round(price, 1), rests, part)
            )

    # What goes wrong

    def _storms(self) -> None:
        for _ in range(self._faults):
            fault = self._chance.choice(self._weather)
            where = "/orders/regular" if fault.startswith("timeout") and self._chance.random() < 0.6 else ""
            self.stage.control(
                "faults",
                target="kite",
                match=where,
                fault=fault,
                times=1 if fault == "expired_token" else self._chance.randint(1, 3),
                seconds=SHORT.get(fault, 0.1),
            )
            if self._over.wait(self._chance.uniform(0.1, 0.8)):
                return

    def _deaths(self) -> None:
        for turn in range(self._kills):
            if self._over.wait(self._chance.uniform(1.0, 4.0)):
                return
            name = KILLED[turn % len(KILLED)]
            try:
                self.whole.kill(name)
            except (KeyError, ProcessLookupError, json.JSONDecodeError):
                continue  # it is on its way back from the last one

    # What customers and support do about it

    def _trade(self, customer: Customer) -> None:
        for intended in customer.orders:
            terms = {
                "account_id": customer.account_id,
                "exchange": "NSE",
                "symbol": intended.symbol,
                "side": "BUY",
                "quantity": intended.quantity,
                "order_type": "LIMIT",
                "price": f"{intended.price:.2f}",
                "product": "CNC",
            }
            placed = self._ask(customer, "POST", "/trading/orders", expect=201, json=terms)
            intended.order_id = placed["order_id"]

    def _finish(self, customer: Customer) -> None:
        """Signs in anew where the session was lost, takes back what rests, until every order is over."""
        while True:
            shown = self._shown(customer)
            living = [each for each in customer.orders if shown[each.order_id]["status"] not in ENDED]
            if not living:
                return
            if time.monotonic() > self._deadline:
                left = {each.order_id: shown[each.order_id]["status"] for each in living}
                raise BrokenPromise(f"orders are not over: {left}")
            if any(shown[each.order_id]["status"] == "needs_person" for each in living):
                self._settle([each for each in living if shown[each.order_id]["status"] == "needs_person"])
            if self._session_lost(customer):
                again(lambda: self._connected(customer))
            for each in living:
                if each.rests and shown[each.order_id]["status"] in ("open", "partially_filled"):
                    self._take_back(customer, each, shown[each.order_id])
            time.sleep(0.2)

    def _ask(self, customer: Customer, method: str, path: str, **given: Any) -> Any:
        """A call of the customer's, who signs in anew where the load takes longer than the token lives, and
        asks again under the same key: the first call may have been heard."""
        given["headers"] = {"Idempotency-Key": secrets.token_hex(8)}
        try:
            return self.stage.call(method, path, customer.person, **given)
        except BrokenPromise as failure:
            if "token_invalid" not in str(failure):
                raise
            people.sign_in(self.stage, customer.person)
            return self.stage.call(method, path, customer.person, **given)

    def _shown(self, customer: Customer) -> dict[str, dict[str, Any]]:
        listed = self._ask(customer, "GET", "/trading/orders", params={"limit": 200})
        return {order["order_id"]: order for order in listed["items"]}

    def _session_lost(self, customer: Customer) -> bool:
        accounts = self._ask(customer, "GET", "/trading/accounts")["items"]
        return any(each["status"] == "expired" for each in accounts)

    def _take_back(self, customer: Customer, intended: Intended, shown: dict[str, Any]) -> None:
        if intended.part and not shown["filled_quantity"]:
            answer = self.stage.sandbox.post(
                "/_control/kite/fill",
                json={"order_id": shown["broker_order_id"], "quantity": intended.part},
            )
            if answer.status_code == httpx.codes.OK:
                intended.part = 0
        path = f"/trading/orders/{intended.order_id}"
        with suppress(BrokenPromise):  # the next round asks again, until the load's own deadline
            self._ask(customer, "DELETE", path, expect=(200, 409))

    def _settle(self, unknown: list[Intended]) -> None:
        """Support looks at the broker: what the journal says was done under the order's tags."""
        placed = self.effects()
        for intended in unknown:
            found = [
                placed[tag][0]["effect"]["order_id"] for tag in self.tags()[intended.order_id] if placed[tag]
            ]
            said = {"decision": "found", "broker_order_id": found[0]} if found else {"decision": "absent"}
            action = f"/staff/runs/order:{intended.order_id}/actions/resolve_order"
            with self._desk:
                self.stage.call("POST", action, self.stage.staff("support"), expect=(200, 409), json=said)

    # What must hold

    def tags(self) -> dict[str, list[str]]:
        """Tags of every attempt, by order."""
        found: dict[str, list[str]] = {}
        with psycopg.connect(self.stage.endpoints["postgres"], row_factory=dict_row) as connection:
            for row in connection.execute("SELECT order_id, tag FROM trading.order_attempts").fetchall():
                found.setdefault(row["order_id"], []).append(row["tag"])
        return found

    def effects(self) -> dict[str, list[dict[str, Any]]]:
        """What was really placed, by tag."""
        placed: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for item in self.stage.journal("kite"):
            effect = item["effect"]
            if effect and "order_id" in effect and not {"cancelled", "modified"} & effect.keys():
                placed[effect.get("tag") or ""].append(item)
        return placed

    def findings(self) -> list[str]:
        """Every intended order once, as it was meant, none unintended, positions as the broker has them."""
        found = list(self.failures)
        tags, placed = self.tags(), self.effects()
        for customer in self.customers:
            shown = self._shown(customer)
            for intended in customer.orders:
                if not intended.order_id:
                    found.append(f"an order of {customer.person.user_id} was never answered")
                    continue
                calls = [call for tag in tags.get(intended.order_id, []) for call in placed[tag]]
                if len(calls) != 1:
                    found.append(f"{intended.order_id} is at the broker {len(calls)} times")
                elif not _as_meant(calls[0], intended):
                    found.append(f"{intended.order_id} is at the broker as {calls[0]['body']}")
                if (status := shown[intended.order_id]["status"]) not in ("filled", "cancelled"):
                    found.append(
                        f"{intended.order_id} ended {status}: {shown[intended.order_id]['reason_code']}"
                    )
            known = {intended.order_id for intended in customer.orders}
            found += [f"{order} was never asked for" for order in shown.keys() - known]
            found += self._compared(customer)
        return found

    def _compared(self, customer: Customer) -> list[str]:
        """Ours beside the broker's own positions, read in a session of the customer's own."""
        mine = {
            each["symbol"]: each["quantity"]
            for each in self._ask(customer, "GET", "/trading/positions")["items"]
        }
        theirs = self._at_broker(customer)
        return [
            f"{customer.account_id} {symbol}: {mine.get(symbol, 0)} here, {theirs.get(symbol, 0)} there"
            for symbol in sorted(mine.keys() | theirs.keys())
            if mine.get(symbol, 0) != theirs.get(symbol, 0)
        ]

    def _at_broker(self, customer: Customer) -> dict[str, int]:
        keys = self.stage.sandbox.get("/_control/credentials").json()["kite"]
        login = self.stage.control(
            "kite/login", api_key=keys["api_key"], user_id=customer.broker_user, name=customer.person.name
        )
        token = login["request_token"]
        checksum = sha256(f"{keys['api_key']}{token}{keys['api_secret']}".encode()).hexdigest()
        form = {"api_key": keys["api_key"], "request_token": token, "checksum": checksum}
        session = self.stage.sandbox.post("/kite/session/token", data=form).json()["data"]
        header = {"Authorization": f"token {keys['api_key']}:{session['access_token']}"}
        answer = self.stage.sandbox.get("/kite/portfolio/positions", headers=header).json()
        held: Counter[str] = Counter()
        for each in answer["data"]["net"]:
            held[each["tradingsymbol"]] += each["quantity"]
        return dict(held)


def _as_meant(call: dict[str, Any], intended: Intended) -> bool:
    body = str(call["body"])
    return all(str(each) in body for each in (intended.symbol, f"{intended.quantity}"))


def seed_of(name: str) -> int:
    """A new seed each time, or the one that a failure is to be played again from."""
    return int(os.environ.get(name) or secrets.randbelow(2**31))
