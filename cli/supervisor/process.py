"""One program under supervision, and how it is started and ended."""

import asyncio
import os
import pwd
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

LAUNCH = Path(__file__).with_name("launch.py")

_ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Refused|Failure|Interrupt): ")

Check = Callable[[], Awaitable[bool]]


class Child(Protocol):
    """A running process, however it was started."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def send_signal(self, signal: int, /) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Account:
    """The user a program runs as; ``capability`` is kept where its files lie behind a closed folder."""

    uid: int
    gid: int
    capability: int = -1


@dataclass(frozen=True)
class Program:
    """A process that must always run."""

    name: str
    argv: tuple[str, ...]
    check: Check
    environment: Mapping[str, str]
    port: int | None = None
    after: tuple[str, ...] = ()
    stage: int = 0
    """Stages end in this order, each when the one before is gone."""
    stop: signal.Signals = signal.SIGTERM
    grace: float = 5.0
    """Seconds between the polite signal and SIGKILL."""
    death: signal.Signals = signal.SIGKILL
    """What the kernel sends when the supervisor dies."""
    account: Account | None = None
    prepare: Callable[[], Awaitable[None]] | None = None
    attempts: int = 1
    """How often it may fail before it has been healthy once."""
    entry: tuple[str, ...] = ()
    """Name and arguments in ``cli.entry`` where the nursery can fork it."""


@dataclass(frozen=True)
class Step:
    """A program that must run once, and end well, before others start."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()


def unprivileged(*folders: Path) -> Account | None:
    """The user that engines run as when we are root (Postgres refuses root), else None."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam("nobody")
        uid, gid = user.pw_uid, user.pw_gid
    except KeyError:
        uid = gid = 65534
    if all(_passable(folder) for folder in folders):
        return Account(uid, gid)
    return Account(uid, gid, _searching_capability())


def _passable(folder: Path) -> bool:
    """Whether every folder above lets everyone through."""
    return all(parent.stat().st_mode & 0o001 for parent in folder.resolve().parents)


def _searching_capability() -> int:
    """CAP_DAC_READ_SEARCH where the bounding set has it, else CAP_DAC_OVERRIDE (containers)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return 2 if int(line.split()[1], 16) & (1 << 2) else 1
    return 1


def command(
    argv: tuple[str, ...], death: signal.Signals = signal.SIGKILL, account: Account | None = None
) -> list[str]:
    """The command line that runs ``argv`` bound to this process's life."""
    user = account or Account(-1, -1)
    numbers = (os.getpid(), int(death), user.uid, user.gid, user.capability)
    return [sys.executable, "-I", "-S", str(LAUNCH), *map(str, numbers), *argv]


async def spawn(
    argv: tuple[str, ...],
    log: Path,
    environment: Mapping[str, str],
    *,
    death: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
    stdin: bytes | None = None,
) -> asyncio.subprocess.Process:
    """Start a child in a session of its own, its output appended to ``log``.

    Call from the main thread only: the death signal is tied to the thread that forks (prctl(2)).
    """
    with log.open("ab") as output:
        child = await asyncio.create_subprocess_exec(
            *command(argv, death, account),
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )
    if stdin is not None and child.stdin is not None:
        child.stdin.write(stdin)
        child.stdin.close()
    return child


async def end(child: Child, stop: signal.Signals, grace: float) -> None:
    """Ask the child to end, insist after ``grace`` seconds, and sweep what it left in its session."""
    with suppress(ProcessLookupError):
        child.send_signal(stop)
    try:
        await asyncio.wait_for(child.wait(), grace)
    except TimeoutError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def last_line(log: Path) -> str:
    """What a program said last: the error of a Python traceback if there is one, else the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or ["it said nothing"])[-1][:300]
