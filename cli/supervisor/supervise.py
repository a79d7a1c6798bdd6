"""Starts a plan in order, keeps its programs alive, and ends them in order."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from cli import environment
from cli.errors import Refused
from cli.supervisor.nursery import Nursery
from cli.supervisor.plan import Plan
from cli.supervisor.process import Child, Program, Step, end, last_line, spawn
from cli.supervisor.state import Entry, Health, Run, birth, write_atomically

START_DEADLINE_SECONDS = 60.0
SETTLED_SECONDS = 5.0
BACKOFF_SECONDS = (0.0, 0.1, 0.2, 0.4, 0.8)
"""Waits before the next start of a program that keeps dying; it is back within 2 s in any case."""
POLL_STARTING_SECONDS = 0.04
POLL_RUNNING_SECONDS = 2.0
SILENCE_SECONDS = 60.0
"""A program that has answered and then does not for so long is ended and started again."""
FORKS = sys.platform == "linux"
"""Elsewhere a fork without exec is not safe, and there is no death signal."""

Report = Callable[[str], None]


class Supervisor:
    """One run of a plan in a home, whose lock the caller holds."""

    def __init__(self, home: Path, plan: Plan, report: Report) -> None:
        self.home, self.plan, self.report = home, plan, report
        self.run = Run(os.getpid(), birth(os.getpid()))
        self.children: dict[str, Child] = {}
        self.nursery = Nursery(self._log("nursery"), environment.of_process("nursery", {}, {}))
        names = [program.name for program in plan.programs] + [step.name for step in plan.steps]
        self.done = {name: asyncio.Event() for name in names}
        self.stopping = asyncio.Event()

    async def __call__(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            Refused: something did not start; all that had started is ended again.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stopping.set)
        (self.home / "endpoints.json").unlink(missing_ok=True)  # of a run that was killed
        if FORKS and any(program.entry for program in self.plan.programs):
            await self.nursery.start()
        keepers = {asyncio.create_task(self._keep(program)) for program in self.plan.programs}
        keepers |= {asyncio.create_task(self._once(step)) for step in self.plan.steps}
        watch = {asyncio.create_task(self.stopping.wait()), asyncio.create_task(self._announce())}
        try:
            await self._until_stopped(keepers, watch)
        finally:
            self.stopping.set()
            for task in keepers | watch:
                task.cancel()
            await asyncio.gather(*keepers, *watch, return_exceptions=True)
            await self._stop()

    async def _until_stopped(self, keepers: set[asyncio.Task], watch: set[asyncio.Task]) -> None:
        pending = keepers | watch
        while not self.stopping.is_set():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a keeper that gave up says why

    async def _announce(self) -> None:
        await asyncio.gather(*(event.wait() for event in self.done.values()))
        self.run.state = "ready"
        self._record()
        self.report("ready")

    async def _once(self, step: Step) -> None:
        """Run a step to its end.

        Raises:
            Refused: it failed; the sentence carries its last line.
        """
        await self._after(step.after)
        begun, log = monotonic(), self._log(step.name)
        child = self.children[step.name] = await spawn(step.argv, log, step.environment)
        code = await child.wait()
        del self.children[step.name]
        if code != 0:
            raise Refused(f"{step.name} failed ({_ending(code)}): {last_line(log)} (all of it in {log})")
        self._passed(step.name, begun)

    async def _keep(self, program: Program) -> None:
        """Start a program, and again whenever it ends.

        Raises:
            Refused: it ended, or did not answer in time, before it was healthy for the first time.
        """
        await self._after(program.after)
        begun, starts, quick = monotonic(), 0, 0
        if program.prepare:
            await program.prepare()
        while True:
            child = await self._start(program, restarts=starts)
            starts, started = starts + 1, monotonic()
            watcher = asyncio.create_task(self._watch(program, child, begun))
            await asyncio.wait({watcher, asyncio.create_task(child.wait())}, return_when="FIRST_COMPLETED")
            watcher.cancel()
            await end(child, program.stop, program.grace)
            if not self.done[program.name].is_set() and starts >= program.attempts:
                raise self._failure(program, child.returncode)
            quick = 0 if monotonic() - started > SETTLED_SECONDS else quick + 1
            await asyncio.sleep(BACKOFF_SECONDS[min(quick, len(BACKOFF_SECONDS) - 1)])

    async def _start(self, program: Program, restarts: int) -> Child:
        variables = dict(program.environment)
        if restarts and not variables.get("TREUM_CRASH_AT", "").startswith("@"):
            # A kill point fires once: what comes back has to live through the same step. One in a file
            # disarms itself.
            variables.pop("TREUM_CRASH_AT", None)
        child = await self._spawn(program, variables)
        self.children[program.name] = child
        self.run.processes[program.name] = Entry(child.pid, birth(child.pid), program.port, restarts=restarts)
        self._record()
        return child

    async def _spawn(self, program: Program, variables: dict[str, str]) -> Child:
        log = self._log(program.name)
        if program.entry and FORKS:
            return await self.nursery.spawn(program.entry, variables, log)
        return await spawn(program.argv, log, variables, death=program.death, account=program.account)

    async def _watch(self, program: Program, child: Child, begun: float) -> None:
        """Ask for health until the program is to be given up; the first good answer lets others start."""
        answered, entry = monotonic(), self.run.processes[program.name]
        while True:
            healthy = await program.check()
            if healthy:
                answered = monotonic()
                if not self.done[program.name].is_set():
                    self._passed(program.name, begun)
            elif monotonic() - answered > (
                SILENCE_SECONDS if self.done[program.name].is_set() else START_DEADLINE_SECONDS
            ):
                return
            starting = entry.health == "starting" and not healthy
            self._note(entry, "healthy" if healthy else "starting" if starting else "unhealthy")
            await asyncio.sleep(POLL_STARTING_SECONDS if starting else POLL_RUNNING_SECONDS)

    def _note(self, entry: Entry, health: Health) -> None:
        if entry.health != health:
            entry.health = health
            entry.since = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._record()

    def _passed(self, name: str, begun: float) -> None:
        self.done[name].set()
        self.report(f"{name} {monotonic() - begun:.1f} s")

    async def _after(self, names: tuple[str, ...]) -> None:
        await asyncio.gather(*(self.done[name].wait() for name in names))

    def _log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def _failure(self, program: Program, code: int | None) -> Refused:
        log = self._log(program.name)
        return Refused(
            f"{program.name} did not start ({_ending(code)}): {last_line(log)} (all of it in {log})"
        )

    def _record(self) -> None:
        """Keep ``run.json``, and once all has been healthy ``endpoints.json``, as things are."""
        self.run.save(self.home)
        if self.run.state == "ready":
            pids = {name: entry.pid for name, entry in self.run.processes.items()}
            text = json.dumps({**self.plan.endpoints, "processes": pids}, indent=2)
            write_atomically(self.home / "endpoints.json", text)

    async def _stop(self) -> None:
        """End what runs, stage by stage, and say in the home that nothing does."""
        self.run.state = "stopping"
        self.run.save(self.home)
        (self.home / "endpoints.json").unlink(missing_ok=True)
        programs = {program.name: program for program in self.plan.programs}
        stages = sorted({program.stage for program in self.plan.programs})
        for stage in stages:
            ending = [
                end(child, programs[name].stop, programs[name].grace)
                for name, child in self.children.items()
                if name in programs and programs[name].stage == stage
            ]
            await asyncio.gather(*ending)
        for name in self.children.keys() - programs.keys():
            await end(self.children[name], signal.SIGKILL, 1.0)
        await self.nursery.close()
        self.run.state, self.run.processes = "stopped", {}
        self.run.save(self.home)


def _ending(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit {code}"
