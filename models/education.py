"""Tables of the Postgres schema `education`: courses and their syllabi, enrollments, certificates."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, LargeBinary, Numeric, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.platform import instant

SCHEMA = {"schema": "education"}


class Course(SQLModel, table=True):
    """What is offered; `draft` is the syllabus as its instructor edits it, `owner_id` None the house's."""

    __tablename__ = "courses"
    __table_args__ = SCHEMA

    course_id: str = Field(primary_key=True, sa_type=Text)
    slug: str = Field(sa_type=Text, unique=True)
    title: str = Field(sa_type=Text)
    description: str = Field(sa_type=Text)
    category: str = Field(sa_type=Text)
    level: str = Field(sa_type=Text)
    tags: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    price: int = Field(sa_type=BigInteger)
    """Paise, GST included."""
    currency: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    owner_id: str | None = Field(default=None, sa_type=Text)
    draft: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    current_syllabus: int | None = None
    created_at: datetime = Field(sa_column=instant())
    changed_at: datetime = Field(sa_column=instant())
    version: int = Field(sa_type=BigInteger)


class CourseEdit(SQLModel, table=True):
    """What an instructor sent; it has no effect until its process applies it."""

    __tablename__ = "course_edits"
    __table_args__ = SCHEMA

    edit_id: str = Field(primary_key=True, sa_type=Text)
    course_id: str = Field(sa_type=Text)
    author: str = Field(sa_type=Text)
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    received_at: datetime = Field(sa_column=instant())


class Syllabus(SQLModel, table=True):
    """A published version of a course's syllabus: sealed, it and its parts never change."""

    __tablename__ = "syllabi"
    __table_args__ = SCHEMA

    course_id: str = Field(primary_key=True, sa_type=Text, foreign_key="education.courses.course_id")
    number: int = Field(primary_key=True)
    access_months: int
    published_by: str = Field(sa_type=Text)
    published_at: datetime = Field(sa_column=instant())
    edit_id: str = Field(sa_type=Text, unique=True)
    """The edit that published it: a repeat of that edit finds it here."""
    sealed: bool


class CourseModule(SQLModel, table=True):
    __tablename__ = "course_modules"
    __table_args__ = (UniqueConstraint("course_id", "syllabus", "place"), SCHEMA)

    module_id: str = Field(primary_key=True, sa_type=Text)
    course_id: str = Field(sa_type=Text)
    syllabus: int
    place: int
    title: str = Field(sa_type=Text)


class Lesson(SQLModel, table=True):
    """`place` counts through the whole syllabus: it is the order in which lessons open."""

    __tablename__ = "lessons"
    __table_args__ = (UniqueConstraint("course_id", "syllabus", "place"), SCHEMA)

    lesson_id: str = Field(primary_key=True, sa_type=Text)
    course_id: str = Field(sa_type=Text)
    syllabus: int
    module_id: str = Field(sa_type=Text, foreign_key="education.course_modules.module_id")
    place: int
    title: str = Field(sa_type=Text)
    type: str = Field(sa_type=Text)
    preview: bool
    content: str = Field(sa_type=Text)
    transcript: str | None = Field(default=None, sa_type=Text)
    media: str | None = Field(default=None, sa_type=Text)
    duration_seconds: int | None = None
    market_data_until: date | None = None
    """The last day whose prices the lesson shows: at least three months before it was published."""


class Assessment(SQLModel, table=True):
    __tablename__ = "assessments"
    __table_args__ = SCHEMA

    assessment_id: str = Field(primary_key=True, sa_type=Text)
    course_id: str = Field(sa_type=Text)
    syllabus: int
    lesson_id: str = Field(sa_type=Text, unique=True, foreign_key="education.lessons.lesson_id")
    title: str = Field(sa_type=Text)
    pass_percent: int
    attempts_allowed: int
    time_limit_seconds: int
    cooling_seconds: int


class QuestionRow(SQLModel, table=True):
    """A question; `key` never leaves the platform but to the course's instructor."""

    __tablename__ = "questions"
    __table_args__ = (UniqueConstraint("assessment_id", "place"), SCHEMA)

    question_id: str = Field(primary_key=True, sa_type=Text)
    course_id: str = Field(sa_type=Text)
    syllabus: int
    assessment_id: str = Field(sa_type=Text, foreign_key="education.assessments.assessment_id")
    place: int
    kind: str = Field(sa_type=Text)
    text: str = Field(sa_type=Text)
    choices: list[dict[str, str]] = Field(sa_column=Column(JSONB, nullable=False))
    key: Any = Field(sa_column=Column(JSONB, nullable=False))
    points: int
    tolerance: Decimal = Field(sa_column=Column(Numeric, nullable=False))


class EnrollmentRow(SQLModel, table=True):
    """The projection of one `CourseEnrollment` process that readers see."""

    __tablename__ = "enrollments"
    __table_args__ = SCHEMA

    enrollment_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    course_id: str = Field(sa_type=Text)
    syllabus: int
    status: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    """Paise, GST included: the price when the person enrolled."""
    currency: str = Field(sa_type=Text)
    payment_id: str | None = Field(default=None, sa_type=Text)
    percent: int
    certificate_id: str | None = Field(default=None, sa_type=Text)
    granted: dict[str, int] = Field(sa_column=Column(JSONB, nullable=False))
    """Attempts allowed beyond the rule, by assessment."""
    enrolled_at: datetime = Field(sa_column=instant())
    active_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    access_until: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    completed_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    changed_at: datetime = Field(sa_column=instant())
    version: int = Field(sa_type=BigInteger)


class LessonProgressRow(SQLModel, table=True):
    __tablename__ = "lesson_progress"
    __table_args__ = SCHEMA

    enrollment_id: str = Field(
        primary_key=True, sa_type=Text, foreign_key="education.enrollments.enrollment_id"
    )
    lesson_id: str = Field(primary_key=True, sa_type=Text, foreign_key="education.lessons.lesson_id")
    seconds_watched: int
    completed_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    changed_at: datetime = Field(sa_column=instant())


class AttemptRow(SQLModel, table=True):
    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("enrollment_id", "assessment_id", "number"), SCHEMA)

    attempt_id: str = Field(primary_key=True, sa_type=Text)
    enrollment_id: str = Field(sa_type=Text, foreign_key="education.enrollments.enrollment_id")
    assessment_id: str = Field(sa_type=Text, foreign_key="education.assessments.assessment_id")
    number: int
    status: str = Field(sa_type=Text)
    began_at: datetime = Field(sa_column=instant())
    ends_at: datetime = Field(sa_column=instant())
    submission_id: str | None = Field(default=None, sa_type=Text)
    submitted_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    score: int | None = None
    passed: bool


class SubmissionRow(SQLModel, table=True):
    """Answers as they were handed in, sealed under the person's key; no effect by themselves."""

    __tablename__ = "submissions"
    __table_args__ = SCHEMA

    submission_id: str = Field(primary_key=True, sa_type=Text)
    attempt_id: str = Field(sa_type=Text)
    user_id: str = Field(sa_type=Text)
    answers: bytes = Field(sa_type=LargeBinary)
    received_at: datetime = Field(sa_column=instant())


class CertificateRow(SQLModel, table=True):
    """One a completed enrollment. `credential` is the signed JWT; `holder` the name on it, sealed."""

    __tablename__ = "certificates"
    __table_args__ = SCHEMA

    certificate_id: str = Field(primary_key=True, sa_type=Text)
    enrollment_id: str = Field(sa_type=Text, unique=True, foreign_key="education.enrollments.enrollment_id")
    user_id: str = Field(sa_type=Text)
    course_id: str = Field(sa_type=Text)
    syllabus: int
    course_title: str = Field(sa_type=Text)
    holder: bytes = Field(sa_type=LargeBinary)
    credential: str = Field(sa_type=Text)
    issued_at: datetime = Field(sa_column=instant())
    revoked_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    version: int = Field(sa_type=BigInteger)


class VideoDay(SQLModel, table=True):
    """Seconds of unpaid video that a person was given on a day of India."""

    __tablename__ = "video_days"
    __table_args__ = SCHEMA

    user_id: str = Field(primary_key=True, sa_type=Text)
    day: date = Field(primary_key=True)
    seconds: int


class VideoGrant(SQLModel, table=True):
    """A lesson already counted on that day: opening it again costs nothing."""

    __tablename__ = "video_grants"
    __table_args__ = SCHEMA

    user_id: str = Field(primary_key=True, sa_type=Text)
    day: date = Field(primary_key=True)
    lesson_id: str = Field(primary_key=True, sa_type=Text, foreign_key="education.lessons.lesson_id")
    seconds: int
