"""Workflows of one event shape: with the platform's parts, and bare."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    import httpx
    from psycopg.types.json import Jsonb
    from pydantic import BaseModel

    from models.contracts.policies import BOOK, READ_PROVIDER
    from store.database import Database
    from store.outbox import emit


class Job(BaseModel):
    """What both workflows take: an id and an amount."""

    job_id: str
    amount: int


class Written(BaseModel):
    version: int


async def write(connection, job: Job, step: int) -> Written:  # type: ignore[no-untyped-def]
    """One transaction of the platform's kind: a row by its business key, and an event in the outbox."""
    cursor = await connection.execute(
        """INSERT INTO bench_rows (job_id, step, amount, body) VALUES (%s, %s, %s, %s)
           ON CONFLICT (job_id, step) DO UPDATE SET amount = excluded.amount RETURNING step""",
        (job.job_id, step, job.amount, Jsonb({"job": job.job_id})),
    )
    row = await cursor.fetchone()
    await emit(connection, "bench", job.job_id, "bench.step", {"step": step}, datetime.now(UTC))
    return Written(version=row["step"])


class PlatformSteps:
    """Three writes to Postgres and one call over HTTP, as the columns make them."""

    def __init__(self, database: Database, http: httpx.AsyncClient, provider: str) -> None:
        self._database, self._http, self._provider = database, http, provider

    @activity.defn(name="bench.write")
    async def write(self, job: Job, step: int) -> Written:
        async with self._database.transaction() as connection:
            return await write(connection, job, step)

    @activity.defn(name="bench.call")
    async def call(self, job: Job) -> Written:
        message = {"id": job.job_id, "to": "bench@example.com", "channel": "email", "text": "x"}
        (await self._http.post(f"{self._provider}/outbox", json=message)).raise_for_status()
        return Written(version=0)


class BareSteps:
    """The same activities, doing nothing."""

    @activity.defn(name="bench.write")
    async def write(self, job: Job, step: int) -> Written:
        return Written(version=step)

    @activity.defn(name="bench.call")
    async def call(self, job: Job) -> Written:
        return Written(version=0)


@workflow.defn(name="BenchShape")
class Shape:
    """A write, the call, two writes: four activities, whatever they do."""

    @workflow.run
    async def run(self, job: Job) -> int:
        await workflow.execute_activity_method(PlatformSteps.write, args=[job, 1], **BOOK.options())
        await workflow.execute_activity_method(PlatformSteps.call, job, **READ_PROVIDER.options())
        await workflow.execute_activity_method(PlatformSteps.write, args=[job, 2], **BOOK.options())
        last = await workflow.execute_activity_method(PlatformSteps.write, args=[job, 3], **BOOK.options())
        return last.version


class BarePaymentSteps:
    """What a captured payment's process does, doing nothing; `booked` tells who waits for the last step."""

    def __init__(self) -> None:
        self.booked: dict[str, asyncio.Event] = {}

    @activity.defn(name="bench.read")
    async def read(self, job: Job) -> Written:
        return Written(version=0)

    @activity.defn(name="bench.advance")
    async def advance(self, job: Job) -> Written:
        return Written(version=1)

    @activity.defn(name="bench.capture")
    async def capture(self, job: Job) -> Written:
        return Written(version=2)

    @activity.defn(name="bench.book")
    async def book(self, job: Job) -> Written:
        self.booked.pop(job.job_id).set()
        return Written(version=3)


@workflow.defn(name="BenchPayment")
class BarePayment:
    """The events of a payment from its webhook on: read, advance, the capture, book."""

    def __init__(self) -> None:
        self._hinted = False

    @workflow.signal
    def hint(self) -> None:
        self._hinted = True

    @workflow.run
    async def run(self, job: Job) -> int:
        await workflow.wait_condition(lambda: self._hinted)
        for step in (BarePaymentSteps.read, BarePaymentSteps.advance):
            await workflow.execute_local_activity_method(step, job, **BOOK.local())
        await workflow.execute_activity_method(BarePaymentSteps.capture, job, **READ_PROVIDER.options())
        last = await workflow.execute_local_activity_method(BarePaymentSteps.book, job, **BOOK.local())
        return last.version


@workflow.defn(name="BenchBuyer")
class BenchBuyer:
    """Stands where the reference's process stands: it waits until it is told that the money is there."""

    def __init__(self) -> None:
        self._told = False

    @workflow.signal
    def payment_captured(self, _: dict[str, Any]) -> None:
        self._told = True

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._told)
