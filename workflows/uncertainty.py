"""How an irreversible call to the gateway is followed up: when it is looked for, when it is tried again.

Unknown outcomes are resolved after 5 min, 1 h, then daily for 5 days, and then by a person. The looks
and tries before those are ours: most of what is lost is lost with a worker, and is known within a minute.
"""

from datetime import timedelta

DAY = timedelta(days=1)

LOOKS = (
    timedelta(seconds=10), timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=1), *[DAY] * 5,
)  # fmt: skip
"""Between looks that said too little; after the last a person is asked."""

AGAIN = (
    timedelta(seconds=1), timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5),
    timedelta(hours=1), *[DAY] * 5,
)  # fmt: skip
"""Between attempts that surely changed nothing; after the last a person takes over."""

SURELY_OVER = timedelta(seconds=30)
"""A call still unseen this long after it began, its deadline being 12 s, did not happen."""
