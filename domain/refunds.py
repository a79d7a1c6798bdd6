"""Who may have money back, how much, and who has to agree."""

from datetime import date, datetime, timedelta
from enum import StrEnum

from domain.ledger import Account, Entry, credit, debit
from domain.payments import Purpose
from domain.proration import owed_back

COURSE_COOLING_OFF = timedelta(days=7)
"""A course that is not finished may be given back within a week: Treum's own rule, no law gives a term."""

TWO_PEOPLE_ABOVE = 50_000_00
"""Paise. Above it two people of finance agree (`api.md`, billing)."""


class Authority(StrEnum):
    """On whose word a refund is asked for."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    FINANCE = "finance"
    SYSTEM = "system"
    """A process that owes the money: a cancelled subscription, a capture that nobody wants."""


def course_grant(left: int, captured_at: datetime, enrollment_status: str, now: datetime) -> int:
    """Paise that the customer may have back of a course by their own word."""
    in_time = now - captured_at <= COURSE_COOLING_OFF
    return left if in_time and enrollment_status in ("active", "on_hold", "withdrawn") else 0


def subscription_grant(
    amount: int,
    left: int,
    captured_at: datetime,
    period_start: datetime | None,
    period_end: datetime | None,
    status: str,
    now: datetime,
) -> int:
    """Paise of a cancelled subscription's unexpired part, pro rata by the day (SEBI: a research analyst's
    client who leaves gets back what was paid for the unexpired period), of which what has gone back already
    is taken off: the subscription gives it back by itself when it is cancelled.

    Nothing of a payment captured before the present period began: it bought a period that is over.
    """
    if status != "cancelled" or period_start is None or period_end is None or now >= period_end:
        return 0
    if captured_at < period_start:
        return 0
    return owed_back(amount, amount - left, period_start, period_end, now)


def grant(
    purpose: Purpose,
    *,
    amount: int,
    left: int,
    captured_at: datetime,
    status: str,
    period_start: datetime | None,
    period_end: datetime | None,
    now: datetime,
) -> int:
    """What the cancellation rules grant a customer of a payment at `now`, in paise."""
    match purpose:
        case Purpose.COURSE:
            return course_grant(left, captured_at, status, now)
        case Purpose.SUBSCRIPTION:
            return subscription_grant(amount, left, captured_at, period_start, period_end, status, now)


def approvals_due(authority: Authority, amount: int) -> int:
    """How many people of finance have to agree besides the requester.

    One agrees to what support asks, two above the limit; a requester who is of finance counts as one.
    What the rules grant, or a process owes, needs nobody up to the limit; a customer's larger refund needs
    both, a process's none, since the law sets its sum. `amount`: paise, with all that people have asked back
    of the payment before.
    """
    large = amount > TWO_PEOPLE_ABOVE
    match authority:
        case Authority.SUPPORT:
            return 2 if large else 1
        case Authority.FINANCE:
            return 1 if large else 0
        case Authority.CUSTOMER:
            return 2 if large else 0
        case Authority.SYSTEM:
            return 0


def returned_entry(refund_id: str, day: date, amount: int, references: tuple[str, ...] = ()) -> Entry:
    """The customer's bank sent back what the gateway had paid out: we owe it again."""
    return Entry(
        business_key=f"returned:{refund_id}",
        date=day,
        lines=(*debit(Account.GATEWAY_CLEARING, amount), *credit(Account.REFUNDS_PAYABLE, amount)),
        references=(refund_id, *references),
    )


def second_payout_entry(refund_id: str, day: date, amount: int, references: tuple[str, ...] = ()) -> Entry:
    """A returned refund is paid by bank transfer; the first payout keeps its own key."""
    return Entry(
        business_key=f"second-payout:{refund_id}",
        date=day,
        lines=(*debit(Account.REFUNDS_PAYABLE, amount), *credit(Account.BANK, amount)),
        references=(refund_id, *references),
    )


def forfeited_entry(
    refund_id: str, day: date, amount: int, left: int, references: tuple[str, ...] = ()
) -> Entry:
    """A lost dispute has paid the customer what finance owed: we owe it no more, and lost no more than the
    sale that the credit note took back. `left` is owed still; both in paise."""
    return Entry(
        business_key=f"forfeited:{refund_id}:{left}",
        date=day,
        lines=(*debit(Account.REFUNDS_PAYABLE, amount), *credit(Account.BAD_DEBT, amount)),
        references=(refund_id, *references),
    )
