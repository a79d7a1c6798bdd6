"""The pure rules of sign-in: contacts, locks, and what a refresh token that comes again means."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.consents import version_of
from domain.identity import (
    FREE_FAILURES,
    LONGEST_LOCK,
    REUSE_GRACE,
    Refresh,
    judge_refresh,
    lock_after,
    normalise_email,
    normalise_phone,
)

NOW = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "indexed"),
    [
        ("9876543210", "+919876543210"),
        ("098765 43210", "+919876543210"),
        ("91 98765-43210", "+919876543210"),
        ("+91 (98765) 43210", "+919876543210"),
        ("0091 9876543210", "+919876543210"),
        ("+44 20 7946 0958", "+442079460958"),
    ],
)
def test_a_number_has_one_form_however_it_is_written(written: str, indexed: str) -> None:
    assert normalise_phone(written) == indexed


@pytest.mark.parametrize(
    "written", ["", "12345", "5876543210", "+915876543210", "+0123456789", "98765432101", "x"]
)
def test_what_is_no_number_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"not an? "):
        normalise_phone(written)


@given(st.text(max_size=40))
def test_a_number_that_was_normalised_stays_as_it_is(text: str) -> None:
    try:
        number = normalise_phone(text)
    except ValueError:
        return
    assert normalise_phone(number) == number


def test_a_mail_address_is_lower_case_without_blanks() -> None:
    assert normalise_email(" Asha.Verma+x@Example.CO.IN ") == "asha.verma+x@example.co.in"


@pytest.mark.parametrize(
    "written", ["", "a", "@b.in", "a@b", "a b@c.in", "a@-b.in", "a@b..in", "a@b.in\n@c.in", "ä@b.in"]
)
def test_what_mail_cannot_reach_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a mail address"):
        normalise_email(written)


def test_sign_in_rests_from_the_fifth_failure_and_ever_longer_up_to_a_quarter_of_an_hour() -> None:
    locks = [lock_after(failures) for failures in range(1, 200)]
    assert locks[: FREE_FAILURES - 1] == [None] * (FREE_FAILURES - 1)
    timed = [lock for lock in locks if lock is not None]
    assert timed[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert timed == sorted(timed)
    assert timed[-1] == LONGEST_LOCK


@pytest.mark.parametrize(
    ("spent_ago", "voided", "lives", "successor_used", "outcome"),
    [
        (None, False, True, False, Refresh.ROTATE),
        (None, False, False, False, Refresh.EXPIRED),
        (None, True, True, False, Refresh.REUSED),
        (timedelta(), False, True, False, Refresh.REPEAT),
        (REUSE_GRACE, False, True, False, Refresh.REPEAT),
        (REUSE_GRACE, False, True, True, Refresh.REUSED),
        (REUSE_GRACE + timedelta(microseconds=1), False, True, False, Refresh.REUSED),
    ],
)
def test_what_a_presented_refresh_token_means(
    spent_ago: timedelta | None, voided: bool, lives: bool, successor_used: bool, outcome: Refresh
) -> None:
    judged = judge_refresh(
        spent_at=NOW - spent_ago if spent_ago is not None else None,
        voided=voided,
        expires_at=NOW + timedelta(days=1 if lives else 0),
        successor_used=successor_used,
        now=NOW,
    )
    assert judged is outcome


def test_research_services_have_one_document_and_current_means_its_latest_version() -> None:
    current = version_of("research_services", "mitc", "current")
    assert current not in (None, "current")
    assert version_of("research_services", "mitc", current or "") == current
    assert version_of("research_services", "terms", "current") is None
    assert version_of("research_services", "mitc", "0") is None
    assert version_of("marketing", "mitc", "current") is None
