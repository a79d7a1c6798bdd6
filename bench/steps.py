"""Where the time of an order goes: its steps timed from outside, without a line of theirs changed."""

import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from activities.brokers import Brokers
from activities.order_checks import MarketChecks
from activities.order_sending import OrderSending
from activities.pacing import Gate
from providers.kite import KiteAccount
from store import trading_attempts, trading_standing
from store.commands import Commands

STEPS: tuple[tuple[str, object, str], ...] = (
    ("the promise written", Commands, "promise"),
    ("submit, all of it", OrderSending, "submit"),
    ("  the yes recorded", OrderSending, "_write_yes"),
    ("  session", Brokers, "session"),
    ("  checks", MarketChecks, "judge"),
    ("    our facts", trading_standing, "facts_of"),
    ("    the broker's margin", KiteAccount, "margin"),
    ("  gate", Gate, "passed"),
    ("  limits in turn", MarketChecks, "reserve"),
    ("  sending marked", trading_attempts, "begin"),
    ("  the broker's call", KiteAccount, "place"),
    ("  sent marked", OrderSending, "_sent"),
    ("the answer stored", Commands, "keep"),
)
OUTSIDE = (
    "the promise written",
    "submit, all of it",
    "the answer stored",
)
"""What of the whole is ours by name; the rest is between the server, the worker and the caller."""


class Timed:
    """Milliseconds by step, of the order that is under way."""

    def __init__(self) -> None:
        self._taken: dict[str, list[float]] = defaultdict(list)
        self._now: dict[str, float] = {}
        self._open = False

    def begin(self) -> None:
        self._now, self._open = {}, True

    def end(self, whole: float) -> None:
        self._open = False
        named = sum(self._now.get(name, 0.0) for name in OUTSIDE)
        self._taken["Temporal: server, polls, tasks, answers"].append(whole - named)
        for name, taken in self._now.items():
            self._taken[name].append(taken)

    def forget(self) -> None:
        self._taken.clear()

    def of(self, name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def around(*given: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            try:
                return await call(*given, **named)
            finally:
                if self._open:
                    self._now[name] = self._now.get(name, 0.0) + (time.perf_counter() - begun) * 1000

        return around

    def tell(self) -> None:
        print(f"\n{'step':44}{'p50':>8}{'p99':>8}")
        for name, _, _ in (*STEPS, ("Temporal: server, polls, tasks, answers", None, "")):
            taken = self._taken.get(name)
            if taken and len(taken) > 1:
                cuts = statistics.quantiles(taken, n=100)
                print(f"{name:44}{cuts[49]:8.1f}{cuts[98]:8.1f}")


@contextmanager
def timed(*, on: bool) -> Iterator[Timed]:
    """Times the steps while they run in this process."""
    clock = Timed()
    with ExitStack() as around:
        for name, owner, method in STEPS if on else ():
            around.enter_context(patch.object(owner, method, clock.of(name, getattr(owner, method))))
        yield clock
