"""The supervisor's side of the nursery (``cli/nursery.py``): asks for births, hears of deaths."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cli.errors import Refused
from cli.supervisor.process import command, last_line

BIRTHS_TRIED = 3


class Nursling:
    """A process forked by the nursery; the part of ``asyncio.subprocess.Process`` that we use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        await self._ended.wait()
        return self.returncode or 0

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def ended(self, code: int) -> None:
        self.returncode = code
        self._ended.set()


class Nursery:
    """Started at once, so that it imports while the engines come up; started again if it is killed."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log, self._environment = log, environment
        self._process: asyncio.subprocess.Process | None = None
        self._births: deque[asyncio.Future[Nursling | None]] = deque()
        self._living: dict[int, Nursling] = {}
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        async with self._starting:
            if self._process is not None:
                return
            ours, theirs = socket.socketpair()
            with theirs, self._log.open("ab") as output:
                os.set_inheritable(theirs.fileno(), True)
                argv = (sys.executable, "-m", "cli.nursery", str(theirs.fileno()))
                self._process = await asyncio.create_subprocess_exec(
                    *command(argv),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(self._environment),
                    cwd="/",
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            reader, self._writer = await asyncio.open_connection(sock=ours)
            self._listening = asyncio.create_task(self._listen(reader))

    async def spawn(self, entry: tuple[str, ...], environment: Mapping[str, str], log: Path) -> Nursling:
        """Fork one of ``cli.entry``'s processes, its output appended to ``log``.

        Raises:
            Refused: the nursery itself keeps dying.
        """
        for _ in range(BIRTHS_TRIED):
            await self.start()
            request = {"entry": entry, "environment": dict(environment), "log": str(log)}
            born: asyncio.Future[Nursling | None] = asyncio.get_running_loop().create_future()
            self._births.append(born)
            self._writer.write(json.dumps(request).encode() + b"\n")
            if child := await born:
                return child
        raise Refused(f"the nursery of our processes does not live: {last_line(self._log)}")

    async def close(self) -> None:
        """End the nursery; whoever of its children still lives ends with it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._listening

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                message = json.loads(line)
                if "born" in message:
                    child = self._living[message["born"]] = Nursling(message["born"])
                    waiting = self._births.popleft()
                    if not waiting.cancelled():
                        waiting.set_result(child)
                else:
                    self._living.pop(message["died"]).ended(message["code"])
        await self._orphaned()

    async def _orphaned(self) -> None:
        """The nursery is gone, and with it, by their death signal, all that it had forked."""
        self._writer.close()
        if self._process is not None:
            await self._process.wait()
            self._process = None
        while self._living:
            self._living.popitem()[1].ended(-signal.SIGKILL)
        while self._births:
            waiting = self._births.popleft()
            if not waiting.cancelled():
                waiting.set_result(None)
