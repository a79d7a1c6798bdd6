"""Learners on the session's engines: the education pool on a queue and a database of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from domain.payments import Purpose
from domain.progression import LessonType, QuestionKind
from domain.syllabus import (
    AssessmentDraft,
    ChoiceDraft,
    CourseDraft,
    LessonDraft,
    ModuleDraft,
    QuestionDraft,
    SyllabusDraft,
)
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import PaymentCaptured, PaymentRefunded
from models.messages.disputes import PaymentDisputed
from models.messages.education import EnrollmentInput
from models.settings import Settings
from store import education_courses, education_edits, education_progress, identity_profiles, identity_users
from store.database import Database
from store.vault import Vault
from tests.workflows.subscribers import eventually
from workers.education import POOL
from workers.parts import assemble
from workers.pool import workers

QUESTIONS = [
    QuestionDraft(
        kind=QuestionKind.SINGLE,
        text="?",
        choices=[ChoiceDraft(choice_id="a", text="yes"), ChoiceDraft(choice_id="b", text="no")],
        key="a",
    ),
    QuestionDraft(kind=QuestionKind.NUMERIC, text="2 + 2", key="4"),
]


def course_draft(price: int) -> CourseDraft:
    """Text, video, quiz."""
    quiz = AssessmentDraft(title="Quiz", pass_percent=100, attempts_allowed=3, questions=QUESTIONS)
    return CourseDraft(
        title="Charts",
        slug=f"charts-{secrets.token_hex(4)}",
        category="trading",
        level="beginner",
        price=price,
        syllabus=SyllabusDraft(
            modules=[
                ModuleDraft(
                    title="One",
                    lessons=[
                        LessonDraft(title="A", type=LessonType.TEXT),
                        LessonDraft(title="B", type=LessonType.VIDEO, media="b.mp4", duration_seconds=100),
                        LessonDraft(title="Q", type=LessonType.QUIZ, assessment=quiz),
                    ],
                )
            ]
        ),
    )


@dataclass
class Learner:
    """One person with one place; `lessons` in order, the last one the quiz with its `assessment`."""

    user_id: str
    enrollment_id: str
    handle: WorkflowHandle[Any, Any]
    lessons: list[str]
    assessment: str
    questions: list[str]
    payment_id: str = ""

    @property
    def right(self) -> dict[str, Any]:
        return dict(zip(self.questions, ("a", "4.0"), strict=True))

    async def done(self, lesson: int, **more: Any) -> dict[str, Any]:
        given = {
            "command_id": mint(Prefix.COMMAND),
            "lesson_id": self.lessons[lesson],
            "completed": True,
            **more,
        }
        return await self.handle.execute_update("record_progress", given)

    async def begin(self) -> dict[str, Any]:
        given = {"attempt_id": mint(Prefix.ATTEMPT), "assessment_id": self.assessment}
        return await self.handle.execute_update("begin_attempt", given)


@dataclass
class Academy:
    settings: Settings
    database: Database
    vault: Vault
    client: Client
    skipper: TimeSkipper
    queue: str

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.reading() as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def course(self, price: int = 0) -> str:
        course_id, now, draft = mint(Prefix.COURSE), datetime.now(UTC), course_draft(price)
        async with self.database.transaction() as connection:
            await education_edits.create(connection, course_id, None, draft, now)
            await education_edits.publish(
                connection, course_id, draft, mint(Prefix.COMMAND), "usr_teacher", now
            )
        return course_id

    async def person(self) -> str:
        user_id, now = mint(Prefix.USER), datetime.now(UTC)
        new = identity_users.NewUser(
            user_id, f"{secrets.token_hex(6)}@example.in", f"+919{secrets.randbelow(10**9):09d}", "x"
        )
        async with self.database.transaction() as connection:
            await identity_users.create(connection, self.vault, new, now)
            await identity_profiles.create(connection, self.vault, user_id, {"full_name": "Asha Verma"}, now)
        return user_id

    async def enroll(self, course_id: str, user_id: str | None = None, **more: Any) -> Learner:
        user_id = user_id or await self.person()
        given = EnrollmentInput(
            enrollment_id=mint(Prefix.ENROLLMENT),
            user_id=user_id,
            course_id=course_id,
            assertion_key=self.settings.assertion_public_key,
            **more,
        )
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            "CourseEnrollment",
            given,
            id=workflow_id(Kind.ENROLLMENT, given.enrollment_id),
            task_queue=self.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        try:
            await self.client.execute_update_with_start_workflow("enroll", {}, start_workflow_operation=start)
        finally:
            handle = await start.workflow_handle()
        return await self.learner(given, self.client.get_workflow_handle(handle.id))

    async def learner(self, given: EnrollmentInput, handle: WorkflowHandle[Any, Any]) -> Learner:
        async with self.database.reading() as connection:
            outline = await education_courses.outline(connection, given.course_id, 1)
            quiz = outline[-1].assessment
            assert quiz is not None
            questions = await education_courses.questions(connection, quiz.assessment_id)
        return Learner(
            given.user_id,
            given.enrollment_id,
            handle,
            [lesson.lesson_id for lesson in outline],
            quiz.assessment_id,
            [question["question_id"] for question in questions],
        )

    async def active(self, price: int = 0) -> Learner:
        one = await self.enroll(await self.course(price))
        if price:
            await self.pay(one)
        return one

    async def at_quiz(self, price: int = 0) -> Learner:
        one = await self.active(price)
        for lesson in (0, 1):
            await one.done(lesson)
        return one

    async def pay(self, one: Learner) -> None:
        """The payment process's word that the money is in."""
        one.payment_id = one.payment_id or mint(Prefix.PAYMENT)
        paid = PaymentCaptured(
            payment_id=one.payment_id,
            purpose=Purpose.COURSE,
            reference_id=one.enrollment_id,
            amount=24_000_00,
            captured_at=datetime.now(UTC),
        )
        await one.handle.signal("payment_captured", paid)
        await self.status(one, "active")

    async def refund(self, one: Learner, *, full: bool) -> None:
        given = PaymentRefunded(
            payment_id=one.payment_id,
            reference_id=one.enrollment_id,
            refund_id=mint(Prefix.REFUND),
            amount=1_00,
            full=full,
        )
        await one.handle.signal("payment_refunded", given)

    async def dispute(self, one: Learner, dispute_id: str, state: str) -> None:
        given = PaymentDisputed.model_validate(
            {
                "payment_id": one.payment_id,
                "reference_id": one.enrollment_id,
                "dispute_id": dispute_id,
                "state": state,
            }
        )
        await one.handle.signal("payment_disputed", given)

    async def submit(self, one: Learner, attempt_id: str, answers: dict[str, Any]) -> dict[str, Any]:
        submission_id = await self.hand_in(one, attempt_id, answers)
        return await one.handle.execute_update(
            "submit_attempt", {"attempt_id": attempt_id, "submission_id": submission_id}
        )

    async def hand_in(self, one: Learner, attempt_id: str, answers: dict[str, Any]) -> str:
        submission_id = mint(Prefix.COMMAND)
        async with self.database.transaction() as connection:
            await education_progress.hand_in(
                connection,
                self.vault,
                submission_id=submission_id,
                attempt_id=attempt_id,
                user_id=one.user_id,
                answers=answers,
                now=datetime.now(UTC),
            )
        return submission_id

    async def sit(self, one: Learner, answers: dict[str, Any]) -> dict[str, Any]:
        begun = await one.begin()
        return await self.submit(one, begun["attempt_id"], answers)

    async def grant(self, one: Learner, *, role: str, action: str = "grant_attempt") -> dict[str, Any]:
        assertion = Assertion(
            subject="usr_teacher",
            role=role,
            workflow_id=one.handle.id,
            action=action,
            # The process judges by its own clock, which a test may have moved by days.
            expires_at=datetime.now(UTC) + timedelta(days=1000) + LIFETIME,
        )
        given = {
            "command_id": mint(Prefix.COMMAND),
            "assessment_id": one.assessment,
            "assertion": sign(self.settings.assertion_key.get_secret_value(), assertion).model_dump(),
        }
        return await one.handle.execute_update("grant_attempt", given)

    async def row(self, one: Learner) -> dict[str, Any]:
        query = "SELECT * FROM education.enrollments WHERE enrollment_id = %s"
        return (await self.rows(query, one.enrollment_id))[0]

    async def status(self, one: Learner, *wanted: str) -> dict[str, Any]:
        """The row once its status is one of `wanted`."""

        async def there() -> dict[str, Any] | None:
            row = await self.row(one)
            return row if row["status"] in wanted else None

        return await eventually(there, f"{one.enrollment_id} to be {wanted}")

    async def forward(self, one: Learner, duration: timedelta) -> None:
        await asyncio.wait_for(self.skipper.fast_forward(one.handle, duration), 60)


@asynccontextmanager
async def academy(engines: EmbeddedEngines, dsn: str) -> AsyncIterator[Academy]:
    settings = engines.settings.model_copy(update={"postgres": dsn})
    queue = f"education-{secrets.token_hex(6)}"
    async with assemble(settings) as parts, AsyncExitStack() as running:
        for worker in workers(POOL, parts, parts.client, task_queue=queue):
            await running.enter_async_context(worker)
        skipper = TimeSkipper(parts.client)
        yield Academy(settings, parts.database, parts.vault, parts.client, skipper, queue)
