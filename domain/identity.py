"""Pure rules of sign-in: how contacts are written, how long things live, when a lock or a reuse is due."""

import re
from datetime import datetime, timedelta
from enum import StrEnum

CODE_LIFETIME = timedelta(minutes=10)
CODE_TRIES = 5
SESSION_LIFETIME = timedelta(days=7)
"""Of a refresh token, counted anew at each use (spec/platform.md)."""
REUSE_GRACE = timedelta(seconds=10)
"""A spent refresh token that comes again this soon is a lost answer, not a theft (api.md)."""
UNVERIFIED_LIFETIME = timedelta(days=1)
"""An account whose owner proved neither contact gives both free after this."""

FREE_FAILURES = 5
LOCK_STEP = timedelta(seconds=30)
LONGEST_LOCK = timedelta(minutes=15)
FAILURES_FORGOTTEN = timedelta(hours=24)

_EMAIL = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}"
)
_E164 = re.compile(r"\+[1-9]\d{7,14}")


class Channel(StrEnum):
    """Where a person can be reached and proves it."""

    EMAIL = "email"
    PHONE = "phone"


class Role(StrEnum):
    """What a member of staff may hold."""

    ADMIN = "admin"
    COMPLIANCE = "compliance"
    FINANCE = "finance"
    ANALYST = "analyst"
    INSTRUCTOR = "instructor"
    SUPPORT = "support"


def normalise_email(text: str) -> str:
    """The mail address in the one form that is indexed: lower case, no outer blanks.

    Raises:
        ValueError: not a mail address that mail could reach.
    """
    address = text.strip().lower()
    if len(address) > 254 or not _EMAIL.fullmatch(address):
        raise ValueError("not a mail address")
    return address


def normalise_phone(text: str) -> str:
    """The number in E.164; ten digits without a country are Indian, which start with 6 to 9.

    Raises:
        ValueError: not a telephone number.
    """
    digits = re.sub(r"[\s().-]", "", text)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if not digits.startswith("+"):
        national = digits.removeprefix("0")
        if re.fullmatch(r"91[6-9]\d{9}", national):
            national = national[2:]
        if not re.fullmatch(r"[6-9]\d{9}", national):
            raise ValueError("not an Indian mobile number")
        digits = "+91" + national
    if not _E164.fullmatch(digits) or (
        digits.startswith("+91") and not re.fullmatch(r"\+91[6-9]\d{9}", digits)
    ):
        raise ValueError("not a telephone number")
    return digits


def lock_after(failures: int) -> timedelta | None:
    """How long sign-in rests after so many failures in a row: 30 s from the fifth, doubling to 15 min."""
    if failures < FREE_FAILURES:
        return None
    return min(LOCK_STEP * 2 ** min(failures - FREE_FAILURES, 10), LONGEST_LOCK)


class Refresh(StrEnum):
    """What to do with a refresh token that was presented."""

    ROTATE = "rotate"
    """Unspent: spend it for a new pair."""
    REPEAT = "repeat"
    """Spent a moment ago, its successor unused: void that one and give a fresh pair."""
    REUSED = "reused"
    """Someone else has it too: end the family."""
    EXPIRED = "expired"


def judge_refresh(
    *,
    spent_at: datetime | None,
    voided: bool,
    expires_at: datetime,
    successor_used: bool,
    now: datetime,
) -> Refresh:
    """The rule of rotation with reuse detection (RFC 9700, 4.14.2) and its grace of ten seconds."""
    if voided:
        return Refresh.REUSED
    if spent_at is None:
        return Refresh.EXPIRED if expires_at <= now else Refresh.ROTATE
    if now - spent_at <= REUSE_GRACE and not successor_used:
        return Refresh.REPEAT
    return Refresh.REUSED
