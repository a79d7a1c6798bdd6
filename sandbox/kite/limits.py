"""Kite's rate limits per account, counted on the sandbox host's clock.

Orders: 10 a calendar second, 400 a minute, 5,000 a day. Quotes 1, historical 3, others 10 a second.
Source: kite.trade/docs/connect/v3/exceptions (API rate limit). `TREUM_SANDBOX_KITE_LIMITS=off` lifts them.
"""

import os
import time
from collections import Counter

from sandbox.kite.errors import KiteError

PER_SECOND = {"order": 10, "quote": 1, "historical": 3, "other": 10}
ORDERS_PER_MINUTE = 400
ORDERS_PER_DAY = 5_000


class Limits:
    """Counters of the running second and minute; the day's orders are counted in the order book."""

    def __init__(self, on: bool | None = None) -> None:
        self.on = os.environ.get("TREUM_SANDBOX_KITE_LIMITS", "on") != "off" if on is None else on
        self._seconds: Counter[tuple[str, str]] = Counter()
        self._minutes: Counter[str] = Counter()
        self._second = self._minute = 0

    def clear(self) -> None:
        """Forgets what was counted."""
        self._seconds.clear()
        self._minutes.clear()

    def check(self, account: str, bucket: str, orders_today: int = 0) -> None:
        """Counts a call; raises 429 where it is one too many (a refused call counts for nothing)."""
        if not self.on:
            return
        self._turn(int(time.time()))
        full = self._seconds[account, bucket] >= PER_SECOND[bucket]
        if bucket == "order":
            full = full or self._minutes[account] >= ORDERS_PER_MINUTE or orders_today >= ORDERS_PER_DAY
        if full:
            raise KiteError("NetworkException", "Too many requests", 429)
        self._seconds[account, bucket] += 1
        if bucket == "order":
            self._minutes[account] += 1

    def _turn(self, second: int) -> None:
        if second != self._second:
            self._seconds.clear()
            self._second = second
        if second // 60 != self._minute:
            self._minutes.clear()
            self._minute = second // 60
