"""A home run by the real command, engines only."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.environment import ROOT


class Home:
    """A folder and the ``treum`` command on it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def treum(self, *arguments: str, python: Path = Path(sys.executable)) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(python), "-m", "cli", *arguments, "--home", str(self.path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def up(self, *arguments: str) -> None:
        ended = self.treum("up", "--detach", "--engines", "--port-base", "0", *arguments)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines()[-1] == "ready"

    def down(self) -> None:
        assert self.treum("down").returncode == 0

    def read(self, name: str) -> dict[str, Any]:
        return json.loads((self.path / name).read_text())

    def status(self) -> dict[str, Any]:
        return json.loads(self.treum("status", "--json").stdout)


def until(holds: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for a state; answers the seconds it took, fails at the deadline."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - begun


async def until_answers(check: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait until a health check holds."""
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Killed, and its parent (init of a container, say) has not asked how it ended.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home that is up."""
    running = Home(tmp_path_factory.mktemp("home"))
    running.up()
    yield running
    running.down()
