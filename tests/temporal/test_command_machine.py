"""The envelope held by a state machine: whatever dies, repeats, races, closes or renews, one effect and one
answer. The process under it dedupes nothing, so an effect that came twice is in its count."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import Worker

from cli.embedded import EmbeddedEngines
from models.contracts.commands import Answer, Drive, Request
from store.database import Database
from store.vault import Vault
from temporal.client import connect
from temporal.commands import Envelope, InProgress, KeyReused, Outcome, Pending
from tests.temporal.dying import Boundary, Died, Mortal
from tests.temporal.greeting import Counter, CountState
from workers.pool import runner

T = TypeVar("T")
AMOUNTS = st.integers(-2, 9).filter(bool)
BOUNDARIES = st.sampled_from(Boundary)


class Meanwhile(StrEnum):
    """What happens to the process before a repeat reaches it; all but the first let the lease lapse."""

    NOTHING = "nothing"
    LAPSED = "the lease lapses"
    RENEWED = "it continues as new, and its update ids with it"
    ENDED = "it ends"


class Repeat(StrEnum):
    SAME = "by its caller"
    TWICE_AT_ONCE = "by two processes at once"
    OTHER_BODY = "with another body under the same key"


@dataclass
class World:
    """One loop with a worker, and two processes' worth of envelopes on one record."""

    loop: asyncio.Runner
    client: Client
    database: Database
    queue: str
    logs: list[Mortal]
    envelopes: list[Envelope]

    def run(self, work: Awaitable[T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(20):
                return await work

        return self.loop.run(bounded())


@dataclass
class Process:
    """A counter, under the id that its creation minted."""

    workflow: str = ""
    commands: "list[Command]" = field(default_factory=list)


@dataclass
class Command:
    """What its caller asked for, and what was seen of it."""

    request: Request
    process: Process
    amount: int
    update: str = "add"
    creates: bool = False
    business_id: str = ""
    answer: Answer | None = None


class CommandMachine(RuleBasedStateMachine):
    world: World
    commands = Bundle("commands")

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []

    @initialize(target=commands, amount=AMOUNTS)
    def begins(self, amount: int) -> Command:
        return self.creates(amount, Boundary.NONE)

    @rule(target=commands, amount=AMOUNTS, dies=BOUNDARIES)
    def creates(self, amount: int, dies: Boundary) -> Command:
        request = Request("usr_1", "POST /counters", secrets.token_hex(8), b"%d" % amount)
        return self._new(Command(request, Process(), amount, creates=True), dies)

    @rule(target=commands, other=commands, amount=AMOUNTS, last=st.booleans(), dies=BOUNDARIES)
    def updates(self, other: Command, amount: int, last: bool, dies: Boundary) -> object:
        """Another command to the same process, once its id is known to callers."""
        if not other.process.workflow:
            return multiple()
        request = Request("usr_1", "POST /add", secrets.token_hex(8), b"%d" % amount)
        update = "add_and_end" if last and amount > 0 else "add"
        return self._new(Command(request, other.process, amount, update), dies)

    @rule(
        command=commands,
        meanwhile=st.sampled_from(Meanwhile),
        how=st.sampled_from(Repeat),
        dies=BOUNDARIES,
    )
    def repeats(self, command: Command, meanwhile: Meanwhile, how: Repeat, dies: Boundary) -> None:
        match meanwhile:
            case Meanwhile.RENEWED:
                self.world.run(self._renewed(command.process))
            case Meanwhile.ENDED:
                self.world.run(self._ended(command.process))
        if meanwhile is not Meanwhile.NOTHING:
            self.world.run(self.world.logs[0].time_passes())
        match how:
            case Repeat.TWICE_AT_ONCE:
                self._twice_at_once(command)
            case Repeat.OTHER_BODY:
                self._other_body(command)
            case Repeat.SAME:
                self._send(command, dies)

    @rule(lapsed=st.booleans())
    def sweeps(self, lapsed: bool) -> None:
        if lapsed:
            self.world.run(self.world.logs[0].time_passes())
        self.world.run(self.world.envelopes[1].sweep())

    def teardown(self) -> None:
        """Nobody asks again: the sweeper finishes what is open; then counts are held against answers."""
        self.sweeps(lapsed=True)
        for command in [command for process in self.processes for command in process.commands]:
            self._settled(command)
        for process in self.processes:
            state = self.world.run(self._state(process))
            assert len(state.taken) == len(set(state.taken)), "a command took effect twice"
            applied = 0
            for command in process.commands:
                answer = self._settled(command)
                if answer.refused is None:
                    applied += command.amount
                elif command.amount < 0:
                    assert answer.refused in ("negative_amount", "process_closed")
                else:
                    assert answer.refused == "process_closed", answer
            assert state.total == applied, "what was answered is not what was done"

    def _new(self, command: Command, dies: Boundary) -> Command:
        command.process.commands.append(command)
        if command.creates:
            self.processes.append(command.process)
        self._send(command, dies)
        return command

    def _twice_at_once(self, command: Command) -> None:
        async def both() -> list[Outcome | BaseException]:
            sent = (self._run(command, envelope) for envelope in self.world.envelopes)
            return await asyncio.gather(*sent, return_exceptions=True)

        for result in self.world.run(both()):
            if isinstance(result, Outcome):
                self._saw(command, result)
            else:
                assert isinstance(result, InProgress), result

    def _other_body(self, command: Command) -> None:
        request = Request("usr_1", command.request.route, command.request.key, b"other")
        other = Command(request, command.process, 100, command.update, command.creates)
        with pytest.raises(KeyReused):
            self.world.run(self._run(other, self.world.envelopes[0]))

    def _settled(self, command: Command) -> Answer:
        outcome = self.world.run(self._run(command, self.world.envelopes[0]))
        assert outcome.replayed, "the sweeper left a promise open"
        self._saw(command, outcome)
        return outcome.answer

    def _send(self, command: Command, dies: Boundary) -> None:
        self.world.logs[0].at = dies
        try:
            self._saw(command, self.world.run(self._run(command, self.world.envelopes[0])))
        except InProgress:
            assert command.answer is None, "an answered command is in progress again"
        except Died:
            pass
        except Pending:
            raise AssertionError("a served command found no answer") from None
        finally:
            self.world.logs[0].at = Boundary.NONE

    def _saw(self, command: Command, outcome: Outcome) -> None:
        assert command.business_id in ("", outcome.business_id), "the id changed"
        assert command.answer in (None, outcome.answer), "the answer changed"
        command.business_id, command.answer = outcome.business_id, outcome.answer
        if command.creates:
            command.process.workflow = f"counter:{outcome.business_id}"

    async def _run(self, command: Command, envelope: Envelope) -> Outcome:
        def drive(minted: str) -> Drive:
            return Drive(
                workflow_type="Counter",
                workflow_id=f"counter:{minted}" if command.creates else command.process.workflow,
                queue=self.world.queue,
                start={} if command.creates else None,
                update=command.update,
                argument={"amount": command.amount},
            )

        return await envelope.run(command.request, f"cnt_{secrets.token_hex(8)}", drive)

    async def _open(self, process: Process) -> bool:
        found = await self.world.client.get_workflow_handle(process.workflow).describe()
        return found.status is WorkflowExecutionStatus.RUNNING

    async def _renewed(self, process: Process) -> None:
        if not process.workflow or not await self._open(process):
            return
        handle = self.world.client.get_workflow_handle(process.workflow)
        before = (await handle.describe()).run_id
        await handle.signal("start_over")
        while (await handle.describe()).run_id == before:
            await asyncio.sleep(0.005)

    async def _ended(self, process: Process) -> None:
        if process.workflow and await self._open(process):
            handle = self.world.client.get_workflow_handle(process.workflow)
            await handle.signal("end")
            await handle.result()

    async def _state(self, process: Process) -> CountState:
        handle = self.world.client.get_workflow_handle_for(Counter.run, process.workflow)
        if await self._open(process):
            return await handle.query(Counter.counted)
        return await handle.result()


def hold(engines: EmbeddedEngines, dsn: str, profile: settings) -> None:
    with asyncio.Runner() as loop:

        async def build() -> tuple[World, Worker]:
            client = await connect(engines.settings)
            database = Database(dsn)
            await database.open()
            vault = Vault(engines.settings)
            logs = [Mortal(database, vault), Mortal(database, vault)]
            deadline = timedelta(seconds=10)
            envelopes = [Envelope(client, log, deadline) for log in logs]
            queue = f"test-{secrets.token_hex(4)}"
            worker = Worker(client, task_queue=queue, workflows=[Counter], workflow_runner=runner())
            return World(loop, client, database, queue, logs, envelopes), worker

        world, worker = loop.run(build())
        loop.run(worker.__aenter__())
        try:
            machine: Callable[[], CommandMachine] = type("Held", (CommandMachine,), {"world": world})
            run_state_machine_as_test(machine, settings=profile)
        finally:
            loop.run(worker.__aexit__(None, None, None))
            loop.run(world.database.close())


def test_one_effect_one_answer(engines: EmbeddedEngines, database: str) -> None:
    hold(engines, database, QUICK)


PROFILE = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
QUICK = settings(PROFILE, max_examples=16, stateful_step_count=12, derandomize=True, phases=[Phase.generate])
