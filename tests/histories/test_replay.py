"""Every process still takes the way that its recorded run took."""

import pytest
from temporalio import workflow
from temporalio.worker import Replayer

from tests.histories.recording import FOLDER, converter, recorded
from workers.pool import runner
from workers.run import POOLS, pool_named

WORKFLOWS = [kind for name in POOLS for served in pool_named(name).queues for kind in served.workflows]
RECORDINGS = sorted(FOLDER.glob("*.json.gz"))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name.partition(".")[0])
async def test_a_recorded_run_replays(path) -> None:  # type: ignore[no-untyped-def]
    replayer = Replayer(workflows=WORKFLOWS, data_converter=converter(), workflow_runner=runner())
    await replayer.replay_workflow(recorded(path))


def test_every_process_has_a_recorded_run() -> None:
    kept = {path.name.partition(".")[0] for path in RECORDINGS}
    assert {workflow._Definition.must_from_class(kind).name for kind in WORKFLOWS} - kept == set()
