"""Processes forked from one that has imported everything."""

import os
import signal
from functools import partial
from pathlib import Path

from cli import environment
from cli.ports import is_free
from cli.supervisor import health
from cli.supervisor.nursery import Nursery, Nursling
from tests.cli.conftest import gone, until, until_answers


async def test_the_nursery_tells_of_ends_and_is_itself_replaced(tmp_path: Path) -> None:
    port = next(port for port in range(14000, 15000) if is_free(port))
    variables = environment.of_process("nursery", {}, {})
    sandbox = {
        "TREUM_SANDBOX_PORT": str(port),
        "TREUM_SANDBOX_DB": str(tmp_path / "sandbox.db"),
        "KEPT": "yes",
    }
    nursery = Nursery(tmp_path / "nursery.log", variables)

    async def born(name: str) -> Nursling:
        return await nursery.spawn((name,), variables | sandbox, tmp_path / f"{name}.log")

    wrong = await born("no such process")
    assert await wrong.wait() == 1
    assert "KeyError: 'no such process'" in (tmp_path / "no such process.log").read_text()

    first = await born("sandbox")
    await until_answers(partial(health.http, port, "/health"))
    assert os.getsid(first.pid) == first.pid
    first.send_signal(signal.SIGKILL)
    assert await first.wait() == -signal.SIGKILL

    second = await born("sandbox")
    await until_answers(partial(health.http, port, "/health"))
    nursery_pid = int(Path(f"/proc/{second.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(nursery_pid, signal.SIGKILL)
    assert await second.wait() == -signal.SIGKILL

    third = await born("sandbox")
    await until_answers(partial(health.http, port, "/health"))
    await nursery.close()
    assert await third.wait() == -signal.SIGKILL
    until(lambda: gone(third.pid))
