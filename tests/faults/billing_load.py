"""A load of money over HTTP: people who buy, give back and dispute, finance who answers, and what dies."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from cli.demo import learning
from cli.demo.run import IST
from cli.demo.stage import Person
from tests.faults import journeys
from tests.faults.journeys_disputes import given_up, opened, won
from tests.faults.whole import Clients, Whole

VICTIMS = ("worker-billing", "worker-billing", "api", "temporal", "postgres", "relay")
"""What is killed, the pool that does the work twice as often."""
FATES = ("refunded", "refunded", "in parts", "won", "lost", "kept")
"""What becomes of a course that was paid."""


@dataclass
class Load:
    """People at work until they are told to stop; each thing they were promised is waited for."""

    whole: Whole
    chance: random.Random
    failures: list[str] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    payments: list[str] = field(default_factory=list)
    subscribers: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def clients(self) -> Clients:
        return self.whole.clients

    def run(
        self, people: Sequence[Person], threads: int, kills: Callable[[], object], *, settling: bool = True
    ) -> None:
        """Work side by side while `kills` runs, and what was begun then is brought to its end; `settling`:
        the gateway settles meanwhile."""
        waiting: SimpleQueue[Person] = SimpleQueue()
        for person in people:
            waiting.put(person)
        with ThreadPoolExecutor(threads + 1) as side_by_side:
            working = [side_by_side.submit(self._work, waiting) for _ in range(threads)]
            if settling:
                working.append(side_by_side.submit(self._settle))
            try:
                kills()
            finally:
                self.over.set()
            for each in working:
                each.result()

    def _work(self, waiting: "SimpleQueue[Person]") -> None:
        while not self.over.is_set():
            try:
                person = waiting.get_nowait()
            except Empty:
                self.over.wait(0.2)
                continue
            again = self._tried("course", self._course, person)
            if again:
                waiting.put(person)

    def _tried(self, name: str, act: Callable[..., Any], *given: Any) -> Any:
        begun = time.monotonic()
        try:
            return act(*given)
        except Exception as failure:  # noqa: BLE001  # told with its name when all are done
            self.failures.append(f"{name}: {type(failure).__name__}: {failure}")
            print(f"{self.failures[-1]} after {time.monotonic() - begun:.0f} s", flush=True)
            return None

    def _course(self, person: Person) -> bool:
        """Buys the course and meets its fate; whether the person may buy it again."""
        if self.chance.random() < 0.25 and person.user_id not in self.subscribers:
            self.subscribers.add(person.user_id)
            _, payment = journeys.subscribed(self.clients, person)
            self._paid("subscription", payment)
        enrolled = journeys._enrolled(self.clients, person)
        journeys.paid(self.clients, person, enrolled)
        self._paid("course", enrolled["payment_id"])
        self._holds(person, enrolled["enrollment_id"], "active")
        fate = self.chance.choice(FATES)
        self._meet(fate, enrolled["payment_id"], enrolled["amount"])
        self.did[fate] += 1
        if fate == "kept":
            return False
        if fate == "won":
            self._holds(person, enrolled["enrollment_id"], "active")
            self._refund(enrolled["payment_id"], None)
        self._holds(person, enrolled["enrollment_id"], "withdrawn")
        return True

    def _meet(self, fate: str, payment: str, amount: int) -> None:
        match fate:
            case "refunded":
                self._refund(payment, None)
            case "in parts":
                self._refund(payment, amount // 3)
                self._refund(payment, None)
            case "won":
                won(self.clients, *opened(self.clients, payment))
            case "lost":
                given_up(self.clients, opened(self.clients, payment)[0])

    def _paid(self, what: str, payment: str) -> None:
        self.did[what] += 1
        self.payments.append(payment)

    def _holds(self, person: Person, enrollment: str, status: str) -> None:
        """Access follows the money."""
        self.clients.until(
            f"/users/{person.user_id}/progress",
            person,
            lambda seen: learning.mine(seen, enrollment)["status"] == status,
            f"the enrollment is {status}",
        )

    def _refund(self, payment: str, amount: int | None) -> None:
        finance = self.clients.staff("finance")
        body = {"payment_id": payment, "reason": "a change of mind"} | ({"amount": amount} if amount else {})
        asked = self.clients.call("POST", "/payments/refund", finance, expect=202, json=body)
        path = f"/payments/refunds/{asked['refund_id']}"
        self.clients.until(path, finance, lambda r: r["status"] == "processed", "a refund is processed")
        self.did["refund"] += 1

    def _settle(self) -> None:
        """The gateway settles what it has, and the day is compared, over and over."""
        while not self.over.is_set():
            self._tried("reconciliation", self.reconcile)
            self.over.wait(self.chance.uniform(10.0, 20.0))

    def reconcile(self) -> dict[str, Any]:
        """Today, settled and compared with the book."""
        day = datetime.now(IST).date().isoformat()
        self.clients.control("razorpay/settle", date=day)
        finance, path = self.clients.staff("finance"), f"/finance/reconciliations/{day}"
        before = self.clients.call("GET", path, finance, expect=(200, 404)).get("version", 0)
        self.clients.call("POST", "/finance/reconciliations", finance, expect=202, json={"date": day})

        def compared(seen: dict[str, Any]) -> bool:
            return seen["status"] != "running" and seen["version"] > before

        self.did["reconciliation"] += 1
        return dict(self.clients.until(path, finance, compared, "the day is compared"))


def buyers(whole: Whole, count: int, threads: int = 4) -> list[Person]:
    """People with verified KYC, made before anything dies: this load is about their money."""
    with ThreadPoolExecutor(threads) as side_by_side:
        return list(side_by_side.map(lambda _: journeys.verified(whole.clients), range(count)))


def killed(
    whole: Whole, chance: random.Random, victims: Sequence[str], pause: tuple[float, float]
) -> Counter[str]:
    """SIGKILL of each in turn after a random pause of so many seconds; who died how often."""
    for victim in victims:
        time.sleep(chance.uniform(*pause))
        whole.kill(victim)
    return Counter(victims)
