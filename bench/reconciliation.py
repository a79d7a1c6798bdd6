"""Reconciliation of days of 10,000, 100,000 and 1,000,000 lines: how long, and in how much memory.

    python -m bench.reconciliation [--lines N …] [--seconds S] [--gib G]

The whole process runs: the workflow on the Temporal server, the billing worker in a process of its own, the
gateway's report paged over HTTP from the sandbox, the comparison and booking in Postgres. Memory is the
worker's peak, and beside it the peak of the one Postgres backend that compares; processor time is that of
both, and tells on a busy machine what the clock cannot. A day holds five breaks of each kind; it is compared
a second time, which must change nothing. Exits 1 where a day comes out wrong, where the processor time a line
grows by more than half from the smallest day to the largest, or where the largest takes more than `--seconds`
or `--gib`.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
from temporalio.client import Client

from bench.settlement_days import BREAKS, seed
from cli import environment
from cli.embedded import EmbeddedEngines
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.reconciliation import Compared, ReconciliationInput
from temporal.client import connect

FIRST_DAY = date(2031, 1, 6)
GIB = 2**30


@dataclass(frozen=True)
class Measured:
    """One day: seconds until its report was read, until it was compared, of a second comparison; seconds of
    processor that our side took for the first; peaks of memory in bytes."""

    lines: int
    read: float
    first: float
    again: float
    processor: float
    worker: int
    backend: int


class Peaks:
    """Watches what the worker and Postgres take: the peak of memory of each, and their processor time."""

    def __init__(self, worker: int, postgres: int) -> None:
        self._worker, self._postgres = worker, postgres
        self._ended = threading.Event()
        self.backend = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peaks":
        # 5: the peak of the resident set begins anew.
        Path(f"/proc/{self._worker}/clear_refs").write_text("5")
        self._begun = self._spent()
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._thread.join()
        self.worker = _kib(self._worker, "VmHWM") * 1024
        self.processor = self._spent() - self._begun

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            self.backend = max(self.backend, *(_kib(pid, "RssAnon") * 1024 for pid in self._backends()))

    def _backends(self) -> list[int]:
        children = Path(f"/proc/{self._postgres}/task/{self._postgres}/children").read_text().split()
        return [int(pid) for pid in children]

    def _spent(self) -> float:
        return sum(_seconds(pid) for pid in (self._worker, self._postgres, *self._backends()))


def _kib(pid: int, name: str) -> int:
    """A figure of `/proc/{pid}/status`; zero where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _seconds(pid: int) -> float:
    """Processor time of a process and of its children that have ended; zero where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def worker(engines: EmbeddedEngines) -> subprocess.Popen[bytes]:
    """The billing pool, as `treum up` runs it."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli.entry", "worker", "billing"],
        env=environment.of_process("worker-billing", engines.environment, {}),
        cwd=engines.home,
        stdout=subprocess.DEVNULL,
    )


async def reconcile(client: Client, engines: EmbeddedEngines, day: date) -> tuple[Compared, float, float]:
    """The day compared; seconds until the report was read, and in all."""
    begun = time.perf_counter()
    handle = await client.start_workflow(
        "Reconciliation",
        ReconciliationInput(date=day, assertion_public_key=engines.settings.assertion_public_key),
        id=workflow_id(Kind.RECONCILIATION, day.isoformat()),
        task_queue=Queue.BILLING,
        result_type=Compared,
    )
    compared = await handle.result()
    took = time.perf_counter() - begun
    started = read = None
    async for event in handle.fetch_history_events():
        started = started or event.event_time.ToDatetime()
        done = event.activity_task_completed_event_attributes
        if read is None and done.scheduled_event_id:
            read = (event.event_time.ToDatetime() - started).total_seconds()
    return compared, read or 0.0, took


def right(engines: EmbeddedEngines, compared: Compared, day: date, lines: int, bank: int) -> list[str]:
    """What is wrong with a day, if anything: each planted break found once, the bank to the paisa."""
    with psycopg.connect(engines.settings.postgres) as connection:
        row = connection.execute(
            """SELECT (SELECT sum(l.debit - l.credit)::bigint FROM finance.journal_entries e
                       JOIN finance.journal_lines l USING (entry_id)
                       WHERE e.business_key LIKE 'settlement:%%' AND e.date = %(day)s AND l.account = 'bank'),
                      (SELECT array_agg(n ORDER BY n) FROM (SELECT count(*) AS n FROM finance.breaks
                       WHERE date = %(day)s GROUP BY kind) AS kinds)""",
            {"day": day},
        ).fetchone()
    found = (compared.lines, compared.matched, *(row or ()))
    wanted = (lines, lines - 3 * BREAKS, bank, [BREAKS] * 4)
    return [] if found == wanted else [f"{day}: {found} instead of {wanted}"]


async def measure(engines: EmbeddedEngines, sizes: list[int]) -> tuple[list[Measured], list[str]]:
    client = await connect(engines.settings)
    running = worker(engines)
    postgres = int((engines.home / "postgres" / "postmaster.pid").read_text().split()[0])
    measured, wrong, first = [], [], 0
    try:
        # The first run of a process loads what every later one finds loaded.
        await reconcile(client, engines, FIRST_DAY - timedelta(days=7))
        for number, lines in enumerate(sizes):
            day = FIRST_DAY + timedelta(days=7 * number)
            bank = seed(engines.settings.postgres, engines.home / "sandbox.db", day, first, lines)
            first += lines
            with Peaks(running.pid, postgres) as peaks:
                compared, read, took = await reconcile(client, engines, day)
            wrong += right(engines, compared, day, lines, bank)
            again, _, repeated = await reconcile(client, engines, day)
            if again.model_copy(update={"version": compared.version}) != compared:
                wrong.append(f"{day}: the second comparison differs")
            wrong += right(engines, again, day, lines, bank)
            measured.append(
                Measured(lines, read, took, repeated, peaks.processor, peaks.worker, peaks.backend)
            )
            show(measured[-1])
    finally:
        running.terminate()
        running.wait(30)
    return measured, wrong


def show(one: Measured) -> None:
    print(
        f"{one.lines:>10,}{one.read:>10.1f}{one.first:>10.1f}{one.first / one.lines * 1e6:>10.0f}"
        f"{one.again:>10.1f}{one.processor:>10.1f}{one.worker / 2**20:>12.0f}{one.backend / 2**20:>12.0f}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--gib", type=float, default=1.0)
    given = parser.parse_args()
    print("seconds until read, until compared, compared again, of processor; MiB of the worker and a backend")
    heads = "".join(f"{name:>10}" for name in ("lines", "read", "compared", "µs/line", "again", "processor"))
    print(heads + f"{'worker':>12}{'backend':>12}")
    with EmbeddedEngines() as engines:
        measured, wrong = asyncio.run(measure(engines, given.lines))
    small, large = measured[0], measured[-1]
    if large.processor / large.lines > 1.5 * small.processor / small.lines:
        wrong.append("the time a line grows with the day")
    if large.first > given.seconds or max(large.worker, large.backend) > given.gib * GIB:
        wrong.append(f"{large.lines} lines: {large.first:.1f} s, {large.worker} and {large.backend} bytes")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
