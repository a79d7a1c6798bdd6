"""Pure rules of KYC: tiers and their limits, the weights of the risk score, what a set of results means.

Figures: the founding document (`spec/platform.md`, KYC), in force from 1 January 2026; the terms of law are
named where they stand. Amounts are paise.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum


class Tier(StrEnum):
    """How far a customer is known; each one includes what the one before needs."""

    BASIC = "basic"
    """PAN and Aadhaar."""
    INTERMEDIATE = "intermediate"
    """And a proof of address under six months old."""
    ADVANCED = "advanced"
    """And a proof of income under three months old, and a video call."""

    @property
    def rank(self) -> int:
        return list(Tier).index(self)


class Status(StrEnum):
    """Where a customer's KYC stands, as the customer sees it."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    ACTION_REQUIRED = "action_required"
    MANUAL_REVIEW = "manual_review"
    VERIFIED = "verified"
    REJECTED = "rejected"
    EXPIRED = "expired"


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.IN_PROGRESS, Status.EXPIRED}),
    Status.IN_PROGRESS: frozenset(
        {Status.PENDING, Status.ACTION_REQUIRED, Status.MANUAL_REVIEW, Status.VERIFIED, Status.REJECTED}
    ),
    Status.ACTION_REQUIRED: frozenset({Status.PENDING, Status.IN_PROGRESS, Status.EXPIRED}),
    Status.MANUAL_REVIEW: frozenset(
        {Status.PENDING, Status.ACTION_REQUIRED, Status.VERIFIED, Status.REJECTED}
    ),
    # Renewed or raised by the customer, or hit when the watchlist changed.
    Status.VERIFIED: frozenset({Status.IN_PROGRESS, Status.MANUAL_REVIEW, Status.EXPIRED}),
    # Handed in again, or appealed against.
    Status.REJECTED: frozenset({Status.IN_PROGRESS, Status.MANUAL_REVIEW}),
    Status.EXPIRED: frozenset({Status.IN_PROGRESS}),
}
"""Every step that a customer's KYC takes; held by `workflows/onboarding_book.py`, which alone moves it."""

RESTING = frozenset({Status.VERIFIED, Status.REJECTED, Status.EXPIRED})
"""Nothing moves from here by itself for a long while: a reader has nothing to wait for."""


class Step(StrEnum):
    """What is checked, in this order."""

    DOCUMENTS = "document_verification"
    IDENTITY = "identity_verification"
    AML = "aml_screening"
    SANCTIONS = "sanctions_screening"


SCREENING = frozenset({Step.AML, Step.SANCTIONS})
"""Steps whose results a customer is never told (PMLA: no tipping off)."""


class Result(StrEnum):
    """What a step came to."""

    PASSED = "passed"
    FLAGGED = "flagged"
    """Counts towards the score and does not stop anything by itself."""
    UNFIT = "action_required"
    """Cannot be judged as it came; the customer can mend it."""
    REJECTED = "rejected"


WEIGHTS: Mapping[Step, int] = {Step.DOCUMENTS: 30, Step.IDENTITY: 25, Step.AML: 25, Step.SANCTIONS: 20}
REJECT_OVER = 80
REVIEW_OVER = 50

REVIEW_WITHIN = timedelta(hours=24)
VALID_YEARS = 2
REMIND_BEFORE = timedelta(days=30)
RENEW_BEFORE = timedelta(days=60)
"""How long before its end a verification may be renewed at the same tier."""
MOST_TRIES = 3
"""Submissions that may fail for the customer's own mistakes before a person looks."""
ADULT_YEARS = 18
PROOF_OF_ADDRESS_MONTHS = 6
PROOF_OF_INCOME_MONTHS = 3

PAN = re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]")
"""Shape of a PAN (Income Tax Rules, 114)."""


@dataclass(frozen=True)
class Limits:
    """The most a customer may pay, in paise; None: not bounded."""

    single: int | None
    daily: int | None
    monthly: int | None


LIMITS: Mapping[date, Mapping[Tier, Limits]] = {
    date(2026, 1, 1): {
        Tier.BASIC: Limits(50_000_00, 2_00_000_00, 10_00_000_00),
        Tier.INTERMEDIATE: Limits(5_00_000_00, 5_00_000_00, 10_00_000_00),
        # Flagged and reviewed above other tiers' figures, never blocked.
        Tier.ADVANCED: Limits(None, None, None),
    }
}
"""By the day they came into force."""


def limits_of(tier: Tier, on: date) -> Limits:
    """The limits of a tier on that day (Asia/Kolkata).

    Raises:
        ValueError: the day is before the first figures.
    """
    in_force = [day for day in LIMITS if day <= on]
    if not in_force:
        raise ValueError("no limits were in force on that day")
    return LIMITS[max(in_force)][tier]


def risk_score(results: Mapping[Step, Result]) -> int:
    """0 to 100: the weights of the steps that were rejected or flagged."""
    counted = (Result.REJECTED, Result.FLAGGED)
    return sum(WEIGHTS[step] for step, result in results.items() if result in counted)


class Verdict(StrEnum):
    """What follows from the results."""

    VERIFY = "verify"
    REVIEW = "review"
    REJECT = "reject"
    ASK = "ask"
    """The customer has to send something again."""


def judge(results: Mapping[Step, Result], *, open_hits: int, tries: int) -> Verdict:
    """What the results of one submission mean.

    A failed document rejects at once; an open screening hit goes to a person whatever the score. An
    identity that was refuted never passes, whatever the score: nobody would know who was verified.
    """
    if results.get(Step.DOCUMENTS) is Result.REJECTED:
        return Verdict.REJECT
    if open_hits:
        return Verdict.REVIEW
    score = risk_score(results)
    if score > REJECT_OVER:
        return Verdict.REJECT
    if score > REVIEW_OVER:
        return Verdict.REVIEW
    if Result.UNFIT in results.values():
        return Verdict.ASK
    if Result.REJECTED in results.values():
        return Verdict.ASK if tries < MOST_TRIES else Verdict.REVIEW
    return Verdict.VERIFY


def expiry(verified_at: datetime) -> datetime:
    """When the customer has to be verified again."""
    return _years_later(verified_at, VALID_YEARS)


def is_adult(born: date, on: date) -> bool:
    """Whether a person of that birth date may open an account (Indian Contract Act, s.11)."""
    return (on.year - born.year) - ((on.month, on.day) < (born.month, born.day)) >= ADULT_YEARS


def is_persons_pan(pan: str) -> bool:
    """Whether the fourth letter, the kind of holder, is a person's."""
    return pan[3:4] == "P"


def is_fresh(issued_on: date, on: date, months: int) -> bool:
    """Whether a proof issued then is under that many months old; one of tomorrow is none."""
    year, month = divmod(issued_on.year * 12 + issued_on.month - 1 + months, 12)
    end = (month + 1, issued_on.day)
    return issued_on <= on and (on.year, on.month, on.day) < (year, *end)


PROOFS_OF_ADDRESS = frozenset(
    {"address_proof", "proof_of_address", "utility_bill", "bank_statement", "rent_agreement", "passport"}
)
PROOFS_OF_INCOME = frozenset(
    {"income_proof", "proof_of_income", "salary_slip", "itr", "form_16", "net_worth_certificate"}
)
VIDEO_CALLS = frozenset({"video_kyc", "video_call", "video"})
"""Types of documents; the content of a video call is the provider's reference to it."""

_FORMATS = (b"%PDF-", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def is_readable(content: bytes) -> bool:
    """Whether a file is one that a person can look at: PDF, JPEG or PNG."""
    return content.startswith(_FORMATS)


def judge_proof(
    found: list[tuple[date | None, bytes]], *, months: int, on: date, name: str
) -> tuple[Result, list[str]]:
    """What the proofs of one kind come to: the first that will do counts; a stale one is refuted.

    `found` holds (date of issue, content); codes begin with `name`.
    """
    if not found:
        return Result.UNFIT, [f"{name}_missing"]
    codes: list[tuple[Result, str]] = []
    for issued_on, content in found:
        if not is_readable(content):
            codes.append((Result.UNFIT, f"{name}_unreadable"))
        elif issued_on is None:
            codes.append((Result.UNFIT, f"{name}_undated"))
        elif not is_fresh(issued_on, on, months):
            codes.append((Result.REJECTED, f"{name}_too_old"))
        else:
            return Result.PASSED, []
    return worst(result for result, _ in codes), [code for _, code in codes]


class NameMatch(StrEnum):
    SAME = "same"
    CLOSE = "close"
    """A middle name or an initial apart: flagged."""
    OTHER = "other"


def match_names(one: str, other: str) -> NameMatch:
    """Compares two spellings of a person's name: case, accents, dots, blanks and order do not count."""
    first, second = _words(one), _words(other)
    if sorted(first) == sorted(second) or "".join(first) == "".join(second):
        return NameMatch.SAME
    shorter, longer = sorted((first, second), key=len)
    return NameMatch.CLOSE if len(shorter) > 1 and _contained(shorter, longer) else NameMatch.OTHER


def _contained(shorter: list[str], longer: list[str]) -> bool:
    """Each word of the shorter name stands in the longer one, at most all but one as an initial."""
    left, whole = list(longer), 0
    for word in sorted(shorter, key=len, reverse=True):
        found = next((other for other in left if other == word), None)
        if found is not None:
            whole += 1
        else:
            found = next((o for o in left if o[0] == word[0] and 1 in (len(o), len(word))), None)
        if found is None:
            return False
        left.remove(found)
    return whole > 0


def _words(name: str) -> list[str]:
    marked = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(letter for letter in marked if not unicodedata.combining(letter))
    return re.sub(r"[^\w\s]", " ", plain).split()


def is_sanction(programme: str) -> bool:
    """Whether a list's programme is sanctions; what is neither PEP nor adverse media counts as such."""
    name = programme.casefold()
    return not ("pep" in name or "politically" in name or "adverse" in name)


def worst(results: Iterable[Result]) -> Result:
    """The gravest of some results; PASSED of none."""
    return max(results, key=list(Result).index, default=Result.PASSED)


def _years_later(moment: datetime, years: int) -> datetime:
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year + years, day=28)
