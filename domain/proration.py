"""What is left of a paid period, in days of India's calendar and to the paisa.

SEBI (Research Analysts) Regulations and circular of 8 January 2025: a client who leaves gets back what was
paid for the unexpired period. Treum gives the same for every plan.
"""

from datetime import datetime

from domain.billing_calendar import ist_date


def unexpired(amount: int, start: datetime, end: datetime, at: datetime, *, day_used: bool = True) -> int:
    """Paise of `amount`, paid for `start` to `end`, that are for days to come at `at`; rounded down.

    A period's days run from the day of its start to the day before the day of its end. `day_used`: the day
    of `at` counts as used, since the plan was there on it; not where another plan begins on that day.
    """
    first, last, today = ist_date(start), ist_date(end), ist_date(at)
    days = (last - first).days
    if days <= 0:
        return 0
    begun = max(today, first)
    rest = (last - begun).days - (1 if day_used and today >= first else 0)
    return amount * min(max(rest, 0), days) // days


def owed_back(
    amount: int, gone_back: int, start: datetime, end: datetime, at: datetime, *, day_used: bool = True
) -> int:
    """Paise of `amount` that are to go back at `at` for the days to come: what `unexpired` says, less the
    `gone_back` paise that the customer has had of it before for whatever reason, so that no part is given
    twice and never more than was paid."""
    return max(0, unexpired(amount, start, end, at, day_used=day_used) - gone_back)
