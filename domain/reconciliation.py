"""How a settlement day is compared with the book, and what may become of what does not agree."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from domain.billing_calendar import is_bank_day, ist_date, ist_midnight

SECOND_PERSON_ABOVE = 50_000_00
"""Paise; a break of more than this is decided by two different people (`api.md`)."""

LIST_PRICES = ((date(2017, 7, 1), 200),)
"""Basis points of a payment, GST not included, by the day since which it holds: Razorpay's list price
(razorpay.com/pricing). A capture whose own fee the gateway did not tell may cost so much."""

DEBITS_DUE = ((date(2017, 7, 1), 7),)
"""Bank days, by the day since which it holds, after which a refund that was paid, or a dispute that was lost,
should have been deducted from a settlement. The gateway takes it from the next one whose balance covers it
(Razorpay, settlements); seven is our own choice, the longest that it gives a refund (5 to 7 working days)."""

DEBITS_SINCE = timedelta(days=92)
"""How far back the first day that is ever compared looks for them."""


class BreakKind(StrEnum):
    MISSING_LINE = "missing_line"
    """The book has it, the gateway did not settle it."""
    EXTRA_LINE = "extra_line"
    """The gateway settled it, the book does not have it."""
    WRONG_AMOUNT = "wrong_amount"
    WRONG_FEE = "wrong_fee"


class BreakStatus(StrEnum):
    OPEN = "open"
    AWAITING_SECOND = "awaiting_second"
    RESOLVED = "resolved"


BREAK_NEXT: dict[BreakStatus, frozenset[BreakStatus]] = {
    BreakStatus.OPEN: frozenset({BreakStatus.AWAITING_SECOND, BreakStatus.RESOLVED}),
    # Back to open where a later report changes what the first person decided on.
    BreakStatus.AWAITING_SECOND: frozenset({BreakStatus.OPEN, BreakStatus.RESOLVED}),
    BreakStatus.RESOLVED: frozenset(),
}
"""Every step that a break takes; held by `store/breaks.py`."""


class Ended(StrEnum):
    """How a break came to be resolved."""

    DECIDED = "decided"
    MENDED = "mended"
    """By the process itself: a later report, of this day or another, left nothing to decide."""


class Claim(StrEnum):
    """Where a claim on the gateway stands."""

    OPEN = "open"
    SETTLED = "settled"
    """A later line of a report has paid it."""
    GIVEN_UP = "given_up"
    """Finance expects nothing of it in a report any more: it is lost, or was paid another way."""


class DayStatus(StrEnum):
    """Where the comparison of a settlement day stands."""

    RUNNING = "running"
    BALANCED = "balanced"
    OPEN = "open"
    """A break of the day waits for finance."""
    RESOLVED = "resolved"
    """Every break of the day was decided."""


DAY_NEXT: dict[DayStatus, frozenset[DayStatus]] = {
    DayStatus.RUNNING: frozenset({DayStatus.BALANCED, DayStatus.OPEN, DayStatus.RESOLVED}),
    DayStatus.BALANCED: frozenset({DayStatus.RUNNING}),
    # The day may be compared again at any time, also while one of its breaks is being decided.
    DayStatus.OPEN: frozenset({DayStatus.RUNNING, DayStatus.BALANCED, DayStatus.RESOLVED}),
    DayStatus.RESOLVED: frozenset({DayStatus.RUNNING}),
}
"""Every step that a day takes; held by `store/reconciliation.py`."""


class Resolution(StrEnum):
    ACCEPT = "accept"
    """The report is right: the difference is what it says it is (a fee, or cash of its own)."""
    POST_ADJUSTMENT = "post_adjustment"
    """The book is corrected: the difference goes to reconciliation adjustments."""
    CLAIM_GATEWAY = "claim_gateway"
    """The gateway owes it (or is owed it): a claim stands in the book until it is paid."""
    WRITE_OFF = "write_off"
    """Nobody will pay it: a loss, or a gain."""
    PAID_OUTSIDE = "paid_outside"
    """Of a claim alone: it was paid to the bank, outside of the settlements."""


DECIDE_WITHIN_DAYS = 3
"""Bank days in which finance decides a break before it is overdue. Our own choice."""


def decide_by(opened_at: datetime) -> datetime:
    """When a break is overdue: the end of the third bank day in India after it was found."""
    day = ist_date(opened_at)
    for _ in range(DECIDE_WITHIN_DAYS):
        day += timedelta(days=1)
        while not is_bank_day(day):
            day += timedelta(days=1)
    return ist_midnight(day + timedelta(days=1))


def break_id(day: date, kind: BreakKind, reference: str) -> str:
    """Opaque, safe in a URL, and the same in every reading of the day."""
    return f"brk_{sha256(f'{day.isoformat()}:{kind}:{reference}'.encode()).hexdigest()[:32]}"


def needs_second(difference: int, difference_tax: int = 0) -> bool:
    """Whether one person's decision is not enough."""
    return max(abs(difference), abs(difference_tax)) > SECOND_PERSON_ABOVE


def list_price(day: date) -> int:
    """Basis points that a capture of unknown fee may cost."""
    return next((price for since, price in reversed(LIST_PRICES) if since <= day), LIST_PRICES[0][1])


def debit_days(day: date, compared: date | None) -> tuple[date, date]:
    """First and last Indian day of the refunds and lost disputes that should have been deducted by `day`, and
    not yet by the day that was `compared` before it. Where none is due the first is after the last."""
    last = _deducted(day)
    return (last - DEBITS_SINCE if compared is None else _deducted(compared) + timedelta(days=1)), last


def _deducted(by: date) -> date:
    """The last Indian day whose debits should have been deducted."""
    last = by
    for _ in range(next((days for since, days in reversed(DEBITS_DUE) if since <= by), DEBITS_DUE[0][1])):
        last = _bank_day_before(last)
    return last


def residuals(gaps: Mapping[str, int], own: Mapping[str, int], hidden: Iterable[int]) -> dict[str, int]:
    """What no break of a line explains of a day's payouts, by settlement, in paise; only what is not zero.

    `gaps`: each payout less the lines of its report. `own`: what its lines would add to it if each said what
    the book expects. `hidden`: what the lines that are missing would add, by what may be missing of them; to
    which payout they belong nobody knows. A payout that agrees with its lines, or with the book, agrees: the
    breaks of its lines say all. Of any other, the least that is left.
    """
    left = {each: gap for each, gap in gaps.items() if gap not in (0, own.get(each, 0))}
    sums = {sum(left.values()), sum(gap - own.get(each, 0) for each, gap in left.items())}
    unseen = [amount for amount in hidden if amount]
    if sums & set(unseen):
        return {}
    found = {}
    for each, gap in left.items():
        ways = [(base - more, more) for more in (0, *unseen) for base in (gap, gap - own.get(each, 0))]
        found[each], more = min(ways, key=lambda way: abs(way[0]))
        # Lines that one payout shows to be missing are missing from no other.
        unseen = [] if more else unseen
    return {each: rest for each, rest in found.items() if rest}


def capture_days(settled_on: date, lag_days: int) -> tuple[date, date]:
    """First and last Indian day whose captures the gateway settles on `settled_on`, `lag_days` bank days
    after the capture (Razorpay: T+2). A day on which banks rest settles nothing: the range is empty, its
    first day after its last.
    """
    if not is_bank_day(settled_on):
        return settled_on + timedelta(days=1), settled_on
    last = settled_on
    for _ in range(lag_days):
        last = _bank_day_before(last)
    if lag_days == 0:
        return settled_on, settled_on
    # Captured on a day of rest counts like captured on the bank day before it: T+2 of a Sunday is Tuesday.
    following = last + timedelta(days=1)
    while not is_bank_day(following):
        following += timedelta(days=1)
    return last, following - timedelta(days=1)


def _bank_day_before(day: date) -> date:
    day -= timedelta(days=1)
    while not is_bank_day(day):
        day -= timedelta(days=1)
    return day
