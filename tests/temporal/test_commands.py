"""The envelope on the real server: one promise, one effect, one answer."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from cli.embedded import EmbeddedEngines
from models.contracts.commands import Answer, Drive, Request
from store.database import Database
from store.vault import Vault
from temporal.client import connect
from temporal.commands import Envelope, KeyReused, Pending
from tests.temporal.dying import Boundary, Died, Mortal
from tests.temporal.greeting import Counter
from workers.pool import runner


@pytest.fixture
async def client(engines: EmbeddedEngines) -> Client:
    return await connect(engines.settings)


@pytest.fixture
async def envelope(engines: EmbeddedEngines, client: Client, database: str) -> AsyncIterator[Envelope]:
    async with Database(database) as record:
        yield Envelope(client, Mortal(record, Vault(engines.settings)), timedelta(seconds=3))


@pytest.fixture
async def queue(client: Client) -> AsyncIterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    async with Worker(client, task_queue=name, workflows=[Counter], workflow_runner=runner()):
        yield name


def adding(queue: str, amount: int, *, create: bool = True, update: str = "add") -> Callable[[str], Drive]:
    def drive(minted: str) -> Drive:
        return Drive(
            workflow_type="Counter",
            workflow_id=f"counter:{minted}",
            queue=queue,
            start={} if create else None,
            update=update,
            argument={"amount": amount},
        )

    return drive


async def test_a_repeat_reads_the_stored_answer(envelope: Envelope, queue: str) -> None:
    request = Request("usr_1", "POST /v1/count", secrets.token_hex(4), b"{}")
    first = await envelope.run(request, "cnt_1" + request.key, adding(queue, 5))
    again = await envelope.run(request, "cnt_2" + request.key, adding(queue, 5))
    assert first.answer.body == {"total": 5}
    assert (again.answer, again.business_id, again.replayed) == (first.answer, first.business_id, True)


async def test_what_the_record_shows_is_answered_before_the_process_says_it(envelope: Envelope) -> None:
    request = Request("usr_1", "POST /v1/count", secrets.token_hex(4), b"{}")

    async def sight(business_id: str) -> Answer:
        return Answer(body={"seen": business_id})

    unserved = adding("nobody-serves-this", 5)
    first = await envelope.run(request, "cnt_1" + request.key, unserved, sight=sight)
    again = await envelope.run(request, "cnt_2" + request.key, unserved)
    assert first.answer.body == {"seen": "cnt_1" + request.key}
    assert (again.answer, again.replayed) == (first.answer, True)


async def test_a_record_that_cannot_be_read_leaves_the_answer_to_the_process(
    envelope: Envelope, queue: str
) -> None:
    request = Request("usr_1", "POST /v1/count", secrets.token_hex(4), b"{}")

    async def sight(_: str) -> Answer:
        raise OSError("the record is away")

    outcome = await envelope.run(request, "cnt_1" + request.key, adding(queue, 5), sight=sight)
    assert outcome.answer.body == {"total": 5}


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
    assert (await handle.result())["total"] == 1
    late = await envelope.run(
        Request("usr_1", "DELETE", key), first.business_id, adding(queue, 2, create=False)
    )
    assert late.answer.refused == "process_closed"


async def test_a_defect_in_a_process_is_an_answer_too(envelope: Envelope, queue: str) -> None:
    """Its update id is spent: driven again it would fail again, for ever, and take the sweeper with it."""
    request = Request("usr_1", "POST", secrets.token_hex(4))
    first = await envelope.run(request, "cnt_d" + request.key, adding(queue, 1, update="stumble"))
    again = await envelope.run(request, "cnt_d" + request.key, adding(queue, 1, update="stumble"))
    assert first.answer.refused == again.answer.refused == "process_failed"
    assert again.replayed


async def test_a_command_nobody_takes_is_kept_and_driven_later(
    envelope: Envelope, client: Client, database: str
) -> None:
    """No worker serves the queue: 503 in time, and the sweeper finishes it when one does."""
    request = Request("usr_1", "POST", secrets.token_hex(4))
    name = f"test-{secrets.token_hex(4)}"
    hasty = Envelope(client, envelope._commands, timedelta(seconds=0.3))
    with pytest.raises(Pending):
        await hasty.run(request, "cnt_k" + request.key, adding(name, 7))
    async with Worker(client, task_queue=name, workflows=[Counter], workflow_runner=runner()):
        async with asyncio.timeout(10):
            while await envelope.sweep() == 0:
                await asyncio.sleep(0.02)
        again = await envelope.run(request, "cnt_x" + request.key, adding(name, 7))
    assert again.replayed
    assert again.answer.body == {"total": 7}


@pytest.mark.parametrize("meanwhile", ["start_over", "end"])
async def test_an_answer_lost_before_the_run_ended_is_found_again(
    envelope: Envelope, client: Client, queue: str, meanwhile: str
) -> None:
    """The caller's process died with the answer in hand; then the run continued as new, or closed."""
    key = secrets.token_hex(4)
    made = await envelope.run(Request("usr_1", "POST", key), "cnt_l" + key, adding(queue, 1))
    asked = Request("usr_1", "PUT", key)
    log = envelope._commands
    assert isinstance(log, Mortal)
    log.at = Boundary.DRIVEN
    with pytest.raises(Died):
        await envelope.run(asked, made.business_id, adding(queue, 2, create=False))
    handle = client.get_workflow_handle(f"counter:{made.business_id}")
    first_run = (await handle.describe()).run_id
    await handle.signal(meanwhile)
    async with asyncio.timeout(10):
        while (seen := await handle.describe()).run_id == first_run and seen.close_time is None:
            await asyncio.sleep(0.01)
    await log.time_passes()
    again = await envelope.run(asked, made.business_id, adding(queue, 2, create=False))
    assert again.answer.body == {"total": 3}
