"""One person's way through one course: paid, lessons done one after the other, assessments passed, certified.

The process decides and Postgres is the record: each change of state is one transaction, with the events and
the certificate that follow from it.
"""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.progression import (
        ENDED,
        PAYMENT_TERM,
        Attempt,
        AttemptStatus,
        EnrollmentStatus,
        access_end,
        attempts_left,
        may_follow,
    )
    from models.contracts.identifiers import Prefix
    from models.contracts.policies import BOOK
    from models.messages.billing import PaymentCaptured, PaymentEnded, PaymentRefunded
    from models.messages.disputes import Dispute, PaymentDisputed
    from models.messages.education import (
        AttemptBegun,
        AttemptGranted,
        AttemptResult,
        BeginAttempt,
        Enroll,
        EnrollmentInput,
        EnrollmentState,
        EnrollmentView,
        Grade,
        GrantAttempt,
        ProgressView,
        RecordProgress,
        SaveEnrollment,
        SubmitAttempt,
    )
    from workflows.answering import caller_told
    from workflows.enrollment_page import tell_staff
    from workflows.enrollment_rules import may_begin, may_grant, may_record, may_submit
    from workflows.failures import outcome, refuse
    from workflows.naming import named
    from workflows.ports.education import EducationPort
    from workflows.visible import working

Status = EnrollmentStatus
Arrival = PaymentCaptured | PaymentRefunded | PaymentDisputed

"""How long a refused run stays for the update that made it."""

RECHECK = timedelta(days=1)
"""How much longer an enrollment waits while a payment of it is under way."""


@workflow.defn(name="CourseEnrollment")
class CourseEnrollment:
    """`enrollment:{enrollment}`."""

    @workflow.init
    def __init__(self, given: EnrollmentInput) -> None:
        self._given = given
        self._state = given.state or EnrollmentState(
            enrollment_id=given.enrollment_id, user_id=given.user_id, course_id=given.course_id
        )
        self._opened = given.state is not None
        self._refused = ""
        self._told = False
        self._arrived: list[Arrival] = []
        self._changes = 0
        self._pay_by: datetime | None = None
        self._writing = asyncio.Lock()

    @workflow.run
    async def run(self, given: EnrollmentInput) -> str:
        if not self._opened and not await self._open():
            return "refused"
        while not self._is_over():
            tell_staff(self._state, self._next_moment())
            if await self._time_has_come(self._next_moment()):
                await self._keep_time()
            while self._arrived:
                await self._take(self._arrived.pop(0))
            if workflow.info().is_continue_as_new_suggested():
                await self._continue()
        working(f"over: {self._state.status}")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state.status

    # --- the story -----------------------------------------------------------------------------------

    async def _open(self) -> bool:
        try:
            opened = await workflow.execute_local_activity_method(
                EducationPort.open_enrollment, self._given, **BOOK.local()
            )
        except ApplicationError as error:  # as a local activity fails
            self._refused = outcome(error).code
            await caller_told(lambda: self._told)
            return False
        state = self._state
        state.syllabus, state.title, state.lessons = opened.syllabus, opened.title, opened.lessons
        state.amount, state.currency = opened.amount, opened.currency
        state.access_months, state.version = opened.access_months, opened.version
        state.enrolled_at = workflow.now()
        if state.amount == 0:
            await self._activate(None)
        self._opened = True
        return True

    def _is_over(self) -> bool:
        state = self._state
        if state.status is Status.COMPLETED and state.access_until is not None:
            return workflow.now() >= state.access_until and not self._arrived
        return state.status in ENDED

    def _next_moment(self) -> datetime | None:
        state = self._state
        if state.status is Status.AWAITING_PAYMENT:
            return self._pay_by or (state.enrolled_at or workflow.now()) + PAYMENT_TERM
        moments = [attempt.ends_at for attempt in state.open_attempts()]
        if state.access_until is not None and state.status is not Status.ON_HOLD:
            moments.append(state.access_until)
        return min(moments, default=None)

    async def _keep_time(self) -> None:
        """What becomes of it when a time runs out: of the payment, of an attempt, of the access."""
        state, now = self._state, workflow.now()
        if state.status is Status.AWAITING_PAYMENT:
            if await workflow.execute_local_activity_method(
                EducationPort.payment_expected, state.enrollment_id, **BOOK.local()
            ):
                self._pay_by = now + RECHECK
            elif not self._arrived:
                await self._move(Status.EXPIRED)
            return
        async with self._writing:
            if lapsed := state.lapse(now):
                await self._save(attempts=lapsed)
        if state.status is Status.ACTIVE and state.access_until is not None and now >= state.access_until:
            await self._move(Status.EXPIRED)

    async def _take(self, arrival: Arrival) -> None:
        """What happened to the payment."""
        state = self._state
        match arrival:
            case PaymentCaptured():
                if state.status is Status.AWAITING_PAYMENT:
                    await self._activate(arrival.payment_id)
            case PaymentRefunded():
                if arrival.full and arrival.payment_id == state.payment_id:
                    await self._move(Status.WITHDRAWN)
            case PaymentDisputed():
                if arrival.payment_id == state.payment_id:
                    await self._dispute(arrival)

    async def _activate(self, payment_id: str | None) -> None:
        async with self._writing:
            state, now = self._state, workflow.now()
            state.payment_id, state.active_at = payment_id, now
            state.access_until = access_end(now, state.access_months)
            state.status = Status.ACTIVE
            await self._save()

    async def _dispute(self, about: PaymentDisputed) -> None:
        """The access waits while a dispute is open, comes back when it is won and ends when it is lost."""
        state = self._state
        if about.state is Dispute.OPENED:
            if about.dispute_id not in state.disputes and may_follow(state.status, Status.ON_HOLD):
                state.held = state.status
                state.disputes.append(about.dispute_id)
                await self._move(Status.ON_HOLD)
            elif about.dispute_id not in state.disputes:
                state.disputes.append(about.dispute_id)
            return
        state.disputes = [each for each in state.disputes if each != about.dispute_id]
        if about.state is Dispute.LOST:
            await self._move(Status.WITHDRAWN)
        elif not state.disputes and state.status is Status.ON_HOLD:
            back, state.held = state.held or Status.ACTIVE, None
            await self._move(back)

    # --- commands ------------------------------------------------------------------------------------

    @workflow.update
    async def enroll(self, _: Enroll) -> EnrollmentView:
        await workflow.wait_condition(lambda: self._opened or bool(self._refused))
        self._told = True
        if self._refused:
            raise refuse(self._refused)
        return self._state.view()

    @workflow.update
    async def record_progress(self, asked: RecordProgress) -> ProgressView:
        await self._heard()
        async with self._writing:
            state, now = self._state, workflow.now()
            lesson = may_record(state, asked)
            if asked.command_id in state.commands:
                return state.progress_of(lesson)
            state.watch(lesson, asked.seconds_watched or 0)
            if asked.completed:
                state.finish(lesson.lesson_id, now)
            state.remember(asked.command_id)
            self._complete_if_done(now)
            await self._save(lessons=[lesson.lesson_id])
            return state.progress_of(lesson)

    @record_progress.validator
    def _check_record_progress(self, asked: RecordProgress) -> None:
        if not self._arrived:
            may_record(self._state, asked)

    @workflow.update
    async def begin_attempt(self, asked: BeginAttempt) -> AttemptBegun:
        """An attempt that is still open is answered again: its clock runs on."""
        await self._heard()
        async with self._writing:
            state, now = self._state, workflow.now()
            may_begin(state, asked, now)
            lapsed = state.lapse(now)
            sat = state.sat(asked.assessment_id)
            open_now = next((each for each in sat if each.status is AttemptStatus.OPEN), None)
            attempt = state.attempt(asked.attempt_id) or open_now
            if attempt is None:
                quiz = state.quiz(asked.assessment_id)
                limit = quiz.assessment.time_limit_seconds if quiz and quiz.assessment else 0
                attempt = Attempt(
                    attempt_id=asked.attempt_id,
                    assessment_id=asked.assessment_id,
                    number=len(sat) + 1,
                    began_at=now,
                    ends_at=now + timedelta(seconds=limit),
                )
                state.attempts.append(attempt)
                await self._save(attempts=[*lapsed, attempt.attempt_id])
            return AttemptBegun(
                attempt_id=attempt.attempt_id,
                assessment_id=attempt.assessment_id,
                attempt=attempt.number,
                began_at=attempt.began_at,
                ends_at=attempt.ends_at,
            )

    @begin_attempt.validator
    def _check_begin_attempt(self, asked: BeginAttempt) -> None:
        if not self._arrived:
            may_begin(self._state, asked, workflow.now())

    @workflow.update
    async def submit_attempt(self, asked: SubmitAttempt) -> AttemptResult:
        async with self._writing:
            state, now = self._state, workflow.now()
            attempt = may_submit(state, asked, now)
            if attempt.status is AttemptStatus.GRADED:
                return state.result(attempt)
            score = await self._grade(attempt, asked.submission_id)
            quiz = state.quiz(attempt.assessment_id)
            attempt.status, attempt.submission_id = AttemptStatus.GRADED, asked.submission_id
            attempt.submitted_at, attempt.score = now, score
            attempt.passed = bool(quiz and quiz.assessment and score >= quiz.assessment.pass_percent)
            if quiz and attempt.passed:
                state.finish(quiz.lesson_id, now)
                self._complete_if_done(now)
            finished = [quiz.lesson_id] if quiz and attempt.passed else []
            await self._save(lessons=finished, attempts=[attempt.attempt_id])
            return state.result(attempt)

    @submit_attempt.validator
    def _check_submit_attempt(self, asked: SubmitAttempt) -> None:
        may_submit(self._state, asked, workflow.now())

    @workflow.update
    async def grant_attempt(self, asked: GrantAttempt) -> AttemptGranted:
        """One more sitting, where a person has decided so."""
        async with self._writing:
            state = self._state
            terms = may_grant(state, asked, self._given.assertion_key)
            if asked.command_id not in state.commands:
                state.granted[asked.assessment_id] = state.granted.get(asked.assessment_id, 0) + 1
                state.remember(asked.command_id)
                await self._save()
            granted = state.granted.get(asked.assessment_id, 0)
            return AttemptGranted(
                enrollment_id=state.enrollment_id,
                assessment_id=asked.assessment_id,
                attempts_left=attempts_left(terms, state.sat(asked.assessment_id), granted),
                version=state.version,
            )

    @workflow.signal
    def payment_captured(self, paid: PaymentCaptured) -> None:
        self._arrive(paid)

    @workflow.signal
    def payment_refunded(self, refunded: PaymentRefunded) -> None:
        self._arrive(refunded)

    @workflow.signal
    def payment_disputed(self, disputed: PaymentDisputed) -> None:
        self._arrive(disputed)

    @workflow.signal
    def payment_ended(self, _: PaymentEnded) -> None:
        """Another checkout may be opened while the enrollment waits for its payment."""

    # --- parts ---------------------------------------------------------------------------------------

    async def _heard(self) -> None:
        """What was heard of the payment is taken first: the record may show it already where a killed worker
        had stored it, and a customer who acts on that is not refused."""
        await workflow.wait_condition(lambda: not self._arrived or self._is_over())

    def _arrive(self, arrival: Arrival) -> None:
        self._arrived.append(arrival)
        self._changes += 1

    async def _grade(self, attempt: Attempt, submission_id: str) -> int:
        try:
            return await workflow.execute_local_activity_method(
                EducationPort.grade,
                Grade(
                    user_id=self._state.user_id,
                    attempt_id=attempt.attempt_id,
                    assessment_id=attempt.assessment_id,
                    submission_id=submission_id,
                ),
                **BOOK.local(),
            )
        except ApplicationError as error:  # as a local activity fails
            raise refuse(outcome(error).code) from None

    def _complete_if_done(self, now: datetime) -> None:
        state = self._state
        if state.status is Status.ACTIVE and state.percent() == 100:
            state.status, state.completed_at = Status.COMPLETED, now
            state.certificate_id = named(Prefix.CERTIFICATE, state.enrollment_id)

    async def _move(self, status: Status) -> None:
        async with self._writing:
            if may_follow(self._state.status, status):
                self._state.status = status
                await self._save()

    async def _save(self, lessons: list[str] | None = None, attempts: list[str] | None = None) -> None:
        """Stores the projection and wakes the story."""
        self._state.version = await workflow.execute_local_activity_method(
            EducationPort.save,
            SaveEnrollment(
                state=self._state,
                lesson_ids=lessons or [],
                attempt_ids=attempts or [],
                as_of=workflow.now(),
            ),
            **BOOK.local(),
        )
        self._changes += 1

    async def _time_has_come(self, moment: datetime | None) -> bool:
        """True when it has, False when a command or an event came first."""
        if self._arrived:
            return False
        seen, left = self._changes, None if moment is None else moment - workflow.now()
        if left is not None and left <= timedelta():
            return True
        try:
            await workflow.wait_condition(lambda: self._changes != seen, timeout=left)
        except TimeoutError:
            return True
        return False

    async def _continue(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._arrived and not self._is_over():
            workflow.continue_as_new(self._given.model_copy(update={"state": self._state}))
