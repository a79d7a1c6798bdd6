"""A worker pool: which workflows and activities it runs, on which queues, how it is tuned."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from models.contracts.queues import Queue
from workers.interceptors import ClosedErrors
from workers.parts import Parts

PASSED_THROUGH = ("models", "domain", "workflows", "pydantic", "pydantic_core", "cryptography", "structlog")
"""Deterministic modules that the workflow sandbox need not import again for each run."""

BUILD_ID = "unversioned"
"""Without one the SDK hashes the code of every loaded module at start: 2 s of a processor, in which a
killed worker is not back yet."""


@dataclass(frozen=True)
class Served:
    """One task queue of a pool. `max_per_second` paces a provider's queue over the whole cluster."""

    queue: Queue
    workflows: Sequence[type] = ()
    activities: Callable[[Parts], Sequence[Callable[..., Any]]] = lambda _: ()
    max_per_second: float | None = None
    concurrent: int = 100


@dataclass(frozen=True)
class Pool:
    """A process of its own; scaled by starting more of it."""

    name: str
    queues: Sequence[Served]
    threads: int = 100
    """For activities that call a provider's blocking client."""


def runner() -> WorkflowRunner:
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=restrictions)


def workers(pool: Pool, parts: Parts, client: Client, *, task_queue: str | None = None) -> list[Worker]:
    """A `Worker` a queue, sharing one thread pool.

    `task_queue` serves all of the pool on one other queue: for tests, each on a queue of its own.
    """
    executor = ThreadPoolExecutor(pool.threads, thread_name_prefix=pool.name)
    return [
        Worker(
            client,
            task_queue=task_queue or served.queue,
            workflows=served.workflows,
            activities=served.activities(parts),
            activity_executor=executor,
            workflow_runner=runner(),
            interceptors=[ClosedErrors()],
            build_id=BUILD_ID,
            max_concurrent_activities=served.concurrent,
            max_task_queue_activities_per_second=served.max_per_second,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            graceful_shutdown_timeout=timedelta(seconds=10),
        )
        for served in pool.queues
    ]
