"""What a home remembers of its supervisor: the lock, ``run.json`` and ``endpoints.json``."""

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from cli.errors import Refused

Health = Literal["starting", "healthy", "unhealthy", "stopped"]


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace the file in one step: a reader sees the old text or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def birth(pid: int) -> str | None:
    """A token of when the process started, so that a reused pid is never taken for it; None if gone."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        # The name in parentheses may hold spaces: count fields after its end (proc(5), field 22).
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return listed.stdout.strip() or None


@dataclass
class Entry:
    """One process as ``treum status`` shows it."""

    pid: int
    born: str | None
    port: int | None
    health: Health = "starting"
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    restarts: int = 0

    @property
    def alive(self) -> bool:
        return self.born is not None and birth(self.pid) == self.born


@dataclass
class Run:
    """``run.json``: the supervisor and its children."""

    pid: int
    born: str | None
    state: Literal["starting", "ready", "stopping", "stopped"] = "starting"
    processes: dict[str, Entry] = field(default_factory=dict)

    def save(self, home: Path) -> None:
        write_atomically(home / "run.json", json.dumps(asdict(self), indent=2))

    @property
    def alive(self) -> bool:
        return self.born is not None and birth(self.pid) == self.born


def load_run(home: Path) -> Run | None:
    """The last run recorded in the home, alive or not."""
    try:
        held: dict[str, Any] = json.loads((home / "run.json").read_text())
    except FileNotFoundError:
        return None
    processes = {name: Entry(**entry) for name, entry in held.pop("processes").items()}
    return Run(processes=processes, **held)


def acquire(home: Path) -> IO[str]:
    """Hold the home for this process; the kernel lets go when it dies, however it dies.

    Raises:
        Refused: another supervisor holds it.
    """
    file = (home / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        run = load_run(home)
        by = f" (pid {run.pid})" if run else ""
        raise Refused(
            f"treum is already running on {home}{by}; `treum down --home {home}` stops it"
        ) from None
    return file


def prepare_home(home: Path) -> None:
    """Make the home's folders and prove that they can be written.

    Raises:
        Refused: they cannot.
    """
    try:
        # As root the engines' unprivileged user passes through; every secret inside has its own mode.
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        (home / "logs").mkdir(mode=0o700, exist_ok=True)
        probe = home / f".probe.{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise Refused(
            f"cannot write to the home {home} ({error.strerror}); choose another with --home"
        ) from None
