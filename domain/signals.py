"""What a trading signal may say, where it may go, and what it really brought. Pure.

Sources: the founding document (distribution above a confidence of 75, five a day on the free plan), SEBI's
regulations for research analysts (rationale, disclosure, five years' keeping, every signal counts).
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

INDIA = ZoneInfo("Asia/Kolkata")

DISTRIBUTED_ABOVE = 75
"""Only signals of a higher confidence are distributed (founding document, Signals)."""
FREE_A_DAY = 5
"""Signals a day on the free plan (founding document, Plans and limits)."""
KEPT_YEARS = 5
"""How long a published recommendation is kept (SEBI, research analysts, reg. 25)."""
LONGEST_LIFE = timedelta(days=3660)
HISTORY_DEPTH: dict[str, timedelta | None] = {"premium": timedelta(days=90), "enterprise": None}
"""How far back a plan's history reaches; the free plan sees what was delivered to it (own rule, 2026)."""

PERCENT = Decimal("0.0001")
RATIO = Decimal("0.01")


class Action(StrEnum):
    BUY = "buy"
    SELL = "sell"
    HOLD = "hold"
    EXIT = "exit"


class Timeframe(StrEnum):
    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"


class Status(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    LIVE = "live"
    """Published, and the market has been seen since."""
    TARGET = "target"
    STOP = "stop"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


OPEN = frozenset({Status.PUBLISHED, Status.LIVE})
CLOSED = frozenset({Status.TARGET, Status.STOP, Status.EXPIRED, Status.WITHDRAWN})
MOVES: dict[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.PUBLISHED, Status.EXPIRED, Status.WITHDRAWN}),
    # A level counts only from the first price seen after publication.
    Status.PUBLISHED: frozenset({Status.LIVE, Status.EXPIRED, Status.WITHDRAWN}),
    Status.LIVE: frozenset({Status.TARGET, Status.STOP, Status.EXPIRED, Status.WITHDRAWN}),
    **{status: frozenset() for status in (Status.TARGET, Status.STOP, Status.EXPIRED, Status.WITHDRAWN)},
}
"""Every step that a signal takes; held by `store/signals.py`."""


@dataclass(frozen=True)
class Levels:
    """A signal's prices, in the instrument's own currency."""

    action: Action
    entry: Decimal
    target: Decimal | None
    stop: Decimal | None


@dataclass(frozen=True)
class Flaw:
    """A field that cannot be as it is."""

    field: str
    code: str


def price_flaws(levels: Levels) -> list[Flaw]:
    """What is wrong with the prices: a buy has its stop below the entry and its target above, a sell the
    other way round; to hold or to exit needs neither."""
    flaws: list[Flaw] = []
    if levels.action not in (Action.BUY, Action.SELL):
        return flaws
    up = levels.action is Action.BUY
    if levels.target is None:
        flaws.append(Flaw("target_price", "price_required"))
    elif (levels.target <= levels.entry) if up else (levels.target >= levels.entry):
        flaws.append(Flaw("target_price", "target_on_wrong_side"))
    if levels.stop is None:
        flaws.append(Flaw("stop_loss", "price_required"))
    elif (levels.stop >= levels.entry) if up else (levels.stop <= levels.entry):
        flaws.append(Flaw("stop_loss", "stop_on_wrong_side"))
    return flaws


def expiry_flaw(expires_at: datetime, now: datetime) -> Flaw | None:
    """A signal ends in the future, and not beyond what is kept."""
    if expires_at <= now:
        return Flaw("expires_at", "expires_in_the_past")
    return Flaw("expires_at", "expires_too_late") if expires_at - now > LONGEST_LIFE else None


def refusal_to_publish(
    status: Status,
    confidence: int,
    expires_at: datetime,
    now: datetime,
    *,
    rationale: bool,
    disclosure: bool,
    passed: bool = False,
) -> str | None:
    """Why a draft may not be published, as a stable code; None where it may. `passed`: the market is already
    beyond its target or its stop, so that its time stamp would come after the move."""
    if status is not Status.DRAFT:
        return "not_a_draft"
    if not rationale:
        return "rationale_required"
    if not disclosure:
        return "disclosure_required"
    if confidence <= DISTRIBUTED_ABOVE:
        return "confidence_too_low"
    if expires_at <= now:
        return "signal_expired"
    return "level_passed" if passed else None


def risk_reward(levels: Levels) -> Decimal | None:
    """Distance to the target over distance to the stop, two decimals; None without both."""
    if levels.target is None or levels.stop is None or levels.stop == levels.entry:
        return None
    ratio = abs(levels.target - levels.entry) / abs(levels.entry - levels.stop)
    return ratio.quantize(RATIO, ROUND_HALF_UP)


def reached(levels: Levels, price: Decimal) -> Status | None:
    """Whether a market price has reached the target or the stop; a stop that is crossed counts first."""
    if levels.action not in (Action.BUY, Action.SELL) or levels.target is None or levels.stop is None:
        return None
    sign = 1 if levels.action is Action.BUY else -1
    if sign * price <= sign * levels.stop:
        return Status.STOP
    return Status.TARGET if sign * price >= sign * levels.target else None


def true_return(action: Action, entry: Decimal | None, exit_price: Decimal | None) -> Decimal | None:
    """Percent from the first price seen after publication to the price at its end, before costs; four
    decimals. None where the market was not seen, or the signal named no trade."""
    if action not in (Action.BUY, Action.SELL) or entry is None or exit_price is None:
        return None
    gain = exit_price - entry if action is Action.BUY else entry - exit_price
    return (gain / entry * 100).quantize(PERCENT, ROUND_HALF_UP)


def counted_return(
    action: Action, entry: Decimal | None, exit_price: Decimal | None, stop: Decimal | None
) -> Decimal | None:
    """What a closed signal counts with when the house says how it did: every published one, none chosen.

    None: it named no trade (to hold, to exit). 0: nobody could have entered, since the market was never seen
    between its publication and its end. One that was entered and whose end nobody saw counts as stopped, the
    worst that it named.
    """
    if action not in (Action.BUY, Action.SELL):
        return None
    if entry is None:
        return Decimal(0).quantize(PERCENT)
    return true_return(action, entry, exit_price if exit_price is not None else stop)


def kept_until(published_at: datetime) -> datetime:
    """The end of the keeping term; 29 February is kept to 1 March."""
    year = published_at.year + KEPT_YEARS
    try:
        return published_at.replace(year=year)
    except ValueError:
        return published_at.replace(year=year, month=3, day=1)


def quantity_for(value: int, price: Decimal, lot: int) -> int:
    """How many whole lots at `price` rupees cost at most `value` paise."""
    return int(value // (price * 100 * lot)) * lot


def allowance_day(moment: datetime) -> date:
    """The day that a daily allowance counts by: Asia/Kolkata."""
    return moment.astimezone(INDIA).date()


def allowance_renews(moment: datetime) -> datetime:
    """When the next day's allowance begins."""
    return datetime.combine(allowance_day(moment) + timedelta(days=1), datetime.min.time(), INDIA)
