"""What enrollments and course edits do to the world: rows, certificates, mails to the learner."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from zoneinfo import ZoneInfo

from temporalio import activity

from domain.billing_calendar import ist_date
from domain.errors import Rejected
from domain.progression import ENDED, EnrollmentStatus, InvalidAnswer, grade
from domain.syllabus import obstacles
from models.contracts import credentials
from models.contracts.credentials import Achieved
from models.messages.education import (
    CourseView,
    Edit,
    EnrollmentInput,
    EnrollmentState,
    Grade,
    OpenedEnrollment,
    SaveEnrollment,
)
from models.settings import Settings
from store import (
    education_certificates,
    education_courses,
    education_edits,
    education_enrollments,
    education_progress,
    identity_users,
    messages,
    recognition,
)
from store.database import Connection, Database
from store.vault import PersonForgotten, Vault
from workflows.ports.education import EducationPort

INDIA = ZoneInfo("Asia/Kolkata")

LETTERS: dict[EnrollmentStatus, tuple[str, str]] = {
    EnrollmentStatus.ACTIVE: ("Your course is open", "Sign in to Treum to begin with its first lesson."),
    EnrollmentStatus.COMPLETED: (
        "Your certificate is ready",
        "You have finished your course. Your certificate is in your account at Treum; anyone to whom you "
        "give its link can verify it.",
    ),
    EnrollmentStatus.ON_HOLD: (
        "Your course is on hold",
        "Your bank is looking into the payment of your course. It opens again when that is settled.",
    ),
    EnrollmentStatus.EXPIRED: (
        "Your course has ended",
        "The time for your course is over. You can take it again at any time.",
    ),
    EnrollmentStatus.WITHDRAWN: (
        "You have left your course",
        "The payment of your course was given back, and your place in it has ended.",
    ),
}


def signer(settings: Settings) -> Callable[[Achieved], str]:
    """Makes the credential of what was achieved, signed as the platform's."""
    key, url = settings.certificate_key.get_secret_value(), settings.public_url

    def sign(achieved: Achieved) -> str:
        return credentials.sign(key, credentials.credential(achieved, url, settings.supplier_name), url)

    return sign


class EducationActivities(EducationPort):
    def __init__(self, database: Database, vault: Vault, sign: Callable[[Achieved], str]) -> None:
        self._database = database
        self._vault = vault
        self._sign = sign

    @activity.defn(name="education.open_enrollment")
    async def open_enrollment(self, given: EnrollmentInput) -> OpenedEnrollment:
        """Once an enrollment id: a repeat finds the row, with the syllabus and price of the first time."""
        async with self._database.transaction() as connection:
            opened = await education_enrollments.open_row(connection, given, datetime.now(UTC))
        if isinstance(opened, str):
            raise Rejected(opened)
        return opened

    @activity.defn(name="education.save")
    async def save(self, save: SaveEnrollment) -> int:
        """Repeatable: events, mails and the certificate follow from what the row was before."""
        state, now = save.state, save.as_of
        async with self._database.transaction() as connection:
            saved = await education_enrollments.save(connection, state, now)
            for lesson_id in save.lesson_ids:
                await education_enrollments.save_lesson(connection, state, lesson_id, now)
            for attempt_id in save.attempt_ids:
                if attempt := state.attempt(attempt_id):
                    await education_enrollments.save_attempt(connection, state.enrollment_id, attempt)
            if state.status is EnrollmentStatus.COMPLETED:
                await self._certify(connection, state)
            elif state.status is EnrollmentStatus.WITHDRAWN:
                await education_certificates.revoke(connection, state, now)
            if saved.before is not state.status:
                await self._write_to_learner(connection, state, now)
            await self._earn(connection, state, now)
        return saved.version

    @activity.defn(name="education.grade")
    async def grade(self, asked: Grade) -> int:
        """Reads only: the questions of a published syllabus and the answers handed in never change."""
        async with self._database.transaction() as connection:
            answers = await education_progress.handed_in(
                connection, self._vault, asked.submission_id, asked.attempt_id, asked.user_id
            )
            questions = await education_courses.keyed_questions(connection, asked.assessment_id)
        if answers is None:
            raise Rejected("submission_not_found")
        try:
            return grade(questions, answers)
        except InvalidAnswer:
            raise Rejected("answers_invalid") from None

    @activity.defn(name="education.payment_expected")
    async def payment_expected(self, enrollment_id: str) -> bool:
        async with self._database.reading() as connection:
            return await education_enrollments.is_paid_or_open(connection, enrollment_id)

    @activity.defn(name="education.apply_edit")
    async def apply_edit(self, command: Edit) -> CourseView:
        """Once an edit id: a draft put in place twice is the same draft, and a syllabus carries its edit."""
        async with self._database.transaction() as connection:
            await self._apply(connection, command)
            row = await education_edits.view(connection, command.edit.course_id)
        if row is None:
            raise Rejected("course_not_found")
        return CourseView.model_validate(row)

    async def _apply(self, connection: Connection, command: Edit) -> None:
        edit, now = command.edit, command.as_of
        if edit.action == "publish":
            draft = await education_edits.draft(connection, edit.course_id)
            if draft is None:
                raise Rejected("course_not_found")
            if obstacles(draft, now.astimezone(INDIA).date()):
                raise Rejected("not_publishable")
            await education_edits.publish(connection, edit.course_id, draft, edit.edit_id, edit.author, now)
            return
        written = await education_edits.received(connection, edit.edit_id)
        if written is None:
            raise Rejected("edit_not_found")
        put = (
            partial(education_edits.create, connection, edit.course_id, edit.author)
            if edit.action == "create"
            else partial(education_edits.replace, connection, edit.course_id)
        )
        if not await put(written, now):
            raise Rejected("slug_taken")

    async def _earn(self, connection: Connection, state: EnrollmentState, now: datetime) -> None:
        """Lets the price be earned: over the time of access, ahead of it by progress, the rest at the end.
        Each step has happened already where the state is only saved again."""
        if state.payment_id is None or state.active_at is None or state.access_until is None:
            return
        today = ist_date(now)
        if state.status in ENDED:
            await recognition.stop(connection, state.payment_id, today)
            return
        net, _ = await recognition.net_of(connection, state.payment_id)
        if not net:
            return  # granted without a sale: there is nothing to earn
        await recognition.plan(
            connection,
            payment_id=state.payment_id,
            kind="course",
            reference_id=state.enrollment_id,
            net=net,
            starts_on=ist_date(state.active_at),
            ends_on=ist_date(state.access_until),
            now=now,
        )
        if done := state.percent():
            await recognition.progress(connection, state.enrollment_id, done, today)

    async def _certify(self, connection: Connection, state: EnrollmentState) -> None:
        try:
            await education_certificates.issue(connection, self._vault, state, self._sign)
        except PersonForgotten:
            raise Rejected("person_erased") from None

    async def _write_to_learner(self, connection: Connection, state: EnrollmentState, now: datetime) -> None:
        letter = LETTERS.get(state.status)
        try:
            contact = await identity_users.contact_of(connection, self._vault, state.user_id)
        except PersonForgotten:
            return
        if letter is None or contact is None:
            return
        # A course may be held and opened again: each time is a letter of its own.
        key = f"{state.enrollment_id}:{state.status}:{now.isoformat()}"
        await messages.enqueue(
            connection,
            self._vault,
            message_id=f"msg_{sha256(key.encode()).hexdigest()[:32]}",
            to=contact.email,
            channel="email",
            subject=letter[0],
            text=f"{state.title}\n\n{letter[1]}",
            person_id=state.user_id,
            now=now,
        )
