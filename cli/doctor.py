"""``treum doctor``: does this machine have what an embedded home needs, and if not, what mends it."""

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cli import ports
from cli.engines import binaries
from cli.errors import Refused
from cli.supervisor.process import unprivileged
from cli.supervisor.state import load_run, prepare_home
from domain import dated_tables
from domain.market_calendar import trading_date

GIB = 1 << 30
NEED_DISK_BYTES = 2 * GIB
NEED_MEMORY_BYTES = 2 * GIB
NEED_SHARED_MEMORY_BYTES = 32 << 20
NEED_OPEN_FILES = 1024

Finding = str
"""What was found, if well; a failure raises ``Refused`` with the fault and its mend."""


def examine(home: Path) -> bool:
    """Print one line a check, and one for each dated table of the platform's that ends soon; False if any
    check failed: this machine is as able as before where a table has ended."""
    well = True
    for name, check in _checks(home.resolve()):
        try:
            print(f"ok    {name:<14} {check()}")
        except Refused as fault:
            well = False
            print(f"FAIL  {name:<14} {fault}")
    for line in dated_tables.warnings(trading_date(datetime.now(UTC))):
        print(f"warn  {'dated tables':<14} {line}")
    return well


def _checks(home: Path) -> Iterator[tuple[str, Callable[[], Finding]]]:
    yield "python", _python
    yield "temporal", lambda: str(binaries.temporal())
    yield "postgres", lambda: str(binaries.postgres())
    yield "initdb", lambda: str(binaries.postgres("initdb"))
    yield "redis", lambda: str(binaries.redis())
    yield "home", lambda: _home(home)
    yield "disk", lambda: _disk(home)
    yield "ports", lambda: _ports(home)
    yield "memory", _memory
    yield "shared memory", _shared_memory
    yield "open files", _open_files
    yield "user", lambda: _user(home)
    yield "clock", _clock


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):  # noqa: UP036 - said to whoever runs it by hand with an older one
        raise Refused(f"Python {found} is too old; install 3.11 or newer and run `make install PYTHON=…`")
    return found


def _home(home: Path) -> Finding:
    prepare_home(home)
    return str(home)


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(_existing(home)).free
    if free < NEED_DISK_BYTES:
        raise Refused(f"{free / GIB:.1f} GiB are free beside {home}; free 2 GiB or choose another --home")
    return f"{free / GIB:.0f} GiB free"


def _ports(home: Path) -> Finding:
    run = load_run(home)
    if run and run.alive:
        return f"held by treum (pid {run.pid})"
    held = ports.kept(home)
    taken = [f"{port} ({name})" for name, port in held.items() if not ports.is_free(port)]
    if taken:
        raise Refused(f"taken: {', '.join(taken)}; end what holds them or start with --port-base 0")
    return f"{min(held.values())} to {max(held.values())} on 127.0.0.1 are free"


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if total < NEED_MEMORY_BYTES:
        raise Refused(f"{total / GIB:.1f} GiB of memory; give the machine or container 2 GiB")
    return f"{total / GIB:.0f} GiB"


def _shared_memory() -> Finding:
    """Postgres keeps parallel queries' memory there; containers often come with 64 MB of it."""
    if not Path("/dev/shm").is_dir():  # noqa: S108 - the mount itself is examined
        return "not used on this system"
    free = shutil.disk_usage("/dev/shm").free  # noqa: S108
    if free < NEED_SHARED_MEMORY_BYTES:
        raise Refused("shared memory is nearly full; run the container with --shm-size=256m")
    return f"{free >> 20} MiB free in /dev/shm"


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < NEED_OPEN_FILES:
        raise Refused(
            f"only {soft} open files a process are allowed; `ulimit -n {min(hard, 65536)}` mends it"
        )
    return str(soft)


def _user(home: Path) -> Finding:
    account = unprivileged(binaries.postgres(), home / "postgres")
    if account is None:
        return f"uid {os.geteuid()}, Postgres runs as the same"
    if account.capability >= 0:
        return f"root; Postgres runs as uid {account.uid}, let through folders that are closed to others"
    return f"root; Postgres runs as uid {account.uid}"


def _clock() -> Finding:
    """Signed tokens, one-time codes and certificates all depend on it."""
    newest = max(path.stat().st_mtime for path in Path(__file__).parent.glob("*.py"))
    if time.time() < newest - 60:
        raise Refused("the clock is behind this program's own files; `timedatectl set-ntp true` mends it")
    return time.strftime("%Y-%m-%d %H:%M:%S %z")
