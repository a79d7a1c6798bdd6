"""SIGKILL of the worker and of Postgres while a large settlement day is read, compared and booked.

The day comes out to the paisa, each line once, and what was read is not asked for again.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import psycopg
import pytest
from temporalio.client import Client, WorkflowHandle

from bench.settlement_days import BREAKS, seed
from cli import environment
from cli.embedded import EmbeddedEngines
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.reconciliation import Compared, ReconciliationInput
from providers.razorpay_reports import REPORT_PAGE
from temporal.client import connect

pytestmark = pytest.mark.campaign

LINES = 30_000
PAGES = LINES // REPORT_PAGE + 1
DEADLINE_SECONDS = 240.0
DAYS = {"worker": date(2032, 1, 5), "postgres": date(2032, 1, 12)}
READING = "SELECT count(*) > 5000 FROM finance.report_lines WHERE date = %s"
COMPARING = """
    SELECT count(*) > 0 FROM pg_stat_activity
    WHERE state = 'active' AND pid <> pg_backend_pid() AND %s::date IS NOT NULL
      AND query LIKE '%%INSERT INTO finance.settlement_lines%%'
"""
"""Only one day at a time is compared here."""


class Pool:
    """The billing pool in a process of its own, started again where it was killed."""

    def __init__(self, engines: EmbeddedEngines) -> None:
        self._engines = engines
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cli.entry", "worker", "billing"],
            env=environment.of_process("worker-billing", self._engines.environment, {}),
            cwd=self._engines.home,
        )

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.start()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture(scope="module")
async def home() -> AsyncIterator[tuple[EmbeddedEngines, Client, Pool]]:
    """Engines of their own: Postgres dies here."""
    async with EmbeddedEngines() as engines:
        pool = Pool(engines)
        try:
            yield engines, await connect(engines.settings), pool
        finally:
            pool.stop()


async def holds(engines: EmbeddedEngines, query: str, day: date) -> None:
    """Waits until a query answers true; Postgres may be away meanwhile."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(engines.settings.postgres) as connection:
                    row = await (await connection.execute(query, (day,))).fetchone()
            except psycopg.OperationalError:
                row = None
            if row and row[0]:
                return
            await asyncio.sleep(0.01)


async def begun(client: Client, engines: EmbeddedEngines, day: date) -> WorkflowHandle[Any, Compared]:
    return await client.start_workflow(
        "Reconciliation",
        ReconciliationInput(date=day, assertion_public_key=engines.settings.assertion_public_key),
        id=workflow_id(Kind.RECONCILIATION, day.isoformat()),
        task_queue=Queue.BILLING,
        result_type=Compared,
    )


async def asked(engines: EmbeddedEngines) -> int:
    """How many pages of reports the gateway was asked for."""
    url = f"{engines.settings.sandbox}/_control/journal"
    async with httpx.AsyncClient(headers={"X-Sandbox-Control": "1"}, timeout=30) as http:
        items = (await http.get(url, params={"target": "razorpay"})).json()["items"]
    return sum("recon/combined" in item["path"] for item in items)


def book(engines: EmbeddedEngines, day: date) -> tuple[Any, ...]:
    """What the ledger, the lines and the breaks say of the day."""
    with psycopg.connect(engines.settings.postgres) as connection:
        return (
            connection.execute(
                """SELECT (SELECT sum(l.debit - l.credit)::bigint FROM finance.journal_entries e
                       JOIN finance.journal_lines l USING (entry_id)
                       WHERE e.business_key LIKE 'settlement:%%' AND e.date = %(day)s AND l.account = 'bank'),
                      (SELECT count(*) FROM finance.settlement_lines WHERE date = %(day)s),
                      (SELECT count(DISTINCT entity_id) FROM finance.settlement_lines WHERE date = %(day)s),
                      (SELECT array_agg(n) FROM (SELECT count(*) AS n FROM finance.breaks
                       WHERE date = %(day)s GROUP BY kind) AS kinds)""",
                {"day": day},
            ).fetchone()
            or ()
        )


@pytest.mark.parametrize("victim", ["worker", "postgres"])
async def test_a_large_day_outlives_a_kill_while_it_is_read_and_while_it_is_compared(
    home: tuple[EmbeddedEngines, Client, Pool], victim: str
) -> None:
    engines, client, pool = home
    day = DAYS[victim]
    first = 0 if victim == "worker" else LINES
    bank = seed(engines.settings.postgres, engines.home / "sandbox.db", day, first, LINES)
    before = await asked(engines)
    handle = await begun(client, engines, day)
    for moment in (READING, COMPARING):
        await holds(engines, moment, day)
        if victim == "worker":
            pool.kill()
        else:
            engines.kill("postgres")
    async with asyncio.timeout(DEADLINE_SECONDS):
        compared = await handle.result()
    assert (compared.lines, compared.matched, compared.status) == (LINES, LINES - 3 * BREAKS, "open")
    assert book(engines, day) == (bank, LINES, LINES, [BREAKS] * 4)
    if victim == "worker":
        # The page under way when the worker died is asked for again, and no other.
        assert await asked(engines) - before <= PAGES + 2
    again = await (await begun(client, engines, day)).result()
    assert again.model_copy(update={"version": compared.version}) == compared
    assert book(engines, day) == (bank, LINES, LINES, [BREAKS] * 4)
