"""Engines shared by every test of a session; a test that needs a fresh record takes ``database``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from cli.embedded import EmbeddedEngines
from models.settings import Settings, settings

if TYPE_CHECKING:
    from tests.faults.whole import Whole


@pytest.fixture(scope="session")
def engines() -> Iterator[EmbeddedEngines]:
    """Postgres, Redis, Temporal and the sandbox; ``TREUM_*`` of this process point at them."""
    with EmbeddedEngines() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        settings.cache_clear()
        yield running
    settings.cache_clear()


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
