"""What was received or written and is not done is done later, once."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from cli.embedded import EmbeddedEngines
from models.contracts.identifiers import Prefix, mint
from models.contracts.workflow_ids import Kind, workflow_id
from relay.sweepers import Sweepers
from store import events, messages
from store.commands import Commands
from store.database import Database
from store.vault import Vault
from temporal.client import connect
from temporal.commands import Envelope
from tests.temporal.greeting import Counter, CountState
from workers.pool import runner


class Desk:
    """The relay's sweepers on a record of their own, and a process to tell things to."""

    def __init__(self, engines: EmbeddedEngines, record: Database, client: Client) -> None:
        self.record = record
        self.client = client
        self.vault = Vault(engines.settings)
        commands = Commands(record, self.vault)
        envelope = Envelope(client, commands, timedelta(seconds=3))
        self.sweepers = Sweepers(record, self.vault, client, envelope, commands)

    async def receive(self, process: str, event_id: str, *, ago: timedelta) -> int | None:
        async with self.record.transaction() as connection:
            return await events.receive(
                connection,
                self.vault,
                source="gateway",
                event_id=event_id,
                raw=b"{}",
                workflow_id=process,
                signal="told",
                argument={"number": 7},
                now=datetime.now(UTC) - ago,
            )

    async def sweep(self) -> None:
        """A turn of the sweeper at which all that is open is due."""
        async with self.record.reading() as connection:
            await connection.execute("UPDATE platform.events SET due_at = due_at - interval '2 hours'")
        await self.sweepers.deliver_events()

    async def open(self) -> int:
        async with self.record.reading() as connection:
            cursor = await connection.execute(
                "SELECT count(*) AS left FROM platform.events WHERE done_at IS NULL"
            )
            row = await cursor.fetchone()
        return row["left"] if row else 0

    async def told(self, process: str) -> list[int]:
        handle = self.client.get_workflow_handle_for(Counter.run, process)
        return (await handle.query(Counter.counted)).told


@pytest.fixture
async def desk(engines: EmbeddedEngines, record: Database) -> Desk:
    return Desk(engines, record, await connect(engines.settings))


@pytest.fixture
async def queue(desk: Desk) -> AsyncIterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    async with Worker(desk.client, task_queue=name, workflows=[Counter], workflow_runner=runner()):
        yield name


async def test_an_event_waits_for_a_process_that_is_not_there_yet(desk: Desk, queue: str) -> None:
    process = f"counter:{secrets.token_hex(4)}"
    await desk.receive(process, secrets.token_hex(4), ago=timedelta(minutes=1))
    await desk.sweep()
    assert await desk.open() == 1
    await desk.client.start_workflow(Counter.run, CountState(), id=process, task_queue=queue)
    await desk.sweep()
    assert await desk.open() == 0
    await desk.sweep()
    assert await desk.told(process) == [7]


async def test_a_repeated_event_is_stored_once(desk: Desk, queue: str) -> None:
    process = f"counter:{secrets.token_hex(4)}"
    await desk.client.start_workflow(Counter.run, CountState(), id=process, task_queue=queue)
    event_id = secrets.token_hex(4)
    assert await desk.receive(process, event_id, ago=timedelta(minutes=1)) is not None
    assert await desk.receive(process, event_id, ago=timedelta(minutes=1)) is None
    await desk.sweep()
    assert await desk.told(process) == [7]


async def test_an_event_for_a_process_that_has_ended_is_done(desk: Desk, queue: str) -> None:
    process = f"counter:{secrets.token_hex(4)}"
    handle = await desk.client.start_workflow(Counter.run, CountState(), id=process, task_queue=queue)
    await handle.signal(Counter.end)
    await handle.result()
    await desk.receive(process, secrets.token_hex(4), ago=timedelta(minutes=1))
    await desk.sweep()
    assert await desk.open() == 0


async def test_its_receiver_has_the_first_turn(desk: Desk) -> None:
    """An event of this moment is left to the request that received it."""
    number = await desk.receive("counter:none", secrets.token_hex(4), ago=timedelta())
    await desk.sweepers.deliver_events()
    async with desk.record.reading() as connection:
        cursor = await connection.execute("SELECT attempts FROM platform.events WHERE number = %s", (number,))
        row = await cursor.fetchone()
        await events.done(connection, number or 0, datetime.now(UTC))
    assert row is not None
    assert row["attempts"] == 0


async def test_a_message_is_given_to_one_process_however_often_it_is_swept(desk: Desk) -> None:
    message_id, person = mint(Prefix.MESSAGE), mint(Prefix.USER)
    async with desk.record.transaction() as connection:
        for _ in range(2):
            await messages.enqueue(
                connection,
                desk.vault,
                message_id=message_id,
                to="+919800000000",
                channel="sms",
                subject="",
                text="123456",
                person_id=person,
                now=datetime.now(UTC) - timedelta(hours=2),
            )
    handle = desk.client.get_workflow_handle(workflow_id(Kind.MESSAGE, message_id))
    await desk.sweepers.start_messages()
    run = (await handle.describe()).run_id
    async with desk.record.reading() as connection:
        await connection.execute("UPDATE platform.messages SET due_at = due_at - interval '2 hours'")
    await desk.sweepers.start_messages()
    assert (await handle.describe()).run_id == run
    await handle.terminate()
