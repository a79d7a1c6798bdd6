"""An update whose workflow task is lost is asked again, under one id, and happens once."""

import secrets

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from cli.embedded import EmbeddedEngines
from temporal import asking_again
from temporal.client import connect

LOST_TASKS = 2
UNKNOWN = SearchAttributeKey.for_keyword("NotRegistered")
tasks: list[str] = []
"""The update's id, once for each task that brought it; outside the run, where a lost task leaves no trace."""


@workflow.defn(name="Losing", sandboxed=False)
class Losing:
    def __init__(self) -> None:
        self.taken: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: bool(self.taken))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.taken

    @workflow.query
    def begun(self) -> bool:
        return True

    @workflow.update
    async def add(self) -> int:
        info = workflow.current_update_info()
        assert info is not None
        tasks.append(info.id)
        if len(tasks) <= LOST_TASKS:
            workflow.upsert_search_attributes([UNKNOWN.value_set("the server refuses the task")])
        self.taken.append(info.id)
        return len(self.taken)


@pytest.fixture
async def client(engines: EmbeddedEngines) -> Client:
    tasks.clear()
    return await connect(engines.settings)


async def test_an_update_whose_task_is_lost_happens_once(client: Client) -> None:
    queue = f"test-{secrets.token_hex(4)}"
    async with Worker(
        client, task_queue=queue, workflows=[Losing], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        handle = await client.start_workflow("Losing", id=queue, task_queue=queue, result_type=list[str])
        assert await handle.query("begun")
        assert await handle.execute_update("add") == 1
        taken = await handle.result()
    assert len(taken) == 1
    assert len(tasks) > LOST_TASKS
    assert set(tasks) == set(taken)


async def test_a_task_that_is_lost_again_and_again_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking_again, "PAUSES_SECONDS", ())
    queue = f"test-{secrets.token_hex(4)}"
    async with Worker(
        client, task_queue=queue, workflows=[Losing], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        handle = await client.start_workflow("Losing", id=queue, task_queue=queue)
        assert await handle.query("begun")
        with pytest.raises(RPCError) as told:
            await handle.execute_update("add")
        await handle.terminate("told")
    assert told.value.status is RPCStatusCode.FAILED_PRECONDITION
