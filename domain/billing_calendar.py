"""When a subscription's periods begin and end, when its debits fall due, and when the customer is told.

Months are calendar months in India: a subscription that began on 31 January renews on 28 (or 29) February
and on 31 March, always at the wall-clock time at which it began. Every boundary is counted from the
anchor, never from the boundary before it, so that a short month does not move the ones after it.
"""

from calendar import monthrange
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from domain.bank_holidays import BANK_HOLIDAYS

IST = ZoneInfo("Asia/Kolkata")


class Cycle(StrEnum):
    """How long one billing period is."""

    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"

    @property
    def months(self) -> int:
        return {Cycle.MONTHLY: 1, Cycle.QUARTERLY: 3, Cycle.YEARLY: 12}[self]


NOTICE_LEAD = {
    "card": timedelta(hours=36, minutes=5),
    "upi": timedelta(hours=25),
    "emandate": timedelta(hours=24),
}
"""Least time from notice to debit by method (Razorpay, recurring payments, Apr 2026); RBI's own floor,
E-mandate Framework of 21 Apr 2026, is 24 hours."""

NOTICE_MARGIN = timedelta(minutes=15)
"""Added to each lead: for the gateway's delivery of the notice, and clocks that differ."""

DEBIT_ATTEMPTS = 4
"""T, T+1, T+2, T+3, then halted (Razorpay, subscription states)."""

UNATTENDED_LIMIT = 15_000_00
"""Paise; above it the customer approves each debit (RBI, E-mandate Framework, 21 Apr 2026)."""

APPROVED_ONCE = frozenset({"emandate"})
"""Methods outside that rule. RBI's framework (E-mandate Framework, 2026: RBI/DPSS/2026-27/396, 21 Apr 2026)
is for recurring payments by card, prepaid instrument and UPI. A bank mandate is presented through NACH under
NPCI's rules: the customer approves it once, with its maximum, and is not asked again for each debit."""

APPROVAL_LIFE = timedelta(hours=72)
"""How long the approval link of a debit above the limit lives (Razorpay)."""

PAYMENT_LIFE = timedelta(hours=24)
"""How long a new subscription waits for its first payment. Our own choice."""

ACCESS_GRACE = timedelta(days=8)
"""Access past the end of a paid period while its renewal is collected: the four attempts, each after a
fresh notice, take at most 4 d 13 h; an approval three days."""

CHANGE_LIFE = timedelta(days=4)
"""How long a change of plan waits for its checkout: a day longer than a bank may take to say yes."""

TRIAL_NOTICE = timedelta(days=3)
"""How long before its end a customer is told that a trial ends, and how to go on. Our own choice."""

HALT_LIFE = timedelta(days=60)
"""How long a halted or lapsed paused subscription may be resumed before it expires. Our own choice."""


def boundary(anchor: datetime, cycle: Cycle, number: int) -> datetime:
    """The start (UTC) of the period `number` cycles after the one that starts at `anchor`."""
    began = anchor.astimezone(IST)
    return datetime.combine(_months_after(began.date(), cycle.months * number), began.time(), IST).astimezone(
        UTC
    )


def notice_lead(method: str) -> timedelta:
    """How long before a debit its notice goes out; an unknown method gets the longest lead."""
    return NOTICE_LEAD.get(method, max(NOTICE_LEAD.values())) + NOTICE_MARGIN


def due_after(planned: datetime, noticed_at: datetime, method: str) -> datetime:
    """When a debit planned for `planned` may leave if its notice goes out at `noticed_at`."""
    return max(planned, noticed_at + notice_lead(method))


def retry_due(first_due: datetime, attempts: int, noticed_at: datetime, method: str) -> datetime | None:
    """When the next attempt is due after `attempts` failed ones; None where there are no more.

    Attempt n+1 at the later of T+n days and the fresh notice plus the method's lead.
    """
    if attempts >= DEBIT_ATTEMPTS:
        return None
    return due_after(first_due + timedelta(days=attempts), noticed_at, method)


def needs_approval(amount: int, method: str) -> bool:
    """Whether the customer has to approve a debit of that many paise."""
    return amount > UNATTENDED_LIMIT and method not in APPROVED_ONCE


def off_last_day(due: datetime, mandate_from: datetime, cycle: Cycle) -> datetime:
    """A UPI debit due on the last day of the mandate's cycle, moved a day on into the next cycle.

    NPCI, UPI AutoPay: one successful debit a cycle, not on its last day.
    """
    first, day = mandate_from.astimezone(IST).date(), due.astimezone(IST).date()
    tomorrow = day + timedelta(days=1)
    months = (tomorrow.year - first.year) * 12 + tomorrow.month - first.month
    starts = _months_after(first, months) == tomorrow and months % cycle.months == 0
    return due + timedelta(days=1) if starts else due


NATIONAL_HOLIDAYS = frozenset({(1, 26), (8, 15), (10, 2)})
"""Month and day on which banks rest in every state and year; `domain/bank_holidays.py` has the others."""


def is_bank_day(day: date, holidays: Collection[date] = BANK_HOLIDAYS) -> bool:
    """Whether Indian banks work: not on Sundays, second and fourth Saturdays (RBI, 28 Aug 2015), holidays."""
    second_or_fourth_saturday = day.weekday() == 5 and (day.day - 1) // 7 in (1, 3)
    rests = day.weekday() == 6 or second_or_fourth_saturday or (day.month, day.day) in NATIONAL_HOLIDAYS
    return not rests and day not in holidays


def on_bank_day(due: datetime, holidays: Collection[date] = BANK_HOLIDAYS) -> datetime:
    """A bank mandate's debit, moved to the next day on which banks work. UPI and card debits do not move.

    Razorpay's own subscriptions go back instead (T-1, T-3). Ours are noticed and sent by us: nobody is
    debited before what they have paid for is over, and access goes on meanwhile (`ACCESS_GRACE`).
    """
    while not is_bank_day(due.astimezone(IST).date(), holidays):
        due += timedelta(days=1)
    return due


def trial_end(began: datetime, days: int) -> datetime:
    """When a trial of so many Indian calendar days ends (UTC): at the wall-clock time at which it began."""
    local = began.astimezone(IST)
    return datetime.combine(local.date() + timedelta(days=days), local.time(), IST).astimezone(UTC)


def ist_date(at: datetime) -> date:
    """The Indian calendar day of an instant."""
    return at.astimezone(IST).date()


def ist_midnight(day: date) -> datetime:
    """The instant (UTC) at which an Indian calendar day begins."""
    return datetime.combine(day, time(), IST).astimezone(UTC)


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
