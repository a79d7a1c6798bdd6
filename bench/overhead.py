"""How much a platform workflow costs over a bare one of the same event shape, on the same server.

    python -m bench.overhead [--runs N] [--limit RATIO]

Both run side by side in alternating batches: one provider call over HTTP and three transactions on
Postgres with the encrypting converter, traced and with closed errors, against four activities that do
nothing with the stock Pydantic converter. Prints p50 and p99 in milliseconds and their ratios; exits 1
where the ratio at p50 is above the limit.
"""

import argparse
import asyncio
import secrets
import statistics
import sys
import time

import psycopg
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from bench.shapes import BareSteps, Job, PlatformSteps, Shape
from cli.embedded import EmbeddedEngines
from models.settings import Settings
from providers.transport import client as http_client
from store.database import Database
from temporal.client import connect
from workers.interceptors import ClosedErrors
from workers.pool import runner

BATCH = 20


async def timed(client: Client, queue: str) -> float:
    """Milliseconds from start to result of one workflow."""
    job = Job(job_id=secrets.token_hex(8), amount=1)
    begun = time.perf_counter()
    await client.execute_workflow(Shape.run, job, id=f"bench:{job.job_id}", task_queue=queue)
    return (time.perf_counter() - begun) * 1000


async def measure(settings: Settings, runs: int) -> tuple[list[float], list[float]]:
    """Latencies of the platform's workflow and of the bare one, from alternating batches."""
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS bench_rows (job_id text, step integer, amount bigint, body jsonb,"
            " PRIMARY KEY (job_id, step))"
        )
    ours = await connect(settings)
    bare = await Client.connect(
        settings.temporal, namespace=settings.namespace, data_converter=pydantic_data_converter
    )
    async with Database(settings.postgres) as database, http_client() as http:
        real, nothing = PlatformSteps(database, http, settings.sandbox), BareSteps()
        async with (
            Worker(
                ours,
                task_queue="bench-platform",
                workflows=[Shape],
                activities=[real.write, real.call],
                interceptors=[ClosedErrors()],
                workflow_runner=runner(),
            ),
            Worker(
                bare,
                task_queue="bench-bare",
                workflows=[Shape],
                activities=[nothing.write, nothing.call],
                workflow_runner=runner(),
            ),
        ):
            return await _alternate(ours, bare, runs)


async def _alternate(ours: Client, bare: Client, runs: int) -> tuple[list[float], list[float]]:
    sides: tuple[list[float], list[float]] = ([], [])
    for _ in range(5):
        await timed(ours, "bench-platform")
        await timed(bare, "bench-bare")
    for _ in range(max(1, runs // BATCH)):
        sides[0].extend([await timed(ours, "bench-platform") for _ in range(BATCH)])
        sides[1].extend([await timed(bare, "bench-bare") for _ in range(BATCH)])
    return sides


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--limit", type=float, default=1.5)
    given = parser.parse_args()
    with EmbeddedEngines() as engines:
        platform, bare = asyncio.run(measure(engines.settings, given.runs))
    rows = [
        (name, statistics.quantiles(platform, n=100)[at], statistics.quantiles(bare, n=100)[at])
        for name, at in (("p50", 49), ("p99", 98))
    ]
    print(f"{len(platform)} runs each, one after the other; milliseconds")
    print(f"{'':6}{'platform':>10}{'bare':>10}{'ratio':>8}")
    for name, one, other in rows:
        print(f"{name:6}{one:10.1f}{other:10.1f}{one / other:8.2f}")
    return 0 if rows[0][1] / rows[0][2] <= given.limit else 1


if __name__ == "__main__":
    sys.exit(main())
