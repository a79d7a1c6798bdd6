"""Progress never goes back, opens one lesson at a time, and grading is fair to the order of answers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.progression import (
    ENDED,
    FOLLOWS,
    AssessmentTerms,
    Attempt,
    AttemptStatus,
    EnrollmentStatus,
    InvalidAnswer,
    LessonOutline,
    LessonState,
    LessonType,
    Question,
    QuestionKind,
    access_end,
    attempts_left,
    grade,
    lesson_states,
    may_follow,
    next_attempt_at,
    percent,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
RANK = {LessonState.LOCKED: 0, LessonState.OPEN: 1, LessonState.DONE: 2}
TERMS = AssessmentTerms(
    assessment_id="asm_1", pass_percent=60, attempts_allowed=4, time_limit_seconds=60, cooling_seconds=3600
)
CHOICES = ("a", "b", "c", "d")


def outline(count: int) -> list[LessonOutline]:
    return [LessonOutline(lesson_id=f"les_{number}", type=LessonType.TEXT) for number in range(count)]


@given(st.integers(1, 30))
def test_doing_what_is_open_ends_the_course_and_nothing_goes_back(count: int) -> None:
    lessons, done = outline(count), set[str]()
    seen = [lesson_states(lessons, done)]
    while any(state is LessonState.OPEN for state in seen[-1].values()):
        opened = [name for name, state in seen[-1].items() if state is LessonState.OPEN]
        assert len(opened) == 1
        done.add(opened[0])
        seen.append(lesson_states(lessons, done))
    assert done == {lesson.lesson_id for lesson in lessons}
    for before, after in pairwise(seen):
        assert all(RANK[after[name]] >= RANK[before[name]] for name in before)


@given(st.integers(1, 40), st.data())
def test_percent_is_bounded_grows_and_is_whole_only_at_the_end(count: int, data: st.DataObject) -> None:
    lessons = outline(count)
    names = [lesson.lesson_id for lesson in lessons]
    done = data.draw(st.sets(st.sampled_from(names)))
    shown = percent(lessons, done)
    assert 0 <= shown <= 100
    assert (shown == 100) == (done == set(names))
    assert percent(lessons, done | {names[0]}) >= shown


def test_an_empty_syllabus_is_never_complete() -> None:
    assert percent([], set()) == 0


questions = st.lists(
    st.one_of(
        st.builds(
            lambda key, points: Question(
                question_id="", kind=QuestionKind.SINGLE, choices=CHOICES, key=key, points=points
            ),
            st.sampled_from(CHOICES),
            st.integers(1, 9),
        ),
        st.builds(
            lambda key, points: Question(
                question_id="",
                kind=QuestionKind.MULTIPLE,
                choices=CHOICES,
                key=tuple(sorted(key)),
                points=points,
            ),
            st.sets(st.sampled_from(CHOICES), min_size=1),
            st.integers(1, 9),
        ),
        st.builds(
            lambda key: Question(question_id="", kind=QuestionKind.NUMERIC, key=str(key)),
            st.decimals(-(10**6), 10**6, places=2),
        ),
        st.builds(
            lambda key: Question(question_id="", kind=QuestionKind.TEXT, key=(key,)),
            st.text("abc XYZ", min_size=1),
        ),
    ),
    min_size=1,
    max_size=12,
).map(lambda found: [each.model_copy(update={"question_id": f"qst_{n}"}) for n, each in enumerate(found)])


def right(question: Question) -> str | list[str]:
    match question.kind:
        case QuestionKind.MULTIPLE:
            return list(reversed(question.key))
        case QuestionKind.TEXT:
            return f"  {question.key[0].upper()} "
        case _:
            return str(question.key)


@given(questions, st.data())
def test_right_answers_are_everything_and_leaving_some_out_never_helps(
    asked: list[Question], data: st.DataObject
) -> None:
    answers = {question.question_id: right(question) for question in asked}
    assert grade(asked, answers) == 100
    kept = data.draw(st.sets(st.sampled_from(sorted(answers))))
    some = grade(asked, {name: answers[name] for name in kept})
    assert 0 <= some <= 100
    assert (some == 100) == (kept == set(answers))
    assert grade(list(reversed(asked)), {name: answers[name] for name in kept}) == some
    assert grade(asked, {}) == 0


def question(kind: QuestionKind, key: str | tuple[str, ...], **more: object) -> Question:
    choices = CHOICES if kind in (QuestionKind.SINGLE, QuestionKind.MULTIPLE) else ()
    return Question.model_validate({"question_id": "q", "kind": kind, "choices": choices, "key": key, **more})


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (question(QuestionKind.SINGLE, "a"), "z"),
        (question(QuestionKind.SINGLE, "a"), ["a"]),
        (question(QuestionKind.MULTIPLE, ("a", "b")), "a"),
        (question(QuestionKind.MULTIPLE, ("a", "b")), ["a", "z"]),
        (question(QuestionKind.NUMERIC, "1"), "one"),
        (question(QuestionKind.NUMERIC, "1"), "NaN"),
        (question(QuestionKind.NUMERIC, "1"), "Infinity"),
        (question(QuestionKind.NUMERIC, "1"), "1e999999"),
        (question(QuestionKind.TEXT, ("a",)), ["a"]),
    ],
)
def test_an_answer_of_another_shape_is_refused(asked: Question, answer: str | list[str]) -> None:
    with pytest.raises(InvalidAnswer) as refused:
        grade([asked], {"q": answer})
    assert refused.value.question_id == "q"


def test_an_answer_to_no_question_is_refused() -> None:
    with pytest.raises(InvalidAnswer):
        grade([question(QuestionKind.SINGLE, "a")], {"other": "a"})


def test_a_choice_given_twice_is_not_two_choices() -> None:
    assert grade([question(QuestionKind.MULTIPLE, ("a", "b"))], {"q": ["a", "a", "b"]}) == 0


@pytest.mark.parametrize(("answer", "score"), [("3.01", 100), ("2.990", 100), ("3.011", 0), ("-3", 0)])
def test_a_number_may_be_off_by_its_tolerance_and_no_more(answer: str, score: int) -> None:
    asked = question(QuestionKind.NUMERIC, "3", tolerance=Decimal("0.01"))
    assert grade([asked], {"q": answer}) == score


def sat(count: int) -> list[Attempt]:
    return [
        Attempt(
            attempt_id=f"att_{number}",
            assessment_id="asm_1",
            number=number + 1,
            status=AttemptStatus.GRADED,
            began_at=NOW + timedelta(hours=number),
            ends_at=NOW + timedelta(hours=number, minutes=1),
            submitted_at=NOW + timedelta(hours=number, seconds=30),
            score=0,
        )
        for number in range(count)
    ]


def test_the_first_failure_costs_no_time_later_ones_do_and_none_is_left_after_the_last() -> None:
    assert next_attempt_at(TERMS, sat(1)) == sat(1)[-1].submitted_at
    assert next_attempt_at(TERMS, sat(2)) == sat(2)[-1].over_at + timedelta(hours=1)
    assert next_attempt_at(TERMS, sat(4)) is None
    assert next_attempt_at(TERMS, sat(4), granted=1) == sat(4)[-1].over_at + timedelta(hours=1)
    passed = [*sat(1), sat(2)[1].model_copy(update={"passed": True})]
    assert next_attempt_at(TERMS, passed) is None


@given(st.integers(0, 10), st.integers(0, 3))
def test_attempts_left_are_never_negative_and_shrink_with_each(count: int, granted: int) -> None:
    left = attempts_left(TERMS, sat(count), granted)
    assert 0 <= left <= TERMS.attempts_allowed + granted
    assert attempts_left(TERMS, sat(count + 1), granted) == max(0, left - 1)


@given(st.lists(st.sampled_from(EnrollmentStatus), max_size=20))
def test_an_enrollment_never_awaits_its_payment_again_and_never_leaves_its_end(
    wishes: list[EnrollmentStatus],
) -> None:
    status, paid = EnrollmentStatus.AWAITING_PAYMENT, False
    for wanted in wishes:
        if may_follow(status, wanted):
            assert status not in ENDED
            status, paid = wanted, True
        assert not (paid and status is EnrollmentStatus.AWAITING_PAYMENT)
    assert all(FOLLOWS[ended] == frozenset() for ended in ENDED)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)), st.integers(1, 60))
def test_access_lasts_whole_calendar_months(begun: datetime, months: int) -> None:
    end = access_end(begun, months)
    assert timedelta(days=28 * months) <= end - begun <= timedelta(days=31 * months)
    assert access_end(begun, months + 1) > end


def test_access_from_the_31st_ends_on_a_short_months_last_day() -> None:
    assert access_end(datetime(2026, 1, 31, 6, tzinfo=UTC), 1) == datetime(2026, 2, 28, 6, tzinfo=UTC)
    # 00:30 on 1 March in India is still February in UTC: the calendar is India's.
    assert access_end(datetime(2027, 2, 28, 19, tzinfo=UTC), 12) == datetime(2028, 2, 29, 19, tzinfo=UTC)
