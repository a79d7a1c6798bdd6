"""Shapes of the education column's requests and answers."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from domain.progression import EnrollmentStatus, LessonState, LessonType

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Text = Annotated[str, Field(max_length=2000)]


class Body(BaseModel):
    """A request's body: nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


class ProgressBody(Body):
    """`seconds_watched`: of this lesson in total, not since the last call."""

    seconds_watched: Annotated[int, Field(strict=True, ge=0, le=24 * 3600)] | None = None
    completed: Annotated[bool, Field(strict=True)] | None = None


class AttemptBody(Body):
    enrollment_id: Id


class SubmitBody(Body):
    """An answer is a choice, a list of choices, a decimal or a text, each as a string."""

    attempt_id: Id
    answers: Annotated[
        dict[Id, Text | Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=20)]],
        Field(max_length=500),
    ]


class NoBody(Body):
    """An empty object, or nothing."""


class CourseItem(BaseModel):
    """`price` in paise, GST included."""

    course_id: str
    title: str
    slug: str
    description: str
    category: str
    level: str
    tags: list[str]
    price: int
    currency: str
    status: str
    syllabus_version: int | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> "CourseItem":
        return cls(**{**row, "syllabus_version": row["current_syllabus"]})


class CoursePage(BaseModel):
    items: list[CourseItem]
    next_cursor: str | None


class Course(CourseItem):
    """`draft`: what its instructors are writing, for them only."""

    lessons: int
    version: int
    draft: dict[str, Any] | None = None


class LessonItem(BaseModel):
    lesson_id: str
    title: str
    type: LessonType
    preview: bool
    state: LessonState
    duration_seconds: int | None
    market_data_until: date | None
    assessment_id: str | None


class Module(BaseModel):
    module_id: str
    title: str
    lessons: list[LessonItem]


class Syllabus(BaseModel):
    course_id: str
    syllabus_version: int
    items: list[Module]
    next_cursor: None = None


class Stream(BaseModel):
    """A link to the media that ends at `expires_at` and was signed for the caller."""

    url: str
    expires_at: datetime


class Lesson(BaseModel):
    """`market_data_until`: the last day whose prices are shown, at least three months before publication."""

    lesson_id: str
    course_id: str
    syllabus_version: int
    title: str
    type: LessonType
    preview: bool
    content: str
    transcript: str | None
    duration_seconds: int | None
    market_data_until: date | None
    assessment_id: str | None
    stream: Stream | None


class LessonProgress(BaseModel):
    lesson_id: str
    type: LessonType
    state: LessonState
    assessment_id: str | None = None
    seconds_watched: int
    completed_at: datetime | None


class Progress(BaseModel):
    enrollment_id: str
    course_id: str
    syllabus_version: int
    percent: int
    lessons: list[LessonProgress]
    status: EnrollmentStatus
    certificate_id: str | None
    access_until: datetime | None
    version: int


class ProgressPage(BaseModel):
    """`version` grows with every change of any of the person's enrollments."""

    items: list[Progress]
    next_cursor: str | None
    version: int


class Certificate(BaseModel):
    certificate_id: str
    enrollment_id: str
    course_id: str
    syllabus_version: int
    course_title: str
    holder: str | None
    status: str
    issued_at: datetime
    revoked_at: datetime | None
    credential_jwt: str
    verify_url: str


class CertificatePage(BaseModel):
    items: list[Certificate]
    next_cursor: str | None


class Verification(BaseModel):
    """`status`: ``valid``, ``revoked``, or ``tampered`` with no credential to show."""

    valid: bool
    status: str
    credential: dict[str, Any] | None
