"""Rules of the offline e-KYC file: hashes, reference ids, age."""

import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import aadhaar

MOBILES = st.from_regex(r"[6-9][0-9]{9}", fullmatch=True)
SHARE_CODES = st.text(min_size=4, max_size=8)
DIGITS = st.integers(0, 9)
MONDAY = date(2026, 11, 23)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_hash_is_uidais_published_example_spelt_out() -> None:
    four = sha(sha(sha(sha("9800000002Abc@123"))))
    assert aadhaar.contact_hash("9800000002", "Abc@123", 4) == four


@given(MOBILES, SHARE_CODES)
def test_zero_and_one_hash_once(mobile: str, code: str) -> None:
    once = sha(mobile + code)
    assert aadhaar.contact_hash(mobile, code, 0) == once == aadhaar.contact_hash(mobile, code, 1)


@given(MOBILES, SHARE_CODES, st.integers(1, 8))
def test_each_digit_hashes_once_more(mobile: str, code: str, digit: int) -> None:
    lesser = aadhaar.contact_hash(mobile, code, digit)
    assert aadhaar.contact_hash(mobile, code, digit + 1) == sha(lesser)


@given(MOBILES, MOBILES, SHARE_CODES, DIGITS)
def test_only_the_own_mobile_matches(own: str, other: str, code: str, digit: int) -> None:
    found = aadhaar.contact_hash(own, code, digit)
    assert aadhaar.mobile_matches(found, f"+91 {own[:5]}-{own[5:]}", code, digit)
    assert aadhaar.mobile_matches(found, other, code, digit) is (own == other)


def test_a_file_without_a_mobile_matches_nobody() -> None:
    assert not aadhaar.mobile_matches("", "9800000002", "Abc@123", 4)


@pytest.mark.parametrize("digit", [-1, 10])
def test_last_digit_is_a_digit(digit: int) -> None:
    with pytest.raises(ValueError, match="single digit"):
        aadhaar.contact_hash("9800000002", "Abc@123", digit)


def test_both_published_mail_hashes_are_taken() -> None:
    for found in (sha("a@example.in"), aadhaar.contact_hash("a@example.in", "Abc@123", 3)):
        assert aadhaar.email_matches(found, "a@example.in", "Abc@123", 3)
        assert not aadhaar.email_matches(found, "b@example.in", "Abc@123", 3)


def test_reference_is_four_digits_and_indian_time() -> None:
    last4, made = aadhaar.read_reference("363220261123013000250")
    assert last4 == "3632"
    assert made == datetime(2026, 11, 22, 20, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "reference", ["", "3632", "363220261123", "36322026112301300025x", "363220261323013000250"]
)
def test_malformed_references_are_refused(reference: str) -> None:
    with pytest.raises(ValueError, match=r"reference|time data|unconverted"):
        aadhaar.read_reference(reference)


@pytest.mark.parametrize("dob", ["", "1990", "1990-01-02", "31-02-1990", "2-1-1990", "02-01-1990 "])
def test_malformed_birth_dates_are_refused(dob: str) -> None:
    with pytest.raises(ValueError, match=r"dd-mm-yyyy|day is out of range"):
        aadhaar.read_birth_date(dob)


@pytest.mark.parametrize(("days", "old"), [(0, False), (3, False), (4, True), (-1, False)])
def test_three_working_days(days: int, old: bool) -> None:
    made = datetime(2026, 11, 23, 6, tzinfo=UTC)  # a Monday
    assert aadhaar.is_too_old(made, made + timedelta(days)) is old


def test_a_weekend_does_not_age_a_file() -> None:
    friday = datetime(2026, 11, 27, 6, tzinfo=UTC)
    assert not aadhaar.is_too_old(friday, friday + timedelta(5))  # Wednesday
    assert aadhaar.is_too_old(friday, friday + timedelta(6))


def test_days_are_indian_days() -> None:
    made = datetime(2026, 11, 22, 19, tzinfo=UTC)  # Monday 00:30 in India
    assert not aadhaar.is_too_old(made, datetime(2026, 11, 26, 18, tzinfo=UTC))
    assert aadhaar.is_too_old(made, datetime(2026, 11, 26, 19, tzinfo=UTC))


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 60))
def test_working_days_are_the_weekdays_between(made: date, days: int) -> None:
    later = (made + timedelta(n) for n in range(1, days + 1))
    counted = sum(day.isoweekday() <= 5 for day in later)
    assert aadhaar.working_days_since(made, made + timedelta(days)) == counted
