"""The envelope on the real server: one promise, one effect, one answer."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from cli.embedded import EmbeddedEngines
from models.contracts.commands import Drive, Request
from store.commands import Commands
from store.database import Database
from store.vault import Vault
from temporal.client import connect
from temporal.commands import Envelope, KeyReused
from tests.temporal.greeting import Counter
from workers.pool import runner


@pytest.fixture
async def client(engines: EmbeddedEngines) -> Client:
    return await connect(engines.settings)


@pytest.fixture
async def envelope(engines: EmbeddedEngines, client: Client, database: str) -> AsyncIterator[Envelope]:
    async with Database(database) as record:
        yield Envelope(client, Commands(record, Vault(engines.settings)), timedelta(seconds=3))


@pytest.fixture
async def queue(client: Client) -> AsyncIterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    async with Worker(client, task_queue=name, workflows=[Counter], workflow_runner=runner()):
        yield name


def adding(queue: str, amount: int, *, create: bool = True):
    def drive(minted: str) -> Drive:
        return Drive(
            workflow_type="Counter",
            workflow_id=f"counter:{minted}",
            queue=queue,
            start={} if create else None,
            update="add",
            argument={"amount": amount, "command": "first"},
        )

    return drive


async def test_a_repeat_reads_the_stored_answer(envelope: Envelope, queue: str) -> None:
    request = Request("usr_1", "POST /v1/count", secrets.token_hex(4), b"{}")
    first = await envelope.run(request, "cnt_1" + request.key, adding(queue, 5))
    again = await envelope.run(request, "cnt_2" + request.key, adding(queue, 5))
    assert first.answer.body == {"total": 5}
    assert (again.answer, again.business_id, again.replayed) == (first.answer, first.business_id, True)


async def test_another_body_under_the_key_is_refused(envelope: Envelope, queue: str) -> None:
    key = secrets.token_hex(4)
    await envelope.run(Request("usr_1", "POST /v1/count", key, b"5"), "cnt_a" + key, adding(queue, 5))
    with pytest.raises(KeyReused):
        await envelope.run(Request("usr_1", "POST /v1/count", key, b"6"), "cnt_b" + key, adding(queue, 6))


async def test_a_refusal_is_stored_like_an_answer(envelope: Envelope, queue: str) -> None:
    request = Request("usr_1", "POST /v1/count", secrets.token_hex(4), b"{}")
    first = await envelope.run(request, "cnt_1" + request.key, adding(queue, -1))
    again = await envelope.run(request, "cnt_1" + request.key, adding(queue, -1))
    assert first.answer.refused == again.answer.refused == "negative_amount"
    assert again.replayed


async def test_a_late_update_does_not_start_a_closed_process_again(
    envelope: Envelope, client: Client, queue: str
) -> None:
    key = secrets.token_hex(4)
    first = await envelope.run(Request("usr_1", "POST", key), "cnt_z" + key, adding(queue, 1))
    handle = client.get_workflow_handle(f"counter:{first.business_id}")
    await handle.signal("end")
    assert await handle.result() == 1
    late = await envelope.run(
        Request("usr_1", "DELETE", key), first.business_id, adding(queue, 2, create=False)
    )
    assert late.answer.refused == "process_closed"
