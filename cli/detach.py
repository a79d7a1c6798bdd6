"""``treum up --detach``: the supervisor in a session of its own, watched until it is ready."""

import os
import subprocess
import sys
import time
from pathlib import Path

from cli import environment
from cli.errors import Refused
from cli.progress import reporting
from cli.supervisor.state import acquire, prepare_home
from cli.supervisor.supervise import Report


def detached(home: Path, port_base: int | None, *, engines_only: bool = False) -> None:
    """Start the supervisor, repeat what it says, and return when it is ready.

    Raises:
        Refused: it did not start, in its own words.
    """
    home = home.resolve()
    prepare_home(home)
    # Asked here for the sake of the answer; the supervisor holds the lock for itself.
    acquire(home).close()
    arguments = ["up", "--home", str(home)]
    arguments += [] if port_base is None else ["--port-base", str(port_base)]
    arguments += ["--engines"] if engines_only else []
    log = home / "logs" / "supervisor.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=os.environ | {"PYTHONPATH": environment.python_path()},
            start_new_session=True,
        )
    try:
        with reporting() as report:
            _follow(child, log, report)
    except KeyboardInterrupt:
        child.terminate()
        raise


def _follow(child: subprocess.Popen[bytes], log: Path, report: Report) -> None:
    said = f"the supervisor ended without a word; its log is {log}"
    with log.open() as lines:
        while True:
            ended = child.poll() is not None  # before reading: its last words are then in the file
            for line in lines:
                said = line.rstrip()
                if not said.startswith("treum: "):
                    report(said)
                if said == "ready":
                    return
            if ended:
                raise Refused(said.removeprefix("treum: "))
            time.sleep(0.05)
