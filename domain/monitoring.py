"""Monitoring of payments: what is looked at before money moves, and what each flag does.

Figures: the founding document (`spec/platform.md`, KYC). Flags, scores and figures are for staff only: a
customer sees one of the neutral codes of `CODES`, which say nothing of what was measured (PMLA: no tipping
off). Amounts are paise.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from statistics import median

from pydantic import BaseModel

from domain.gst import india_date
from domain.kyc import Tier, limits_of


class Effect(StrEnum):
    """What a flag does, the gravest last."""

    FLAG = "flag"
    """Compliance is told; the payment goes on."""
    REVIEW = "review"
    """The money is held, not taken, until a compliance officer has decided."""
    BLOCK = "block"
    """The payment is refused, or its held money goes back."""


class Flag(StrEnum):
    """What monitoring saw."""

    HIGH_VALUE = "HIGH_VALUE_TRANSACTION"
    SINGLE_LIMIT = "SINGLE_LIMIT_EXCEEDED"
    DAILY_LIMIT = "DAILY_LIMIT_EXCEEDED"
    MONTHLY_LIMIT = "MONTHLY_LIMIT_EXCEEDED"
    VELOCITY = "VELOCITY_EXCEEDED"
    UNUSUAL = "UNUSUAL_PATTERN"
    LOCATION = "LOCATION_RISK"
    FRAUD = "FRAUD_SCORE"


EFFECTS: Mapping[Flag, Effect] = {
    Flag.HIGH_VALUE: Effect.FLAG,
    Flag.SINGLE_LIMIT: Effect.BLOCK,
    Flag.DAILY_LIMIT: Effect.BLOCK,
    Flag.MONTHLY_LIMIT: Effect.BLOCK,
    Flag.VELOCITY: Effect.FLAG,
    Flag.UNUSUAL: Effect.FLAG,
    Flag.LOCATION: Effect.FLAG,
    Flag.FRAUD: Effect.BLOCK,
}
"""What each flag does by itself. More than one flag on a payment is a review at least."""

ADVANCED_EFFECTS: Mapping[Flag, Effect] = {
    Flag.DAILY_LIMIT: Effect.REVIEW,
    Flag.MONTHLY_LIMIT: Effect.REVIEW,
}
"""The advanced tier has no limits: above the figures of the tier below it is reviewed, never blocked."""

CODES: Mapping[Flag, str] = {
    Flag.SINGLE_LIMIT: "kyc_tier_required",
    Flag.DAILY_LIMIT: "limit_exceeded",
    Flag.MONTHLY_LIMIT: "limit_exceeded",
    Flag.FRAUD: "payment_declined",
}
"""What the customer is told of a flag that blocks; a limit goes before a score."""

DECLINED = "payment_declined"
"""What the customer is told where a compliance officer blocked the payment."""
LAPSED = "review_expired"
"""What the customer is told where nobody decided in time."""

ESCALATE_AFTER = timedelta(hours=24)
"""A review that is not decided by then is escalated (`spec/platform.md`: a person decides in 24 hours)."""
DECIDE_WITHIN = timedelta(hours=60)
"""Uncaptured money goes back after three days (Razorpay); half a day is left for the capture and for having
heard late of the authorisation."""


@dataclass(frozen=True)
class Figures:
    """The figures in force on a day; a flag is raised above each of them."""

    high_value: int
    second_factor_above: int
    """Strong customer authentication is due above it."""
    video_call_above: int
    """A video call is due above it. The advanced tier has had one; a payment of a lower tier is a review, in
    which compliance hold the call before the money is taken."""
    an_hour: int
    """Payments of one customer in any hour, this one counted."""
    deviation: Decimal
    location: int
    fraud: int
    least_history: int
    """Payments that a customer has to have made before a pattern is spoken of."""
    least_spread: Fraction
    """Of the median: who always pays one price has no spread to measure by."""


FIGURES: Mapping[date, Figures] = {
    date(2026, 1, 1): Figures(
        high_value=50_000_00,
        second_factor_above=50_000_00,
        video_call_above=2_00_000_00,
        an_hour=10,
        deviation=Decimal(5),
        location=70,
        fraud=80,
        least_history=5,
        least_spread=Fraction(1, 4),
    )
}
"""By the day they came into force."""


def figures_of(on: date) -> Figures:
    """The figures in force on that day (Asia/Kolkata).

    Raises:
        ValueError: the day is before the first figures.
    """
    in_force = [day for day in FIGURES if day <= on]
    if not in_force:
        raise ValueError("no figures of monitoring were in force on that day")
    return FIGURES[max(in_force)]


def needs_second_factor(amount: int, now: datetime) -> bool:
    """Whether a payment of that amount needs strong customer authentication."""
    return amount > figures_of(india_date(now)).second_factor_above


class Turnover(BaseModel):
    """What the customer has paid or is about to pay besides this, in paise: the day and month in India."""

    day: int
    month: int


@dataclass(frozen=True)
class Facts:
    """What monitoring looks at, of one payment of one customer."""

    amount: int
    on: date
    """The business day in India."""
    tier: Tier | None
    """None without KYC in force."""
    turnover: Turnover
    in_the_hour: int = 0
    """Payments that the customer opened in the hour before, besides this."""
    history: Sequence[int] = ()
    """Amounts that the customer has paid before."""
    location_risk: int | None = None
    """0 to 100, from whoever judges places; None where nobody has."""
    fraud_score: int | None = None


@dataclass(frozen=True)
class Finding:
    """A flag with what was measured and what is allowed (paise, payments, or points)."""

    flag: Flag
    effect: Effect
    measured: Decimal
    allowed: Decimal


@dataclass(frozen=True)
class Assessment:
    """What monitoring makes of a payment."""

    findings: tuple[Finding, ...] = ()
    without_kyc: bool = False

    @property
    def code(self) -> str | None:
        """The neutral code by which the payment is refused, or None."""
        if self.without_kyc:
            return "kyc_tier_required"
        blocking = {each.flag for each in self.findings if each.effect is Effect.BLOCK}
        return next((code for flag, code in CODES.items() if flag in blocking), None)

    def reviewed(self, before: Iterable[str] = ()) -> bool:
        """Whether a person has to look, with the flags that the payment carries from before."""
        flags = {*before, *(each.flag.value for each in self.findings)}
        return len(flags) > 1 or any(each.effect is Effect.REVIEW for each in self.findings)


def assess(facts: Facts) -> Assessment:
    """Holds a payment against limits, velocity, pattern, place and fraud score."""
    if facts.tier is None:
        return Assessment(without_kyc=True)
    figures = figures_of(facts.on)
    advanced = facts.tier is Tier.ADVANCED
    effects = {**EFFECTS, **ADVANCED_EFFECTS} if advanced else EFFECTS
    own = limits_of(facts.tier, facts.on)
    over = limits_of(Tier.INTERMEDIATE, facts.on) if advanced else own
    high_value = figures.high_value
    if not advanced and facts.amount > figures.video_call_above:
        high_value, effects = figures.video_call_above, {**effects, Flag.HIGH_VALUE: Effect.REVIEW}
    score = deviation(facts.amount, facts.history, figures)
    measured: list[tuple[Flag, int | Decimal | None, int | Decimal | None]] = [
        (Flag.HIGH_VALUE, facts.amount, high_value),
        (Flag.SINGLE_LIMIT, facts.amount, own.single),
        (Flag.DAILY_LIMIT, facts.turnover.day + facts.amount, over.daily),
        (Flag.MONTHLY_LIMIT, facts.turnover.month + facts.amount, over.monthly),
        (Flag.VELOCITY, facts.in_the_hour + 1, figures.an_hour),
        (Flag.UNUSUAL, score, figures.deviation),
        (Flag.LOCATION, facts.location_risk, figures.location),
        (Flag.FRAUD, facts.fraud_score, figures.fraud),
    ]
    return Assessment(
        tuple(
            Finding(flag, effects[flag], Decimal(found), Decimal(allowed))
            for flag, found, allowed in measured
            if found is not None and allowed is not None and found > allowed
        )
    )


def deviation(amount: int, history: Sequence[int], figures: Figures) -> Decimal | None:
    """How far an amount lies above what the customer usually pays; None of too few payments.

    The modified z-score: 0.6745 times the distance from the median over the median absolute deviation, which
    single large payments do not move (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993). Below
    the median it is negative.
    """
    if len(history) < figures.least_history:
        return None
    paid = [Fraction(each) for each in history]
    middle = median(paid)
    spread = max(median([abs(each - middle) for each in paid]), middle * figures.least_spread)
    score = Fraction("0.6745") * (amount - middle) / spread
    return Decimal(score.numerator * 100 // score.denominator) / 100
