"""One edit of a course by its instructor: written, put in place, or published as a version."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from models.contracts.policies import BOOK
    from models.messages.education import ApplyEdit, CourseEditInput, CourseView, Edit
    from workflows.answering import caller_told
    from workflows.failures import outcome, refuse
    from workflows.ports.education import EducationPort
    from workflows.visible import show, working

"""How long a run stays for the update that made it."""


@workflow.defn(name="CourseEdit")
class CourseEdit:
    """`course-edit:{edit}`."""

    @workflow.init
    def __init__(self, given: CourseEditInput) -> None:
        self._given = given
        self._course: CourseView | None = None
        self._refused = ""
        self._told = False

    @workflow.run
    async def run(self, given: CourseEditInput) -> str:
        working(f"{given.action} of course {given.course_id}")
        try:
            self._course = await workflow.execute_local_activity_method(
                EducationPort.apply_edit, Edit(edit=given, as_of=workflow.now()), **BOOK.local()
            )
        except ApplicationError as error:  # as a local activity fails
            self._refused = outcome(error).code
        state = self._refused or "applied"
        show(state=state)
        await caller_told(lambda: self._told)
        return state

    @workflow.update
    async def apply(self, _: ApplyEdit) -> CourseView:
        await workflow.wait_condition(lambda: self._course is not None or bool(self._refused))
        self._told = True
        if self._course is None:
            raise refuse(self._refused)
        return self._course
