"""A trading pool that dies where it is told to, and the floor it serves."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.embedded import EmbeddedEngines
from tests.workflows.traders import Crew, Floor, floor_of


@pytest.fixture(scope="module")
async def crew(engines: EmbeddedEngines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crew]:
    armed: Path = tmp_path_factory.mktemp("kill-points") / "armed"
    async with Crew(engines, armed) as crew:
        yield crew


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines, crew: Crew) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor:
        yield floor
