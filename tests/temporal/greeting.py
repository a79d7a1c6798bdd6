"""A small process for the envelope's own tests: counts, refuses, ends, continues as new."""

from pydantic import BaseModel
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.failures import refuse


class CountState(BaseModel):
    """What the process carries over: the sum, and the commands that made it."""

    total: int = 0
    taken: list[str] = []


class Add(BaseModel):
    amount: int
    command: str


@workflow.defn(name="Counter")
class Counter:
    @workflow.init
    def __init__(self, state: CountState) -> None:
        self.state = state
        self.ended = False
        self.renew = False

    @workflow.run
    async def run(self, state: CountState) -> int:
        await workflow.wait_condition(lambda: self.ended or self.renew)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self.renew:
            workflow.continue_as_new(self.state)
        return self.state.total

    @workflow.update
    async def add(self, order: Add) -> dict:
        if order.amount < 0:
            raise refuse("negative_amount")
        if order.command not in self.state.taken:
            self.state.taken.append(order.command)
            self.state.total += order.amount
        return {"total": self.state.total}

    @workflow.signal
    def end(self) -> None:
        self.ended = True

    @workflow.signal
    def start_over(self) -> None:
        self.renew = True
