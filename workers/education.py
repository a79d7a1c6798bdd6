"""The education pool: enrollments, and what instructors write and publish."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.education import EducationActivities, signer
from models.contracts.queues import Queue
from workers.parts import Parts
from workers.pool import Pool, Served
from workflows.course_edits import CourseEdit
from workflows.enrollments import CourseEnrollment


def activities(parts: Parts) -> Sequence[Callable[..., Any]]:
    books = EducationActivities(parts.database, parts.vault, signer(parts.settings))
    return [books.open_enrollment, books.save, books.grade, books.payment_expected, books.apply_edit]


POOL = Pool(
    "education",
    queues=[
        Served(Queue.EDUCATION, workflows=[CourseEnrollment, CourseEdit], activities=activities),
    ],
)
