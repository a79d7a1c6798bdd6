"""The supervisor over small programs of the test's own: order, failure, kill points, lost supervisor."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from cli.errors import Refused
from cli.supervisor.plan import Plan
from cli.supervisor.process import Program, Step
from cli.supervisor.state import load_run, prepare_home
from cli.supervisor.supervise import Supervisor
from tests.cli.conftest import gone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare_home(tmp_path)
    return tmp_path


def python(
    name: str, folder: Path, *, up: str = "", down: str = "", stage: int = 0, after: tuple[str, ...] = ()
) -> Program:
    """A program that waits for SIGTERM, healthy once it has written a file of its name."""

    async def healthy() -> bool:
        return (folder / name).exists()

    code = f"""
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
{up}
open({str(folder / name)!r}, 'a').write(os.environ.get('TREUM_CRASH_AT', '-') + ' ')
signal.sigwait([signal.SIGTERM])
{down}
"""
    environment = {"TREUM_CRASH_AT": "here"}
    return Program(name, (sys.executable, "-c", code), healthy, environment, stage=stage, after=after)


@asynccontextmanager
async def supervised(folder: Path, plan: Plan) -> AsyncIterator[Supervisor]:
    """The supervisor, running and ready."""
    said = asyncio.Event()
    supervisor = Supervisor(folder, plan, lambda line: said.set() if line == "ready" else None)
    running = asyncio.create_task(supervisor())
    await asyncio.wait_for(said.wait(), 10)
    yield supervisor
    supervisor.stopping.set()
    await asyncio.wait_for(running, 10)


async def until(holds: "partial[bool]") -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_what_depends_on_a_step_starts_after_it_and_ends_before(folder: Path) -> None:
    order = folder / "order"
    note = f"open({str(order)!r}, 'a').write"
    engine = python("engine", folder, up=f"{note}('engine up;')", down=f"{note}('engine down;')", stage=1)
    process = python(
        "process", folder, up=f"{note}('process up;')", down=f"{note}('process down;')", after=("step",)
    )
    step = Step("step", (sys.executable, "-c", f"{note}('step;')"), after=("engine",))
    plan = Plan([engine, process], [step])
    async with supervised(folder, plan) as supervisor:
        pids = [entry.pid for entry in supervisor.run.processes.values()]
    assert order.read_text() == "engine up;step;process up;process down;engine down;"
    assert all(gone(pid) for pid in pids)
    run = load_run(folder)
    assert run is not None
    assert (run.state, run.processes) == ("stopped", {})


async def test_a_kill_point_is_given_to_the_first_start_only(folder: Path) -> None:
    plan = Plan([python("process", folder)], [])
    async with supervised(folder, plan) as supervisor:
        os.kill(supervisor.run.processes["process"].pid, signal.SIGKILL)
        await until(partial(lambda: (folder / "process").read_text() == "here - "))
        assert supervisor.run.processes["process"].restarts == 1


async def test_a_program_that_never_starts_is_told_with_its_last_error(folder: Path) -> None:
    async def never() -> bool:
        return False

    broken = Program("broken", (sys.executable, "-c", "raise ValueError('no disk')"), never, {}, attempts=2)
    supervisor = Supervisor(folder, Plan([python("engine", folder), broken], []), lambda line: None)
    with pytest.raises(Refused, match=r"broken did not start \(exit 1\): ValueError: no disk"):
        await asyncio.wait_for(supervisor(), 10)
    assert gone(supervisor.children["engine"].pid)


async def test_a_failed_step_is_told_and_nothing_is_left(folder: Path) -> None:
    step = Step("migrate", (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"), after=("engine",))
    supervisor = Supervisor(folder, Plan([python("engine", folder)], [step]), lambda line: None)
    with pytest.raises(Refused, match=r"migrate failed \(SIGKILL\)"):
        await asyncio.wait_for(supervisor(), 10)
    assert gone(supervisor.children["engine"].pid)
    assert not (folder / "endpoints.json").exists()
