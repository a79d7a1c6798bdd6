"""One whole platform for the journeys, and the main job played on it once."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cli.demo.run import Play
from cli.demo.stage import BrokenPromise, Stage

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0


@dataclass
class MainJob:
    """The main job after it was played: whose it was, what was seen, and the promise that broke, if any."""

    home: Path
    play: Play
    broken: str | None


@pytest.fixture(scope="session")
def platform_home() -> Iterator[Path]:
    """The home of a running platform, every process of it; gone with this session however it ends."""
    home = Path(tempfile.mkdtemp(prefix="treum-journeys-"))
    # Whatever points this process at engines of other tests is not for the platform.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TREUM_")}
    with (home / "supervisor.out").open("w+b") as words:
        supervisor = subprocess.Popen(
            [
                *(sys.executable, "-m", "cli", "up", "--volatile", "--leash"),
                *("--home", str(home), "--port-base", "0"),
            ],
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**kept, "TREUM_LIMIT_FACTOR": "100"},
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not (home / "endpoints.json").exists():
                if supervisor.poll() is not None or time.monotonic() > deadline:
                    words.seek(0)
                    raise RuntimeError(f"the platform did not start: {words.read().decode(errors='replace')}")
                time.sleep(0.05)
            yield home
        finally:
            if supervisor.stdin:
                supervisor.stdin.close()
            supervisor.wait(60)
            shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def main_job(platform_home: Path) -> MainJob:
    """The eight steps of the contract, through HTTP, as ``make demo`` plays them."""
    play = Play(Stage.at(platform_home))
    broken: str | None = None
    try:
        play.all()
    except (BrokenPromise, httpx.HTTPError) as failure:
        broken = str(failure) or type(failure).__name__
    return MainJob(platform_home, play, broken)
