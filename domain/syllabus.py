"""What an instructor writes and what may be published of it."""

import calendar
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.progression import LessonType, QuestionKind

PRICE_FLOOR, PRICE_CEILING = 24_000_00, 8_00_000_00
"""Paise, GST included: what a course costs (founding document). A course may also be free."""

MARKET_DATA_LAG_MONTHS = 3
"""Education may not name securities by the last three months' price data (SEBI circular, 29 January 2025)."""

Title = Annotated[str, Field(min_length=1, max_length=200)]
Prose = Annotated[str, Field(max_length=100_000)]
ChoiceId = Annotated[str, Field(pattern=r"^[a-z0-9]{1,8}$")]


class Written(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChoiceDraft(Written):
    choice_id: ChoiceId
    text: Title


class QuestionDraft(Written):
    """A question and its key: a choice, several, a decimal, or the texts that are accepted."""

    kind: QuestionKind
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    choices: Annotated[list[ChoiceDraft], Field(max_length=12)] = []
    key: (
        Annotated[str, Field(min_length=1, max_length=200)]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=12)
        ]
    )
    points: Annotated[int, Field(ge=1, le=100)] = 1
    tolerance: Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,12})?$")] = "0"


class AssessmentDraft(Written):
    title: Title
    pass_percent: Annotated[int, Field(ge=1, le=100)] = 60
    attempts_allowed: Annotated[int, Field(ge=1, le=50)] = 5
    time_limit_seconds: Annotated[int, Field(ge=60, le=6 * 3600)] = 1800
    cooling_seconds: Annotated[int, Field(ge=0, le=30 * 86400)] = 86400
    questions: Annotated[list[QuestionDraft], Field(min_length=1, max_length=200)]


class LessonDraft(Written):
    """`media`: the object's name in the media store; `market_data_until`: the last day of prices shown."""

    title: Title
    type: LessonType
    preview: bool = False
    content: Prose = ""
    transcript: Prose | None = None
    media: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")] | None = None
    duration_seconds: Annotated[int, Field(ge=1, le=24 * 3600)] | None = None
    market_data_until: date | None = None
    assessment: AssessmentDraft | None = None


class ModuleDraft(Written):
    title: Title
    lessons: Annotated[list[LessonDraft], Field(max_length=200)] = []


class SyllabusDraft(Written):
    access_months: Annotated[int, Field(ge=1, le=60)] = 12
    modules: Annotated[list[ModuleDraft], Field(max_length=50)] = []


class CourseDraft(Written):
    """A course as its instructor writes it; `price` in paise, GST included."""

    title: Title
    slug: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
    description: Annotated[str, Field(max_length=5000)] = ""
    category: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
    level: Literal["beginner", "intermediate", "advanced", "expert"]
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=40)]], Field(max_length=20)] = []
    price: Annotated[int, Field(strict=True, ge=0, le=PRICE_CEILING)]
    syllabus: SyllabusDraft = SyllabusDraft()


def obstacles(course: CourseDraft, today: date) -> list[str]:
    """Why the course cannot be published on that day in India: ``code`` or ``code:place``, or nothing."""
    found = [] if course.price == 0 or course.price >= PRICE_FLOOR else ["price_below_floor"]
    lessons = [lesson for module in course.syllabus.modules for lesson in module.lessons]
    if not lessons:
        found.append("syllabus_empty")
    newest = months_before(today, MARKET_DATA_LAG_MONTHS)
    for place, lesson in enumerate(lessons, start=1):
        if (lesson.type is LessonType.QUIZ) != (lesson.assessment is not None):
            found.append(f"assessment_mismatch:{place}")
        if lesson.type is LessonType.VIDEO and not (lesson.media and lesson.duration_seconds):
            found.append(f"media_missing:{place}")
        if lesson.market_data_until and lesson.market_data_until > newest:
            found.append(f"market_data_too_recent:{place}")
        if lesson.assessment:
            found += [
                f"question_invalid:{place}.{number}"
                for number, question in enumerate(lesson.assessment.questions, start=1)
                if not is_answerable(question)
            ]
    return found


def is_answerable(question: QuestionDraft) -> bool:
    """Whether the key fits the kind, and the choices are told apart."""
    choices = [choice.choice_id for choice in question.choices]
    if len(set(choices)) != len(choices):
        return False
    match question.kind, question.key:
        case QuestionKind.SINGLE, str(key):
            return len(choices) >= 2 and key in choices
        case QuestionKind.MULTIPLE, list(keys):
            return len(choices) >= 2 and len(set(keys)) == len(keys) and set(keys) <= set(choices)
        case QuestionKind.NUMERIC, str(key):
            return not choices and _is_decimal(key)
        case QuestionKind.TEXT, list():
            return not choices
    return False


def months_before(day: date, months: int) -> date:
    """The same day of the month `months` earlier, or that month's last day."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _is_decimal(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
