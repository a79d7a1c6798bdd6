"""The nursery: one process that has imported everything and from which our processes are forked.

Importing takes the API or a worker two to four seconds of a processor; forked from here they run in
milliseconds, which is how a killed one is back within 2 s on a busy machine, and how ten of them start
in the time of one. It has one thread and no event loop, so that a fork copies no lock that is held.
Speaks with ``cli/supervisor/nursery.py`` in lines of JSON over the socket whose number it is given.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from dataclasses import dataclass

from cli.entry import ENTRIES, POOLS, run

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Birth:
    """What the supervisor asks for."""

    entry: list[str]
    environment: dict[str, str]
    log: str


def main(number: int) -> None:
    """Import, then fork whoever is asked for until the supervisor is gone."""
    channel = socket.socket(fileno=number)
    _import_everything()
    parent = os.getpid()
    birth = _serve(channel)
    # From here on this is a newborn: it ends like any program, at the end of its own main.
    channel.close()
    _become(birth, parent)
    name, *arguments = birth.entry
    run(name, arguments)


def _import_everything() -> None:
    modules = [target.partition(":")[0] for name, target in ENTRIES.items() if name != "sandbox"]
    for module in (*modules, "store.seed", *(f"workers.{pool}" for pool in POOLS)):
        # Whoever needs one that is broken says so in its own log, when it is born.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise copy every page it looks at


def _serve(channel: socket.socket) -> Birth:
    """Fork for each request and tell of births and deaths; returns only in a newborn."""
    deaths, signalled = os.pipe()
    for descriptor in (deaths, signalled):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(signalled)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    buffer = b""
    while True:
        readable, _, _ = select.select([channel.fileno(), deaths], [], [])
        if deaths in readable:
            os.read(deaths, READ_BYTES)
            _bury(channel)
        if channel.fileno() in readable:
            data = channel.recv(READ_BYTES)
            if not data:
                sys.exit(0)
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(deaths)
                    os.close(signalled)
                    return Birth(**json.loads(line))
                _tell(channel, {"born": pid})


def _bury(channel: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            _tell(channel, {"died": ended[0], "code": os.waitstatus_to_exitcode(ended[1])})


def _tell(channel: socket.socket, message: dict[str, int]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _become(birth: Birth, parent: int) -> None:
    """Turn this copy of the nursery into the process that was asked for."""
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    libc.prctl(PR_SET_NAME, f"treum {birth.entry[-1]}".encode()[:15], 0, 0, 0)
    log = os.open(birth.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(birth.environment)
    from models.settings import settings

    settings.cache_clear()


if __name__ == "__main__":
    main(int(sys.argv[1]))
