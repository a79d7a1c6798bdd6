"""A grievance: answered in 21 days, or shown to everyone who can act."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.complaints import ESCALATION, NEXT, Status
    from models.contracts.policies import BOOK
    from models.messages.complaints import (
        ComplaintInput,
        ComplaintMove,
        ComplaintView,
        File,
        Resolve,
    )
    from workflows.deciding import decider
    from workflows.failures import refuse
    from workflows.ports.complaints import ComplaintsPort
    from workflows.visible import show, waiting

RESOLVERS = frozenset({"support", "compliance"})


@workflow.defn(name="Complaint")
class Complaint:
    """`complaint:{complaint}`; who may resolve it is checked by the API's signature."""

    @workflow.init
    def __init__(self, given: ComplaintInput) -> None:
        self._given = given
        self._status = Status.OPEN

    @workflow.run
    async def run(self, given: ComplaintInput) -> str:
        show(state=self._status, customer=given.user_id, due=given.due_at)
        self._await("is escalated to everyone who can act")
        try:
            await workflow.wait_condition(
                lambda: self._status is Status.RESOLVED, timeout=given.due_at - workflow.now()
            )
        except TimeoutError:
            await self._move(Status.ESCALATED)
            show(state=self._status, attention=True)
            self._await("the customer goes to SCORES")
            await workflow.wait_condition(lambda: self._status is Status.RESOLVED)
        await workflow.wait_condition(workflow.all_handlers_finished)
        show(state=self._status, attention=False)
        return self._status

    @workflow.update
    async def file(self, _: File) -> ComplaintView:
        return self._view()

    @workflow.update
    async def resolve(self, answer: Resolve) -> ComplaintView:
        await self._move(Status.RESOLVED, answer.note_id)
        return self._view()

    @resolve.validator
    def _may_resolve(self, answer: Resolve) -> None:
        given = self._given
        decider(answer.signed, given.assertion_public_key, "resolve", RESOLVERS, about=given.user_id)
        if self._status is Status.RESOLVED:
            raise refuse("already_resolved")

    async def _move(self, status: Status, note_id: str | None = None) -> None:
        move = ComplaintMove(complaint_id=self._given.complaint_id, status=status, note_id=note_id)
        await workflow.execute_local_activity_method(ComplaintsPort.move, move, **BOOK.local())
        # The answer may have come while the escalation was being written.
        if status in NEXT[self._status]:
            self._status = status

    def _await(self, otherwise: str) -> None:
        waiting(
            f"an answer to `{self._given.complaint_id}` by {self._given.due_at:%d %b %Y}",
            since=workflow.info().start_time,
            otherwise=otherwise,
            who="support or compliance",
            link=f"POST /v1/staff/runs/complaint:{self._given.complaint_id}/actions/resolve",
        )

    def _view(self) -> ComplaintView:
        return ComplaintView(
            complaint_id=self._given.complaint_id,
            status=self._status,
            due_at=self._given.due_at,
            escalation=ESCALATION,
        )
