"""The one table of timeouts and retry policies; workflows name a row and never write a number.

``Step`` rows are spread into ``workflow.execute_activity_method(…, **Step.BOOK.options())``.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy

FOREVER = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=10),
    non_retryable_error_types=["Rejected", "Unknown"],
)
ONCE = RetryPolicy(maximum_attempts=1)


@dataclass(frozen=True)
class Step:
    """How long one attempt of an activity may take and what happens when it fails."""

    start_to_close: timedelta
    retry: RetryPolicy
    heartbeat: timedelta | None = None
    schedule_to_close: timedelta | None = None
    """How long all attempts together may take, where the business has a deadline."""

    def options(self) -> dict[str, Any]:
        """Keyword arguments of ``workflow.execute_activity*``."""
        given: dict[str, Any] = {"start_to_close_timeout": self.start_to_close, "retry_policy": self.retry}
        if self.heartbeat:
            given["heartbeat_timeout"] = self.heartbeat
        if self.schedule_to_close:
            given["schedule_to_close_timeout"] = self.schedule_to_close
        return given

    def local(self) -> dict[str, Any]:
        """Keyword arguments of ``workflow.execute_local_activity*``.

        A local retry waits inside the workflow task up to a second, beyond that on a server timer.
        """
        return {
            "start_to_close_timeout": self.start_to_close,
            "retry_policy": self.retry,
            "local_retry_threshold": timedelta(seconds=1),
        }


BOOK = Step(timedelta(seconds=5), FOREVER)
"""One transaction of ours, idempotent by its business key: retried until it stands."""

READ_PROVIDER = Step(timedelta(seconds=10), FOREVER, heartbeat=timedelta(seconds=5))
"""A read, or a write the provider dedupes by our key: safe to repeat."""

LOOK = Step(timedelta(seconds=10), FOREVER, timedelta(seconds=5), schedule_to_close=timedelta(minutes=1))
"""A read of a provider that is one of a schedule of reads: without an answer the next one follows in time."""

GLANCE = Step(timedelta(seconds=1), ONCE)
"""One quick read of a provider inside the workflow task; without an answer it is read as `READ_PROVIDER`."""

PRICE_NOW = Step(timedelta(seconds=2.2), ONCE)
"""A price while a caller waits for the answer: it may have to wait a second for the broker's pace."""

IRREVERSIBLE = Step(timedelta(seconds=12), ONCE, heartbeat=timedelta(seconds=5))
"""A charge, capture, refund, order or paid check: sent once; anything but an answer is Unknown."""

COMPUTE = Step(timedelta(seconds=30), FOREVER)
"""Work on our own data that may take seconds: candles, reports, matching."""

WATCH = Step(timedelta(minutes=12), FOREVER, heartbeat=timedelta(seconds=5))
"""Looks at the market for minutes and says what it saw; a lost worker shows by its heartbeat."""

DELIVERY = Step(timedelta(seconds=10), FOREVER, schedule_to_close=timedelta(days=1))
"""A mail or text: worthless after a day."""

PLACE_ORDER = Step(timedelta(seconds=20), ONCE, heartbeat=timedelta(seconds=3))
"""One order to the broker (client's deadline 7 s, and the gate before it): a lost worker shows in 3 s."""

READ_BROKER = Step(timedelta(seconds=15), FOREVER, heartbeat=timedelta(seconds=3))
"""The broker's book, quotes, margins; cancelling and modifying, which change nothing the second time."""

REPORT = Step(timedelta(minutes=15), FOREVER, heartbeat=timedelta(seconds=10))
"""A gateway's report of a day read to its end: up to a million lines."""

COMPARE = Step(timedelta(minutes=15), FOREVER, heartbeat=timedelta(seconds=10))
"""A day's report compared with the book and booked in one transaction: up to a million lines."""

REGISTER = Step(
    timedelta(seconds=25),
    RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_attempts=4,
        non_retryable_error_types=["Rejected"],
    ),
    heartbeat=timedelta(seconds=5),
)
"""A document at the e-invoice portal, which dedupes by its number: up to three calls. A portal that is away
for longer than a second or two is waited for by the process, where it is seen."""
