"""``treum down`` ends what ``up`` started, and only that."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.supervisor.state import Entry, Run, birth
from tests.cli.conftest import Home


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for its input to close."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    ) as child:
        yield child
        child.kill()


def test_a_pid_that_now_belongs_to_another_is_left_alone(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    Run(stranger.pid, "another boot:1", "ready", {"redis": Entry(stranger.pid, "another boot:2", 1)}).save(
        tmp_path
    )
    ended = Home(tmp_path).treum("down")
    assert ended.returncode == 0
    assert "nothing runs" in ended.stdout
    assert stranger.poll() is None


def test_children_of_a_killed_supervisor_are_ended(tmp_path: Path, stranger: subprocess.Popen[bytes]) -> None:
    Run(1, "another boot:1", "ready", {"redis": Entry(stranger.pid, birth(stranger.pid), 1)}).save(tmp_path)
    assert json.loads(Home(tmp_path).treum("status", "--json").stdout)["state"] == "stopped"
    assert Home(tmp_path).treum("down").stdout == "stopped\n"
    assert stranger.wait(5) != 0


def test_down_where_nothing_ever_ran(tmp_path: Path) -> None:
    ended = Home(tmp_path).treum("down")
    assert (ended.returncode, ended.stdout) == (0, f"nothing runs in {tmp_path}\n")
