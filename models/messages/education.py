"""What the education column's processes take, give and carry."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel

from domain.progression import (
    Attempt,
    AttemptStatus,
    EnrollmentStatus,
    LessonOutline,
    LessonState,
    attempts_left,
    lesson_states,
    next_attempt_at,
    percent,
)
from models.contracts.assertions import SignedAssertion

RECENT_COMMANDS = 100
"""How many command ids an enrollment remembers; older repeats are answered by the command log."""


class LessonProgress(BaseModel):
    """`seconds_watched`: of the lesson, in total."""

    seconds_watched: int = 0
    completed_at: AwareDatetime | None = None


class EnrollmentState(BaseModel):
    """All that a run hands to the next one."""

    enrollment_id: str
    user_id: str
    course_id: str
    syllabus: int = 0
    title: str = ""
    status: EnrollmentStatus = EnrollmentStatus.AWAITING_PAYMENT
    held: EnrollmentStatus | None = None
    """The state before a dispute put it on hold."""
    amount: int = 0
    currency: str = "INR"
    access_months: int = 12
    payment_id: str | None = None
    lessons: list[LessonOutline] = []
    progress: dict[str, LessonProgress] = {}
    attempts: list[Attempt] = []
    granted: dict[str, int] = {}
    """Attempts allowed beyond the rule, by assessment."""
    commands: list[str] = []
    enrolled_at: AwareDatetime | None = None
    active_at: AwareDatetime | None = None
    access_until: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    certificate_id: str | None = None
    disputes: list[str] = []
    """Disputes that are open."""
    version: int = 0

    def done(self) -> set[str]:
        return {lesson_id for lesson_id, made in self.progress.items() if made.completed_at is not None}

    def percent(self) -> int:
        return percent(self.lessons, self.done())

    def states(self) -> dict[str, LessonState]:
        return lesson_states(self.lessons, self.done())

    def lesson(self, lesson_id: str) -> LessonOutline | None:
        return next((lesson for lesson in self.lessons if lesson.lesson_id == lesson_id), None)

    def quiz(self, assessment_id: str) -> LessonOutline | None:
        return next(
            (x for x in self.lessons if x.assessment and x.assessment.assessment_id == assessment_id), None
        )

    def sat(self, assessment_id: str) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.assessment_id == assessment_id]

    def attempt(self, attempt_id: str) -> Attempt | None:
        return next((attempt for attempt in self.attempts if attempt.attempt_id == attempt_id), None)

    def open_attempts(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.status is AttemptStatus.OPEN]

    def finish(self, lesson_id: str, at: datetime) -> None:
        made = self.progress.setdefault(lesson_id, LessonProgress())
        made.completed_at = made.completed_at or at

    def watch(self, lesson: LessonOutline, seconds: int) -> None:
        """Seconds of the lesson in total, never more than it has and never fewer than before."""
        made = self.progress.setdefault(lesson.lesson_id, LessonProgress())
        most = seconds if lesson.duration_seconds is None else min(seconds, lesson.duration_seconds)
        made.seconds_watched = max(made.seconds_watched, most)

    def lapse(self, now: datetime) -> list[str]:
        """Closes the attempts whose time is over; their ids."""
        over = [attempt for attempt in self.open_attempts() if attempt.ends_at <= now]
        for attempt in over:
            attempt.status = AttemptStatus.LAPSED
        return [attempt.attempt_id for attempt in over]

    def remember(self, command_id: str) -> None:
        self.commands = [*self.commands, command_id][-RECENT_COMMANDS:]

    def view(self) -> "EnrollmentView":
        return EnrollmentView(
            enrollment_id=self.enrollment_id,
            course_id=self.course_id,
            syllabus_version=self.syllabus,
            status=self.status,
            amount=self.amount,
            currency=self.currency,
            access_until=self.access_until,
            version=self.version,
        )

    def progress_of(self, lesson: LessonOutline) -> "ProgressView":
        return ProgressView(
            enrollment_id=self.enrollment_id,
            lesson_id=lesson.lesson_id,
            state=self.states()[lesson.lesson_id],
            seconds_watched=self.progress.get(lesson.lesson_id, LessonProgress()).seconds_watched,
            percent=self.percent(),
            status=self.status,
            certificate_id=self.certificate_id,
            version=self.version,
        )

    def result(self, attempt: Attempt) -> "AttemptResult":
        quiz = self.quiz(attempt.assessment_id)
        sat, granted = self.sat(attempt.assessment_id), self.granted.get(attempt.assessment_id, 0)
        terms = quiz.assessment if quiz else None
        return AttemptResult(
            attempt_id=attempt.attempt_id,
            attempt=attempt.number,
            score=attempt.score or 0,
            passed=attempt.passed,
            attempts_left=attempts_left(terms, sat, granted) if terms else 0,
            next_attempt_at=next_attempt_at(terms, sat, granted) if terms else None,
        )


class EnrollmentInput(BaseModel):
    """Starts `CourseEnrollment`; `state` only from the run before. `assertion_key` checks staff commands."""

    enrollment_id: str
    user_id: str
    course_id: str
    assertion_key: str = ""
    state: EnrollmentState | None = None


class Enroll(BaseModel):
    """The update `enroll`: answers once the enrollment stands, or refuses."""


class EnrollmentView(BaseModel):
    enrollment_id: str
    course_id: str
    syllabus_version: int
    status: EnrollmentStatus
    amount: int
    currency: str
    access_until: AwareDatetime | None
    version: int


class RecordProgress(BaseModel):
    """The update `record_progress`; `seconds_watched` in total: a smaller figure changes nothing."""

    command_id: str
    lesson_id: str
    seconds_watched: int | None = None
    completed: bool | None = None


class ProgressView(BaseModel):
    enrollment_id: str
    lesson_id: str
    state: LessonState
    seconds_watched: int
    percent: int
    status: EnrollmentStatus
    certificate_id: str | None
    version: int


class GrantAttempt(BaseModel):
    """The update `grant_attempt`: one more sitting than the rule, by whom the assertion names."""

    command_id: str
    assessment_id: str
    assertion: SignedAssertion


class AttemptGranted(BaseModel):
    enrollment_id: str
    assessment_id: str
    attempts_left: int
    version: int


class BeginAttempt(BaseModel):
    """The update `begin_attempt`; `attempt_id` is minted by the caller, once."""

    attempt_id: str
    assessment_id: str


class AttemptBegun(BaseModel):
    attempt_id: str
    assessment_id: str
    attempt: int
    began_at: AwareDatetime
    ends_at: AwareDatetime


class SubmitAttempt(BaseModel):
    """The update `submit_attempt`; the answers stand written under `submission_id`."""

    attempt_id: str
    submission_id: str


class AttemptResult(BaseModel):
    """`attempt` is its number; `next_attempt_at` None where none may follow."""

    attempt_id: str
    attempt: int
    score: int
    passed: bool
    attempts_left: int
    next_attempt_at: AwareDatetime | None


class OpenedEnrollment(BaseModel):
    """What the enrollment is to: the syllabus published at that moment, and its price."""

    syllabus: int
    title: str
    amount: int
    currency: str
    access_months: int
    lessons: list[LessonOutline]
    version: int


class Grade(BaseModel):
    user_id: str
    attempt_id: str
    assessment_id: str
    submission_id: str


class SaveEnrollment(BaseModel):
    """Stores the projection of `state`; `lesson_id` and `attempt_ids` are the parts that changed."""

    state: EnrollmentState
    lesson_ids: list[str] = []
    attempt_ids: list[str] = []
    as_of: AwareDatetime


class CourseEditInput(BaseModel):
    """Starts `CourseEdit`; what to do stands written under `edit_id`."""

    edit_id: str
    course_id: str
    author: str
    action: Literal["create", "replace", "publish"]


class ApplyEdit(BaseModel):
    """The update `apply`: answers the course after the edit, or refuses."""


class Edit(BaseModel):
    edit: CourseEditInput
    as_of: AwareDatetime


class CourseView(BaseModel):
    course_id: str
    slug: str
    title: str
    status: Literal["draft", "published", "archived"]
    price: int
    currency: str
    syllabus_version: int | None
    version: int
