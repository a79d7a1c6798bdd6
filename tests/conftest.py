"""Engines shared by every test of a session; a test that needs a fresh record takes ``database``."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from cli.embedded import EmbeddedEngines
from models.settings import Settings, settings

if TYPE_CHECKING:
    from tests.faults.whole import Whole

BY_THE_CLOCK = frozenset({"api", "cli", "journeys", "relay", "sandbox", "temporal", "workflows"})
"""Folders whose tests wait for real servers, and so for the machine that they share with another test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One that fails by the clock is played once more, and told as a rerun. What judges kills, faults and
    loads never is: an order that is doubled in one of ten runs is doubled."""
    for item in items:
        if item.path.parent.name in BY_THE_CLOCK:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=1))


@pytest.fixture(scope="session")
def engines() -> Iterator[EmbeddedEngines]:
    """Postgres, Redis, Temporal and the sandbox; ``TREUM_*`` of this process point at them."""
    with EmbeddedEngines() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        settings.cache_clear()
        yield running
    settings.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ends the runs that a module leaves behind: the next one's workers serve the same queues with another
    record, and would write what those runs still have to do into it."""
    yield
    mine = (item for item in request.session.items if item.path == request.path)
    if any("engines" in getattr(item, "fixturenames", ()) for item in mine):
        settings = request.getfixturevalue("engines").settings
        # In a thread of its own: the session's event loop stays as it is.
        ending = threading.Thread(target=lambda: asyncio.run(_end_runs(settings)))
        ending.start()
        ending.join()


async def _end_runs(settings: Settings) -> None:
    client = await Client.connect(settings.temporal, namespace=settings.namespace)
    async for run in client.list_workflows("ExecutionStatus = 'Running'"):
        with suppress(RPCError):  # it has just ended by itself
            await client.get_workflow_handle(run.id, run_id=run.run_id).terminate("its test is over")


@pytest.fixture(scope="session")
def platform_settings(engines: EmbeddedEngines) -> Settings:
    """Settings of the session's engines."""
    return engines.settings


@pytest.fixture(scope="module")
def database(engines: EmbeddedEngines) -> Iterator[str]:
    """DSN of a migrated, empty database of the module's own."""
    dsn = engines.fresh_database()
    yield dsn
    engines.drop_database(dsn)


@pytest.fixture(scope="session")
def sandbox_process(engines: EmbeddedEngines) -> str:
    """Base URL of the outside world."""
    return engines.settings.sandbox


@pytest.fixture(scope="session")
def whole() -> "Iterator[Whole]":
    """The whole platform as `treum up` runs it, the market open."""
    # Imported here: the clients and the exchange's calendar cost every other test a second.
    from tests.faults.journeys import open_market
    from tests.faults.whole import Whole

    with Whole() as platform:
        open_market(platform.clients)
        yield platform
