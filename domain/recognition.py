"""When revenue is earned: evenly over the days of what was sold, to the paisa.

A subscription's period is earned day by day (Ind AS 115.35(a): the customer receives the benefit as it is
provided). A course is earned over the time of its access, and ahead of that by progress: who has done half
of it has received half of it. A refund takes what is not yet recognised first; only what exceeds that
reverses revenue.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from domain.ledger import Account


class Kind(StrEnum):
    """What was sold, by the account its revenue goes to."""

    SUBSCRIPTION = "subscription"
    COURSE = "course"


ACCOUNTS = {
    Kind.SUBSCRIPTION: Account.REVENUE_SUBSCRIPTIONS,
    Kind.COURSE: Account.REVENUE_COURSES,
}


@dataclass(frozen=True)
class Segment:
    """A stretch that is earned evenly from `starts_on` to the day before `ends_on`; amounts in paise.

    From `cut_on` on, `kept` of it is earned and no more comes. `recognised` is what the book has of it, by
    runs through `posted_through`.
    """

    number: int
    amount: int
    starts_on: date
    ends_on: date
    cut_on: date | None = None
    kept: int | None = None
    posted_through: date | None = None

    def earned(self, through: date | None) -> int:
        """Paise earned through a day: whole days over all days, rounded down."""
        if through is None:
            return 0
        if self.cut_on is not None and through >= self.cut_on:
            return self.kept or 0
        days = max((self.ends_on - self.starts_on).days, 1)
        done = min(max((through - self.starts_on).days + 1, 0), days)
        return min(self.amount * done // days, self.final)

    @property
    def recognised(self) -> int:
        return self.earned(self.posted_through)

    @property
    def final(self) -> int:
        """What will have been earned in the end."""
        return self.amount if self.kept is None else self.kept

    @property
    def rest(self) -> int:
        """What is in the book as deferred."""
        return self.final - self.recognised


@dataclass(frozen=True)
class Change:
    """Segments as they stand after a change, and a new one for what is left of a cut one."""

    changed: tuple[Segment, ...] = ()
    added: Segment | None = None


def stopped(segments: Sequence[Segment], on: date) -> Change:
    """What was sold ends on a day: all that was not given back is earned on it."""
    return Change(
        tuple(
            _cut(segment, on, segment.final)
            for segment in segments
            if segment.kept is None and segment.earned(on) < segment.amount
        )
    )


def progressed(segments: Sequence[Segment], percent: int, on: date) -> Change:
    """A course of which `percent` is done on a day: that share of what was not given back is earned, where
    time alone has not earned as much; what is left is earned over the time that is left."""
    *before, last = segments
    if last.kept is not None:
        return Change()
    target = sum(segment.final for segment in segments) * percent // 100
    target -= sum(segment.final for segment in before)
    target = min(target, last.amount)
    if target <= max(last.earned(on), last.recognised):
        return Change()
    return _rebased(last, on, target, last.amount - target)


def refunded(segments: Sequence[Segment], amount: int, on: date) -> tuple[int, Change]:
    """Takes back `amount` paise of net price on a day; how much of it had not been recognised, and the
    segments after. What exceeds that reverses revenue."""
    deferred = min(amount, sum(segment.rest for segment in segments))
    left, changed, added = deferred, [], None
    for segment in reversed(segments):
        taken = min(left, segment.rest)
        if not taken:
            continue
        left -= taken
        if segment.kept is not None:
            changed.append(replace(segment, kept=segment.kept - taken))
            continue
        day_before = date.fromordinal(on.toordinal() - 1)
        total = segment.amount - taken
        kept = min(max(segment.recognised, segment.earned(day_before)), total)
        change = _rebased(segment, on, kept, total - kept)
        changed.extend(change.changed)
        added = change.added
    return deferred, Change(tuple(changed), added)


def _rebased(segment: Segment, on: date, kept: int, rest: int) -> Change:
    """Cuts a segment and lets `rest` be earned over what is left of its time."""
    starts = max(on, segment.starts_on)
    added = Segment(segment.number + 1, rest, starts, max(segment.ends_on, starts)) if rest else None
    return Change((_cut(segment, on, kept),), added)


def _cut(segment: Segment, on: date, kept: int) -> Segment:
    """Cut on a day, or on the first one that no run has covered: what the book has stays as it is."""
    posted = segment.posted_through
    first_open = on if posted is None else max(on, date.fromordinal(posted.toordinal() + 1))
    return replace(segment, cut_on=first_open, kept=kept)
