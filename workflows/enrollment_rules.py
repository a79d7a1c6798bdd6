"""What an enrollment allows a learner to ask for; each refusal is a code of the API.

Asked twice: by the update's validator, so that a refusal leaves no history, and again under the lock, since
the state may have moved while the update waited for it.
"""

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.progression import (
        LEARNING,
        AssessmentTerms,
        Attempt,
        AttemptStatus,
        EnrollmentStatus,
        LessonOutline,
        LessonState,
        LessonType,
        attempts_left,
        next_attempt_at,
    )
    from models.messages.education import (
        BeginAttempt,
        EnrollmentState,
        GrantAttempt,
        RecordProgress,
        SubmitAttempt,
    )
    from workflows.deciding import decider
    from workflows.failures import refuse

GRANTERS = frozenset({"support", "instructor"})


def may_record(state: EnrollmentState, asked: RecordProgress) -> LessonOutline:
    """The lesson whose progress may be recorded; a command that was taken already is not refused now."""
    lesson = state.lesson(asked.lesson_id)
    if lesson is None:
        raise refuse("not_found")
    if asked.command_id in state.commands:
        return lesson
    if state.status not in LEARNING:
        raise refuse(f"enrollment_{state.status}")
    if lesson.type is LessonType.QUIZ:
        raise refuse("assessment_required")
    if state.states()[lesson.lesson_id] is LessonState.LOCKED:
        raise refuse("lesson_locked")
    return lesson


def may_begin(state: EnrollmentState, asked: BeginAttempt, now: datetime) -> None:
    """Whether an attempt may begin, or an open one be answered again."""
    quiz = state.quiz(asked.assessment_id)
    if quiz is None or quiz.assessment is None:
        raise refuse("not_found")
    if state.attempt(asked.attempt_id) is not None:
        return
    if state.status is not EnrollmentStatus.ACTIVE:
        raise refuse(f"enrollment_{state.status}")
    if state.states()[quiz.lesson_id] is LessonState.LOCKED:
        raise refuse("lesson_locked")
    sat = state.sat(asked.assessment_id)
    if any(attempt.passed for attempt in sat):
        raise refuse("assessment_passed")
    if any(each.status is AttemptStatus.OPEN and now < each.ends_at for each in sat):
        return
    granted = state.granted.get(asked.assessment_id, 0)
    if attempts_left(quiz.assessment, sat, granted) == 0:
        raise refuse("attempts_exhausted")
    ready = next_attempt_at(quiz.assessment, sat, granted)
    if ready is not None and now < ready:
        raise refuse("attempt_too_soon", ready.isoformat(timespec="seconds"))


def may_submit(state: EnrollmentState, asked: SubmitAttempt, now: datetime) -> Attempt:
    """The attempt that the answers are for: open and in time, or graded by this very submission."""
    attempt = state.attempt(asked.attempt_id)
    if attempt is None:
        raise refuse("not_found")
    if attempt.status is AttemptStatus.GRADED:
        if attempt.submission_id == asked.submission_id:
            return attempt
        raise refuse("attempt_closed")
    if state.status is not EnrollmentStatus.ACTIVE:
        raise refuse(f"enrollment_{state.status}")
    if attempt.status is AttemptStatus.LAPSED or now >= attempt.ends_at:
        raise refuse("attempt_over")
    return attempt


def may_grant(state: EnrollmentState, asked: GrantAttempt, key: str) -> AssessmentTerms:
    """The assessment's terms, if support or an instructor asks, by an assertion that the API signed."""
    decider(asked.assertion, key, "grant_attempt", GRANTERS)
    quiz = state.quiz(asked.assessment_id)
    if quiz is None or quiz.assessment is None:
        raise refuse("not_found")
    if state.status is not EnrollmentStatus.ACTIVE:
        raise refuse(f"enrollment_{state.status}")
    return quiz.assessment


def is_stuck(state: EnrollmentState) -> bool:
    """No attempt is left of an assessment that is not passed: a person has to decide."""
    return state.status is EnrollmentStatus.ACTIVE and any(
        attempts_left(x.assessment, sat, state.granted.get(x.assessment.assessment_id, 0)) == 0
        and not any(attempt.passed or attempt.status is AttemptStatus.OPEN for attempt in sat)
        for x in state.lessons
        if x.assessment and (sat := state.sat(x.assessment.assessment_id))
    )
