"""What the education column's processes do to the world. Each is safe to repeat by the key it names."""

from temporalio import activity

from models.messages.education import (
    CourseView,
    Edit,
    EnrollmentInput,
    Grade,
    OpenedEnrollment,
    SaveEnrollment,
)


class EducationPort:
    """Implemented by `activities.education.EducationActivities`."""

    @activity.defn(name="education.open_enrollment")
    async def open_enrollment(self, given: EnrollmentInput) -> OpenedEnrollment:
        """Writes the row `awaiting_payment`, once an enrollment id.

        Raises:
            Rejected: `course_not_found`, `already_enrolled`.
        """
        ...

    @activity.defn(name="education.save")
    async def save(self, save: SaveEnrollment) -> int:
        """Stores the state's projection and what follows from it, in one transaction; the row's version.

        What follows: events for others, the certificate of a completed enrollment, its revocation.
        """
        ...

    @activity.defn(name="education.grade")
    async def grade(self, asked: Grade) -> int:
        """The score of handed-in answers, 0 to 100; writes nothing.

        Raises:
            Rejected: `answers_invalid`, `submission_not_found`.
        """
        ...

    @activity.defn(name="education.payment_expected")
    async def payment_expected(self, enrollment_id: str) -> bool:
        """Whether a payment of the enrollment is under way or made."""
        ...

    @activity.defn(name="education.apply_edit")
    async def apply_edit(self, command: Edit) -> CourseView:
        """Creates, replaces or publishes a course as its edit says, once an edit id.

        Raises:
            Rejected: `slug_taken`, `course_not_found`, `not_publishable`.
        """
        ...
