"""The envelope's state machine, many times as long as in `make test`."""

import pytest
from hypothesis import settings

from cli.embedded import EmbeddedEngines
from tests.temporal.test_command_machine import PROFILE, hold


@pytest.mark.campaign
def test_one_effect_one_answer_at_length(engines: EmbeddedEngines, database: str) -> None:
    """Prints the blob that replays a failure."""
    hold(engines, database, settings(PROFILE, max_examples=150, stateful_step_count=20, print_blob=True))
