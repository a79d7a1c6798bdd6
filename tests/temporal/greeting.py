"""A small process for the envelope's own tests: counts, refuses, ends, continues as new.

It dedupes nothing itself, so that a command which runs twice is seen.
"""

from pydantic import BaseModel
from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from workflows.failures import refuse


class CountState(BaseModel):
    """What the process carries over: the sum, and the command (update id) of each addition."""

    total: int = 0
    taken: list[str] = []
    told: list[int] = []


class Add(BaseModel):
    amount: int


@workflow.defn(name="Counter")
class Counter:
    @workflow.init
    def __init__(self, state: CountState) -> None:
        self.state = state
        self.ended = False
        self.renew = False

    @workflow.run
    async def run(self, state: CountState) -> CountState:
        await workflow.wait_condition(lambda: self.ended or self.renew)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self.renew:
            workflow.continue_as_new(self.state)
        return self.state

    @workflow.update
    async def add(self, order: Add) -> dict:
        if order.amount < 0:
            raise refuse("negative_amount")
        return self._added(order)

    @workflow.update
    async def add_and_end(self, order: Add) -> dict:
        """The last one: the run closes with it, as a cancel closes a process."""
        self.ended = True
        return self._added(order)

    @workflow.update
    async def stumble(self, order: Add) -> dict:
        """Fails for a reason that is no refusal."""
        raise ApplicationError("stumbled", type="Defect", non_retryable=True)

    @workflow.query
    def counted(self) -> CountState:
        return self.state

    @workflow.signal
    def told(self, event: dict) -> None:
        self.state.told.append(event["number"])

    @workflow.signal
    def end(self) -> None:
        self.ended = True

    @workflow.signal
    def start_over(self) -> None:
        self.renew = True

    def _added(self, order: Add) -> dict:
        info = workflow.current_update_info()
        self.state.taken.append(info.id if info else "")
        self.state.total += order.amount
        return {"total": self.state.total}


@workflow.defn(name="Whisper")
class Whisper:
    """Takes a secret as input, memo of its details and failure: every place a payload can stand in."""

    @workflow.run
    async def run(self, secret: str) -> None:
        workflow.set_current_details(f"waits for {secret}")
        raise ApplicationError(f"cannot bear {secret}", secret, type="Rejected", non_retryable=True)
