"""What may be published: prices, media, keys, and market data that is old enough."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.progression import QuestionKind
from domain.syllabus import (
    ChoiceDraft,
    CourseDraft,
    LessonDraft,
    QuestionDraft,
    is_answerable,
    months_before,
    obstacles,
)

TODAY = date(2026, 5, 31)


def course(*lessons: dict[str, object], price: int = 0) -> CourseDraft:
    return CourseDraft.model_validate(
        {
            "title": "T",
            "slug": "t",
            "category": "trading",
            "level": "beginner",
            "price": price,
            "syllabus": {"modules": [{"title": "M", "lessons": list(lessons)}]},
        }
    )


TEXT = {"title": "A", "type": "text"}


@pytest.mark.parametrize(
    ("draft", "found"),
    [
        (course(TEXT), []),
        (course(TEXT, price=24_000_00), []),
        (course(TEXT, price=23_999_99), ["price_below_floor"]),
        (course(), ["syllabus_empty"]),
        (course(TEXT, {"title": "V", "type": "video"}), ["media_missing:2"]),
        (course({"title": "Q", "type": "quiz"}), ["assessment_mismatch:1"]),
        (course({**TEXT, "market_data_until": "2026-02-28"}), []),
        (course({**TEXT, "market_data_until": "2026-03-01"}), ["market_data_too_recent:1"]),
    ],
)
def test_what_stands_against_publishing(draft: CourseDraft, found: list[str]) -> None:
    assert obstacles(draft, TODAY) == found


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_three_months_before_is_never_less_than_89_days(day: date) -> None:
    before = months_before(day, 3)
    assert timedelta(days=89) <= day - before <= timedelta(days=92)
    assert LessonDraft.model_validate({**TEXT, "market_data_until": before}).market_data_until == before


@pytest.mark.parametrize(
    ("kind", "key", "choices", "fits"),
    [
        ("single", "a", "ab", True),
        ("single", "c", "ab", False),
        ("single", "a", "a", False),
        ("single", "a", "aa", False),
        ("multiple", ["a", "b"], "abc", True),
        ("multiple", ["a", "a"], "abc", False),
        ("multiple", "a", "ab", False),
        ("numeric", "1.50", "", True),
        ("numeric", "NaN", "", False),
        ("numeric", "1", "ab", False),
        ("text", ["x"], "", True),
        ("text", "x", "", False),
    ],
)
def test_a_key_fits_its_question(kind: str, key: str | list[str], choices: str, fits: bool) -> None:
    offered = [ChoiceDraft(choice_id=each, text=each) for each in choices]
    asked = QuestionDraft(kind=QuestionKind(kind), text="?", choices=offered, key=key)
    assert is_answerable(asked) is fits
