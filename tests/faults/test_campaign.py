"""`make campaign`: a kill at every kill point of every process, and of every process of `treum status`.

Every point of a stage is armed at once and fires once, so that a journey loses its worker at each of its
steps in turn, beside the others. After each stage the checker holds the books against what the providers
really did.
"""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.contracts.killpoints import Stage
from tests.faults.catalogue import points
from tests.faults.journeys import JOURNEYS, open_market
from tests.faults.whole import Whole

SEED = 20260729
"""Orders the journeys and times the kills of processes; printed, so that a failure can be replayed."""

LINES = (
    ("onboarding", "review", "rescreening", "complaint"),
    ("plan", "paused", "missed"),
    ("refund", "lost_answers", "reconciled"),
    ("course", "edits", "signals"),
    ("orders", "lost_order"),
)
"""Journeys side by side: those of one line meet the same pool, and wait for one another anyway."""

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    with Whole() as platform:
        open_market(platform.clients)
        yield platform


@pytest.mark.parametrize("stage", Stage)
def test_spoiled_at_each_step(whole: Whole, stage: Stage) -> None:
    """Killed before, at or after each step; each answer lost or late; each step done twice."""
    whole.arm({point for point in points() if point.endswith(f":{stage}")} - whole.fired())
    try:
        failures = played(whole, *LINES)
    finally:
        whole.disarm()
    print(f"{stage}: {', '.join(sorted(point for point in whole.fired() if point.endswith(stage)))}")
    assert failures == []
    assert whole.findings() == {}


def test_every_point_was_reached_and_fired(whole: Whole) -> None:
    assert set(points()) - whole.fired() == set()


def test_every_process_killed_in_the_middle(whole: Whole) -> None:
    """Each process of `treum status` in turn, while three journeys run; then the checker again."""
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    for name in sorted(whole.processes()):
        lines = [[journey] for journey in chance.sample(sorted(JOURNEYS), 3)]
        kill = threading.Timer(chance.uniform(0.2, 1.5), whole.kill, [name])
        kill.start()
        failures = played(whole, *lines)
        kill.join()
        assert failures == [], f"{name} was killed"
    assert whole.findings() == {}


def played(whole: Whole, *lines: Sequence[str]) -> list[str]:
    """Plays lines of journeys side by side; what failed, by journey."""
    failures: list[str] = []

    def play(line: Sequence[str]) -> None:
        for journey in line:
            begun = time.monotonic()
            try:
                JOURNEYS[journey](whole.clients)
            except Exception as failure:  # noqa: BLE001  # told with its journey when all are done
                failures.append(f"{journey}: {type(failure).__name__}: {failure}")
            print(f"{journey}: {time.monotonic() - begun:.0f} s")

    with ThreadPoolExecutor(len(lines)) as side_by_side:
        list(side_by_side.map(play, lines))
    return failures
