"""A payment from the gateway's webhook to its invoice, beside a bare workflow of the same event shape.

    python -m bench.payments [--runs N] [--limit RATIO] [--answer MS]

Ours: the API takes a signed webhook, the process reads the order at the gateway, records the authorisation,
captures, and books row, journal, invoice and event in one transaction: measured from sending the webhook
until the invoice is committed. Bare: signal, two local activities, an activity and a third local one that do
nothing, with the stock converter: measured from the signal until the third. API and billing worker are
processes of their own, as under `treum up`; both sides run in alternating batches on the same server. Prints
p50 and p99 in milliseconds; exits 1 where the ratio at p50 is above `--limit`, or where the webhook's answer,
which the gateway waits for, takes longer than `--answer` milliseconds at p99.
"""

import argparse
import asyncio
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from bench.checkouts import Checkouts
from bench.judging import told
from bench.shapes import BarePayment, BarePaymentSteps, BenchBuyer, Job
from cli import environment
from cli.embedded import EmbeddedEngines
from store.database import Database
from temporal.client import connect
from workers.pool import runner

BATCH = 10
WARM = 5
READY_SECONDS = 240.0


@contextmanager
def processes(engines: EmbeddedEngines) -> Iterator[None]:
    """The API and the billing pool, as `treum up` runs them."""
    more = {"TREUM_LIMIT_FACTOR": "100000"}
    running = []
    for name, arguments in (("api", ["api"]), ("worker-billing", ["worker", "billing"])):
        with (engines.home / "logs" / f"{name}.log").open("ab") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "cli.entry", *arguments],
                    env=environment.of_process(name, engines.environment, {}) | more,
                    cwd=engines.home,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    try:
        until, ready = time.monotonic() + READY_SECONDS, f"{engines.settings.public_url}/readyz"
        while not _answers(ready):
            if time.monotonic() > until:
                raise RuntimeError("the API does not answer")
            time.sleep(0.1)
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1.0).is_success
    except httpx.TransportError:
        return False


@asynccontextmanager
async def sides(engines: EmbeddedEngines) -> AsyncIterator[tuple[Checkouts, "Bare"]]:
    settings = engines.settings
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(settings.postgres))
        ours = await connect(settings)
        bare = await Client.connect(
            settings.temporal, namespace=settings.namespace, data_converter=pydantic_data_converter
        )
        steps = BarePaymentSteps()
        await stack.enter_async_context(
            Worker(ours, task_queue="bench-buyers", workflows=[BenchBuyer], workflow_runner=runner())
        )
        await stack.enter_async_context(
            Worker(
                bare,
                task_queue="bench-bare",
                workflows=[BarePayment],
                activities=[steps.read, steps.advance, steps.capture, steps.book],
                workflow_runner=runner(),
            )
        )
        checkouts = await stack.enter_async_context(Checkouts(settings, database, ours))
        yield checkouts, Bare(bare, steps)


class Bare:
    """One bare run after another."""

    def __init__(self, client: Client, steps: BarePaymentSteps) -> None:
        self._client, self._steps = client, steps

    async def timed(self) -> float:
        """Milliseconds from the signal until the last step is done."""
        job = Job(job_id=secrets.token_hex(8), amount=1)
        booked = self._steps.booked[job.job_id] = asyncio.Event()
        handle = await self._client.start_workflow(
            BarePayment.run, job, id=f"bench:{job.job_id}", task_queue="bench-bare"
        )
        begun = time.perf_counter()
        await handle.signal(BarePayment.hint)
        await booked.wait()
        took = (time.perf_counter() - begun) * 1000
        await handle.result()
        return took


async def measure(engines: EmbeddedEngines, runs: int) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds: webhook to invoice, webhook to its answer, and of the bare runs."""
    async with sides(engines) as (checkouts, bare):
        for _ in range(WARM):
            await checkouts.timed()
            await bare.timed()
        invoiced, answered, nothing = [], [], []
        for _ in range(max(1, runs // BATCH)):
            for _ in range(BATCH):
                whole, answer = await checkouts.timed()
                invoiced.append(whole)
                answered.append(answer)
            nothing.extend([await bare.timed() for _ in range(BATCH)])
        return invoiced, answered, nothing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--limit", type=float, default=5.0)
    parser.add_argument("--answer", type=float, default=50.0)
    given = parser.parse_args()
    with EmbeddedEngines() as engines, processes(engines):
        invoiced, answered, nothing = asyncio.run(measure(engines, given.runs))
    print(f"{len(invoiced)} payments, {len(nothing)} bare runs, one after the other; milliseconds")
    print(f"{'':6}{'invoice':>10}{'answer':>10}{'bare':>10}{'ratio':>8}")
    figures = {}
    for name, at in (("p50", 49), ("p99", 98)):
        whole, answer, bare = (
            statistics.quantiles(each, n=100)[at] for each in (invoiced, answered, nothing)
        )
        figures[name] = whole / bare, answer
        print(f"{name:6}{whole:10.1f}{answer:10.1f}{bare:10.1f}{whole / bare:8.2f}")
    return judged(figures["p50"][0], figures["p99"][1], given.limit, given.answer)


def judged(ratio: float, answer: float, most: float, slowest: float) -> int:
    """The exit code; says each figure with its limit."""
    return told(
        {
            f"webhook to invoice at p50: {ratio:.2f} times a bare workflow, at most {most:g}": ratio <= most,
            f"webhook to its answer at p99: {answer:.1f} ms, at most {slowest:g} ms": answer <= slowest,
        }
    )


if __name__ == "__main__":
    sys.exit(main())
