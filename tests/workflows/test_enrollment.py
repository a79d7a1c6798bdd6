"""An enrollment's story on the real server: every state, every timer, every refused command."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import Replayer

from cli.embedded import EmbeddedEngines
from domain.payments import Purpose
from models.contracts.identifiers import Prefix, mint
from models.contracts.search_attributes import Attribute
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.education import EnrollmentInput, EnrollmentState, LessonProgress
from store import education_courses, payments
from tests.workflows.academy import Academy, academy
from tests.workflows.subscribers import eventually, refusal
from workers.pool import runner
from workflows.enrollments import CourseEnrollment

PRICE = 24_999_00


@pytest.fixture(scope="module")
async def school(engines: EmbeddedEngines, database: str) -> AsyncIterator[Academy]:
    async with academy(engines, database) as made:
        yield made


async def test_a_free_course_opens_at_once_and_lessons_one_after_the_other(school: Academy) -> None:
    one = await school.active()
    assert (await school.row(one))["status"] == "active"
    assert await refusal(one.done(1)) == "lesson_locked"
    assert await refusal(one.begin()) == "lesson_locked"
    assert (await one.done(0))["percent"] == 33
    watched = await one.done(1, completed=None, seconds_watched=40)
    assert (watched["state"], watched["seconds_watched"]) == ("open", 40)
    less = await one.done(1, seconds_watched=20)
    assert (less["state"], less["seconds_watched"]) == ("done", 40)
    assert await refusal(one.done(2)) == "assessment_required"
    unknown = {"command_id": mint(Prefix.COMMAND), "lesson_id": "les_none", "completed": True}
    assert await refusal(one.handle.execute_update("record_progress", unknown)) == "not_found"


async def test_a_repeated_command_counts_once(school: Academy) -> None:
    one = await school.active()
    await one.done(0)
    command = mint(Prefix.COMMAND)
    first = await one.done(1, command_id=command, completed=None, seconds_watched=500)
    again = await one.done(1, command_id=command, completed=None, seconds_watched=500)
    assert first == again
    assert first["seconds_watched"] == 100  # no more than the lesson has
    told = await school.rows(
        "SELECT body FROM audit.outbox WHERE key = %s AND topic = 'video-analytics'", one.enrollment_id
    )
    assert [event["body"]["seconds"] for event in told] == [100]


async def test_a_paid_course_waits_for_its_payment_and_opens_by_it(school: Academy) -> None:
    one = await school.enroll(await school.course(PRICE))
    assert (await school.row(one))["status"] == "awaiting_payment"
    assert await refusal(one.done(0)) == "enrollment_awaiting_payment"
    await school.pay(one)
    await school.pay(one)
    row = await school.row(one)
    assert row["payment_id"] == one.payment_id
    assert timedelta(days=365) <= row["access_until"] - row["active_at"] <= timedelta(days=366)
    told = await school.rows(
        "SELECT type FROM audit.outbox WHERE key = %s AND topic = 'user-events' ORDER BY number",
        one.enrollment_id,
    )
    assert [event["type"] for event in told] == ["enrollment.awaiting_payment", "enrollment.active"]
    assert (await one.done(0))["percent"] == 33


async def test_what_is_never_paid_expires_and_may_be_taken_again(school: Academy) -> None:
    course = await school.course(PRICE)
    one = await school.enroll(course)
    assert await refusal(school.enroll(course, one.user_id)) == "already_enrolled"
    await school.forward(one, timedelta(days=8))
    assert await one.handle.result() == "expired"
    assert (await school.row(one))["status"] == "expired"
    await school.enroll(course, one.user_id)


async def test_an_open_checkout_keeps_the_place_until_it_ends(school: Academy) -> None:
    one = await school.enroll(await school.course(PRICE))
    payment_id = mint(Prefix.PAYMENT)
    new = payments.NewPayment(
        payment_id, one.user_id, Purpose.COURSE, one.enrollment_id, workflow_id(Kind.PAYMENT, payment_id),
        "Charts", "999293", PRICE, "INR", "MH",
    )  # fmt: skip
    async with school.database.transaction() as connection:
        await payments.open_payment(connection, new, datetime.now(UTC), "test")
    await school.forward(one, timedelta(days=10))
    assert (await school.row(one))["status"] == "awaiting_payment"
    await school.rows(
        "UPDATE finance.payments SET status = 'expired' WHERE payment_id = %s RETURNING 1", payment_id
    )
    await school.forward(one, timedelta(days=2))
    await school.status(one, "expired")


async def test_the_first_retry_is_free_and_later_ones_rest_a_day(school: Academy) -> None:
    one = await school.at_quiz()
    first = await school.sit(one, {})
    assert (first["score"], first["passed"], first["attempts_left"]) == (0, False, 2)
    second = await school.sit(one, {one.questions[0]: "a"})
    assert (second["score"], second["passed"], second["attempts_left"]) == (50, False, 1)
    assert await refusal(one.begin()) == "attempt_too_soon"
    await school.forward(one, timedelta(hours=25))
    last = await school.sit(one, {one.questions[0]: "b"})
    assert (last["attempts_left"], last["next_attempt_at"]) == (0, None)
    assert await refusal(one.begin()) == "attempts_exhausted"

    async def needs_attention() -> bool:
        found = await one.handle.describe()
        return found.typed_search_attributes.get(Attribute.NEEDS_ATTENTION.value) is True

    await eventually(needs_attention, "the run to ask for a person")
    assert await refusal(school.grant(one, role="finance")) == "role_required"
    assert await refusal(school.grant(one, role="support", action="other")) == "assertion_invalid"
    granted = await school.grant(one, role="support")
    assert granted["attempts_left"] == 1
    await school.forward(one, timedelta(hours=25))
    assert (await school.sit(one, one.right))["passed"]
    assert (await school.row(one))["granted"] == {one.assessment: 1}


async def test_an_attempt_is_answered_again_while_it_is_open_and_lapses_by_its_clock(school: Academy) -> None:
    one = await school.at_quiz()
    begun = await one.begin()
    assert await one.begin() == begun
    await school.forward(one, timedelta(minutes=31))
    assert await refusal(school.submit(one, begun["attempt_id"], one.right)) == "attempt_over"
    rows = await school.rows(
        "SELECT status, score FROM education.attempts WHERE attempt_id = %s", begun["attempt_id"]
    )
    assert rows == [{"status": "lapsed", "score": None}]
    assert (await school.sit(one, one.right))["passed"]


async def test_answers_are_judged_once_and_by_their_shape(school: Academy) -> None:
    one = await school.at_quiz()
    begun = await one.begin()
    for wrong in ({"qst_none": "a"}, {one.questions[0]: ["a"]}, {one.questions[1]: "four"}):
        assert await refusal(school.submit(one, begun["attempt_id"], wrong)) == "answers_invalid"
    submission = await school.hand_in(one, begun["attempt_id"], one.right)
    given = {"attempt_id": begun["attempt_id"], "submission_id": submission}
    first = await one.handle.execute_update("submit_attempt", given)
    assert first == await one.handle.execute_update("submit_attempt", given)
    assert await refusal(school.submit(one, begun["attempt_id"], one.right)) == "attempt_closed"
    assert await refusal(school.submit(one, "att_none", one.right)) == "not_found"


async def test_a_finished_course_is_certified_once_and_a_full_refund_takes_it_back(school: Academy) -> None:
    one = await school.at_quiz(PRICE)
    assert (await school.sit(one, one.right))["passed"]
    row = await school.row(one)
    assert (row["status"], row["percent"]) == ("completed", 100)
    certificates = await school.rows(
        "SELECT * FROM education.certificates WHERE enrollment_id = %s", one.enrollment_id
    )
    assert [each["certificate_id"] for each in certificates] == [row["certificate_id"]]
    assert await refusal(one.begin()) == "enrollment_completed"
    assert (await one.done(0))["status"] == "completed"
    await school.refund(one, full=False)
    await school.refund(one, full=True)
    assert await one.handle.result() == "withdrawn"
    revoked = await school.rows(
        "SELECT revoked_at FROM education.certificates WHERE enrollment_id = %s", one.enrollment_id
    )
    assert revoked[0]["revoked_at"] is not None


async def test_a_dispute_holds_the_course_until_it_is_settled(school: Academy) -> None:
    one = await school.active(PRICE)
    await school.dispute(one, "disp_1", "opened")
    await school.status(one, "on_hold")
    assert await refusal(one.done(0)) == "enrollment_on_hold"
    await school.dispute(one, "disp_2", "opened")
    await school.dispute(one, "disp_1", "won")
    await school.dispute(one, "disp_2", "won")
    await school.status(one, "active")
    assert (await one.done(0))["percent"] == 33
    await school.dispute(one, "disp_3", "opened")
    await school.dispute(one, "disp_3", "lost")
    assert await one.handle.result() == "withdrawn"


async def test_access_ends_after_its_term_and_a_certificate_outlives_it(school: Academy) -> None:
    idle, finished = await school.active(), await school.at_quiz()
    await school.sit(finished, finished.right)
    for one, ending in ((idle, "expired"), (finished, "completed")):
        await school.forward(one, timedelta(days=367))
        assert await one.handle.result() == ending
        assert (await school.row(one))["status"] == ending


async def test_a_course_that_is_not_offered_refuses_and_leaves_nothing(school: Academy) -> None:
    user_id = await school.person()
    assert await refusal(school.enroll("crs_none", user_id)) == "course_not_found"
    assert await school.rows("SELECT 1 FROM education.enrollments WHERE user_id = %s", user_id) == []


async def test_the_next_run_goes_on_from_the_state_of_the_one_before(school: Academy) -> None:
    one = await school.active()
    await one.done(0)
    await one.handle.terminate()
    row = await school.row(one)
    async with school.database.reading() as connection:
        lessons = await education_courses.outline(connection, row["course_id"], 1)
    state = EnrollmentState.model_validate(
        {**row, "title": "Charts", "lessons": lessons, "enrolled_at": row["enrolled_at"]}
    ).model_copy(update={"progress": {one.lessons[0]: LessonProgress(completed_at=row["changed_at"])}})
    given = EnrollmentInput(
        enrollment_id=one.enrollment_id, user_id=one.user_id, course_id=row["course_id"], state=state
    )
    await school.client.start_workflow("CourseEnrollment", given, id=one.handle.id, task_queue=school.queue)
    assert (await one.done(1))["percent"] == 66
    assert (await school.sit(one, one.right))["passed"]
    assert (await school.row(one))["status"] == "completed"


async def test_every_run_above_replays(school: Academy) -> None:
    replayer = Replayer(
        workflows=[CourseEnrollment],
        workflow_runner=runner(),
        data_converter=school.client.data_converter,
    )
    replayed = 0
    async for run in school.client.list_workflows(f"TaskQueue = '{school.queue}'"):
        if run.status is WorkflowExecutionStatus.TERMINATED:
            continue
        handle = school.client.get_workflow_handle(run.id, run_id=run.run_id)
        await replayer.replay_workflow(await handle.fetch_history())
        replayed += 1
    assert replayed > 10
