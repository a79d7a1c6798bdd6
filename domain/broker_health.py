"""When a broker counts as down, and how it is asked again. Own rule, 2026. Pure."""

from datetime import timedelta

FAILURES_TO_OPEN = 5
"""Calls in a row, of whatever worker and account, that got no answer from the broker."""
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(seconds=60)
PROBE_WITHIN = timedelta(seconds=15)
"""How long the one caller who may ask again has, before another may."""


def pause_after(openings: int) -> timedelta:
    """How long nobody asks once the breaker has opened for the `openings`th time in a row."""
    return min(FIRST_PAUSE * 2 ** min(openings - 1, 10), LONGEST_PAUSE)
