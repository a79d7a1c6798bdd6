"""How a course is gone through: what unlocks when, when an assessment may be tried, what is a pass."""

import calendar
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict

INDIA = ZoneInfo("Asia/Kolkata")

PAYMENT_TERM = timedelta(days=7)
"""How long an enrollment waits for its payment."""


class EnrollmentStatus(StrEnum):
    """The states of `api.md`."""

    AWAITING_PAYMENT = "awaiting_payment"
    ACTIVE = "active"
    ON_HOLD = "on_hold"
    """A dispute of its payment is open: nothing is taken away, nothing may be used."""
    COMPLETED = "completed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


S = EnrollmentStatus

FOLLOWS: dict[EnrollmentStatus, frozenset[EnrollmentStatus]] = {
    S.AWAITING_PAYMENT: frozenset({S.ACTIVE, S.EXPIRED, S.WITHDRAWN}),
    S.ACTIVE: frozenset({S.ON_HOLD, S.COMPLETED, S.EXPIRED, S.WITHDRAWN}),
    # A dispute that the customer loses gives back the state that it held.
    S.ON_HOLD: frozenset({S.ACTIVE, S.COMPLETED, S.EXPIRED, S.WITHDRAWN}),
    S.COMPLETED: frozenset({S.ON_HOLD, S.WITHDRAWN}),
    S.EXPIRED: frozenset(),
    S.WITHDRAWN: frozenset(),
}
"""Every step that an enrollment takes; held by `store/education_enrollments.py`."""

ENDED = frozenset({S.EXPIRED, S.WITHDRAWN})
"""No way leads out: the course may be taken again by a new enrollment."""

LEARNING = frozenset({S.ACTIVE, S.COMPLETED})
"""States in which lessons may be opened."""


class LessonType(StrEnum):
    VIDEO = "video"
    TEXT = "text"
    QUIZ = "quiz"
    ASSIGNMENT = "assignment"


class LessonState(StrEnum):
    LOCKED = "locked"
    OPEN = "open"
    DONE = "done"


class QuestionKind(StrEnum):
    SINGLE = "single"
    MULTIPLE = "multiple"
    NUMERIC = "numeric"
    TEXT = "text"


class AttemptStatus(StrEnum):
    OPEN = "open"
    GRADED = "graded"
    LAPSED = "lapsed"
    """Its time ran out with nothing handed in: it counts as failed."""


class AssessmentTerms(BaseModel):
    """The rules of one assessment, as its syllabus published them."""

    model_config = ConfigDict(frozen=True)

    assessment_id: str
    pass_percent: int
    attempts_allowed: int
    time_limit_seconds: int
    cooling_seconds: int
    """Rest between attempts from the second failure on; after the first one may try again at once."""


class LessonOutline(BaseModel):
    """A lesson as far as progress needs it; a quiz is done by its assessment."""

    model_config = ConfigDict(frozen=True)

    lesson_id: str
    type: LessonType
    duration_seconds: int | None = None
    assessment: AssessmentTerms | None = None


class Attempt(BaseModel):
    """One sitting of an assessment; `number` counts from 1, `score` is a per cent."""

    attempt_id: str
    assessment_id: str
    number: int
    status: AttemptStatus = AttemptStatus.OPEN
    began_at: AwareDatetime
    ends_at: AwareDatetime
    submission_id: str | None = None
    submitted_at: AwareDatetime | None = None
    score: int | None = None
    passed: bool = False

    @property
    def over_at(self) -> datetime:
        return self.submitted_at or self.ends_at


class Question(BaseModel):
    """A question with its key: a choice, the set of choices, a decimal, or the texts that are accepted."""

    model_config = ConfigDict(frozen=True)

    question_id: str
    kind: QuestionKind
    choices: tuple[str, ...] = ()
    key: str | tuple[str, ...]
    points: int = 1
    tolerance: Decimal = Decimal(0)
    """Of a numeric answer, to either side of the key."""


Answer = str | list[str]


class InvalidAnswer(ValueError):
    """An answer does not fit its question, or there is no such question; `question_id` says which."""

    def __init__(self, question_id: str) -> None:
        super().__init__(question_id)
        self.question_id = question_id


def may_follow(status: EnrollmentStatus, wanted: EnrollmentStatus) -> bool:
    return wanted in FOLLOWS[status]


def access_end(begun_at: datetime, months: int) -> datetime:
    """The same time of day in India, `months` calendar months later; in a shorter month its last day."""
    local = begun_at.astimezone(INDIA)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day).astimezone(begun_at.tzinfo)


def lesson_states(lessons: Sequence[LessonOutline], done: Collection[str]) -> dict[str, LessonState]:
    """The state of each lesson: they open one after the other, in the order of the syllabus."""
    states: dict[str, LessonState] = {}
    reached = True
    for lesson in lessons:
        if lesson.lesson_id in done:
            states[lesson.lesson_id] = LessonState.DONE
        else:
            states[lesson.lesson_id] = LessonState.OPEN if reached else LessonState.LOCKED
            reached = False
    return states


def percent(lessons: Sequence[LessonOutline], done: Collection[str]) -> int:
    """0 to 100, rounded down: 100 only when every lesson is done."""
    if not lessons:
        return 0
    return sum(lesson.lesson_id in done for lesson in lessons) * 100 // len(lessons)


def attempts_left(terms: AssessmentTerms, attempts: Sequence[Attempt], granted: int = 0) -> int:
    """How many more sittings may begin; `granted` were allowed beyond the rule."""
    return max(0, terms.attempts_allowed + granted - len(attempts))


def next_attempt_at(terms: AssessmentTerms, attempts: Sequence[Attempt], granted: int = 0) -> datetime | None:
    """When the next sitting may begin; None where none may (passed, or none left).

    The first failure costs no time; from the second on there is a rest.
    """
    if not attempts or attempts_left(terms, attempts, granted) == 0 or any(a.passed for a in attempts):
        return None
    last = attempts[-1]
    if len(attempts) < 2:
        return last.over_at
    return last.over_at + timedelta(seconds=terms.cooling_seconds)


def grade(questions: Sequence[Question], answers: Mapping[str, Answer]) -> int:
    """The score, 0 to 100 rounded down; a question without an answer is a wrong one.

    Raises:
        InvalidAnswer: an answer names no question, or has not the shape of its kind.
    """
    known = {question.question_id: question for question in questions}
    for question_id in answers:
        if question_id not in known:
            raise InvalidAnswer(question_id)
    total = sum(question.points for question in questions)
    won = sum(
        question.points
        for question in questions
        if question.question_id in answers and is_right(question, answers[question.question_id])
    )
    return won * 100 // total if total else 0


def is_right(question: Question, answer: Answer) -> bool:
    """Raises InvalidAnswer where the answer has not the shape of the question's kind."""
    match question.kind, answer:
        case QuestionKind.SINGLE, str() if answer in question.choices:
            return answer == question.key
        case QuestionKind.MULTIPLE, list() if set(answer) <= set(question.choices):
            return len(set(answer)) == len(answer) and set(answer) == set(question.key)
        case QuestionKind.NUMERIC, str():
            return abs(_decimal(question, answer) - Decimal(str(question.key))) <= question.tolerance
        case QuestionKind.TEXT, str():
            return _plain(answer) in {_plain(accepted) for accepted in question.key}
    raise InvalidAnswer(question.question_id)


def _decimal(question: Question, answer: str) -> Decimal:
    try:
        value = Decimal(answer.strip())
    except InvalidOperation:
        raise InvalidAnswer(question.question_id) from None
    if not value.is_finite() or abs(value.adjusted()) > 30:
        raise InvalidAnswer(question.question_id)
    return value


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
