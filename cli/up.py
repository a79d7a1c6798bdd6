"""``treum up`` and ``treum down``: the life of one embedded home."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from cli import keys, ports
from cli.supervisor.plan import plan
from cli.supervisor.state import Run, acquire, load_run, prepare_home
from cli.supervisor.supervise import Report, Supervisor

DOWN_DEADLINE_SECONDS = 20.0
KILL_DEADLINE_SECONDS = 5.0


def up(
    home: Path,
    port_base: int | None,
    report: Report,
    *,
    engines_only: bool = False,
    durable: bool = True,
    leash: bool = False,
) -> None:
    """Start the home and stay until a signal ends it.

    Args:
        leash: end, too, when standard input closes: the life of a program that started us.

    Raises:
        Refused: it cannot start; nothing of it is left running.
    """
    home = home.resolve()
    os.umask(0o077)  # histories, files and logs of every child are for this user only
    prepare_home(home)
    with acquire(home):
        sweep(load_run(home))
        chosen = ports.assign(home, port_base)
        contents = plan(home, chosen, keys.load_or_create(home), engines_only=engines_only, durable=durable)
        _rotate(home / "logs")
        asyncio.run(_supervise(Supervisor(home, contents, report), leash))


async def _supervise(supervisor: Supervisor, leash: bool) -> None:
    if leash:

        def held() -> None:
            if not os.read(sys.stdin.fileno(), 1024):
                asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
                supervisor.stopping.set()

        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), held)
    await supervisor()


def down(home: Path) -> bool:
    """End what ``up`` started in this home, and only that; False if nothing ran.

    A supervisor that does not end within its deadline is killed, and its children with it.
    """
    home = home.resolve()
    run = load_run(home)
    if run is None:
        return False
    ran = run.alive or any(entry.alive for entry in run.processes.values())
    if run.alive:
        os.kill(run.pid, signal.SIGTERM)
        if not _gone(run, DOWN_DEADLINE_SECONDS):
            os.kill(run.pid, signal.SIGKILL)
            _gone(run, KILL_DEADLINE_SECONDS)
    sweep(load_run(home))
    return ran


def sweep(run: Run | None) -> None:
    """Kill children that outlived their supervisor; the start time proves that a pid is still theirs."""
    left = [entry for entry in (run.processes.values() if run else ()) if entry.alive]
    for entry in left:
        os.killpg(entry.pid, signal.SIGKILL)
    deadline = time.monotonic() + KILL_DEADLINE_SECONDS
    while any(entry.alive for entry in left) and time.monotonic() < deadline:
        time.sleep(0.02)


def _gone(run: Run, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while run.alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _rotate(logs: Path) -> None:
    """Keep the last run's logs as ``NAME.log.1``."""
    for log in logs.glob("*.log"):
        if log.name != "supervisor.log":
            log.replace(log.with_name(log.name + ".1"))
