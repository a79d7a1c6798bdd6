"""Rules of UIDAI's Aadhaar offline e-KYC file that need no file: hashes, reference ids, age.

Sources: UIDAI, "How will service providers use Aadhaar Offline e-KYC?" (hashing logic) and "About
Aadhaar Paperless Offline e-KYC" (reference id); RBI, Master Direction KYC, para 18 (age).
"""

import hashlib
import hmac
import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")

MAX_AGE_WORKING_DAYS = 3
"""RBI, Master Direction KYC, para 18 as amended 10 May 2021: the file may be three working days old."""

CLOCK_SKEW = timedelta(minutes=10)
"""How far ahead of us UIDAI's clock may be; a file from later than that was not made by UIDAI."""

_BIRTH = re.compile(r"(\d{2})-(\d{2})-(\d{4})")
_REFERENCE = re.compile(r"(?P<last4>\d{4})(?P<stamp>\d{14})(?P<millis>\d{3})")


def contact_hash(contact: str, share_code: str, last_digit: int) -> str:
    """SHA-256 over contact + share code, as hex, repeated over its own hex `last_digit` times.

    A last digit of 0 or 1 hashes once (UIDAI's page).

    Raises:
        ValueError: `last_digit` is no digit.
    """
    if not 0 <= last_digit <= 9:
        raise ValueError("the last digit is a single digit")
    digest = contact + share_code
    for _ in range(max(last_digit, 1)):
        digest = hashlib.sha256(digest.encode()).hexdigest()
    return digest


def national_mobile(mobile: str) -> str:
    """The ten digits that UIDAI hashes: without the country code, blanks or signs."""
    return re.sub(r"\D", "", mobile)[-10:]


def mobile_matches(found: str, mobile: str, share_code: str, last_digit: int) -> bool:
    """Whether the file's mobile hash `found` is that of `mobile`. A file without one matches nobody."""
    return _same(found, contact_hash(national_mobile(mobile), share_code, last_digit))


def email_matches(found: str, email: str, share_code: str, last_digit: int) -> bool:
    """Whether the file's mail hash is that of `email`.

    UIDAI describes two logics, the mobile's and a plain SHA-256 of the mail: files of both are about.
    """
    plain = hashlib.sha256(email.encode()).hexdigest()
    return _same(found, contact_hash(email, share_code, last_digit)) or _same(found, plain)


def _same(found: str, expected: str) -> bool:
    return bool(found) and hmac.compare_digest(found.strip().lower().encode(), expected.encode())


def read_reference(reference_id: str) -> tuple[str, datetime]:
    """Splits a reference id into the Aadhaar number's last four digits and the file's own time (IST).

    Raises:
        ValueError: not four digits and a `yyyymmddhhmmssSSS` timestamp.
    """
    match = _REFERENCE.fullmatch(reference_id)
    if match is None or not reference_id.isascii():
        raise ValueError("a reference id is four digits and a timestamp")
    made = datetime.strptime(match["stamp"], "%Y%m%d%H%M%S").replace(tzinfo=IST)
    return match["last4"], made.replace(microsecond=int(match["millis"]) * 1000)


def read_birth_date(dob: str) -> date:
    """A `Poi` element's `dob`, dd-mm-yyyy.

    Raises:
        ValueError: another form.
    """
    match = _BIRTH.fullmatch(dob)
    if match is None:
        raise ValueError("a date of birth is dd-mm-yyyy")
    day, month, year = (int(part) for part in match.groups())
    return date(year, month, day)


def working_days_since(made: date, today: date) -> int:
    """Mondays to Fridays after `made`, up to and including `today`; 0 where `today` is not later."""
    days = max((today - made).days, 0)
    weeks, rest = divmod(days, 7)
    return weeks * 5 + sum((made + timedelta(n)).weekday() < 5 for n in range(1, rest + 1))


def is_too_old(made: datetime, as_of: datetime) -> bool:
    """Whether a file made at `made` may no longer be taken at `as_of`.

    Bank holidays count as working days, which can only refuse a file early, never take one late.
    """
    days = working_days_since(made.astimezone(IST).date(), as_of.astimezone(IST).date())
    return days > MAX_AGE_WORKING_DAYS
