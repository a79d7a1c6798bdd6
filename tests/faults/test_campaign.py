"""`make campaign`: a kill at every kill point of every process, and of every process of `treum status`.

Every point of a stage is armed at once and fires once, so that a journey loses its worker at each of its
steps in turn. After each stage the checker holds the books against what the providers really did.
"""

import random
import threading
from collections.abc import Iterator

import pytest

from models.contracts.killpoints import Stage
from tests.faults.catalogue import points
from tests.faults.journeys import JOURNEYS, open_market
from tests.faults.whole import Whole

SEED = 20260729
"""Orders the journeys and times the kills of processes; printed, so that a failure can be replayed."""

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    with Whole() as platform:
        open_market(platform.clients)
        yield platform


@pytest.mark.parametrize("journey", JOURNEYS)
@pytest.mark.parametrize("stage", Stage)
def test_killed_at_each_step(whole: Whole, stage: Stage, journey: str) -> None:
    armed = {point for point in points() if point.endswith(f":{stage}")} - whole.fired()
    whole.arm(armed)
    try:
        JOURNEYS[journey](whole.clients)
    finally:
        whole.disarm()
    print(f"{journey}, killed at: {', '.join(sorted(armed & whole.fired())) or 'no new point'}")


def test_every_point_was_reached_and_fired(whole: Whole) -> None:
    assert set(points()) - whole.fired() == set()


def test_nothing_was_lost_and_nothing_done_twice(whole: Whole) -> None:
    assert whole.findings() == {}


def test_every_process_killed_in_the_middle(whole: Whole) -> None:
    """Each process of `treum status` in turn, while three journeys run; then the checker again."""
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    for name in sorted(whole.processes()):
        journeys = chance.sample(sorted(JOURNEYS), 3)
        failures: list[str] = []

        def run(journey: str, failures: list[str] = failures) -> None:
            try:
                JOURNEYS[journey](whole.clients)
            except Exception as failure:  # noqa: BLE001  # told below, with its journey
                failures.append(f"{journey}: {type(failure).__name__} {failure}")

        running = [threading.Thread(target=run, args=(journey,)) for journey in journeys]
        for thread in running:
            thread.start()
        threading.Event().wait(chance.uniform(0.2, 1.5))
        whole.kill(name)
        for thread in running:
            thread.join(180)
        assert not failures, f"{name} killed: {failures}"
        assert not any(thread.is_alive() for thread in running), f"{name} killed: {journeys} hang"
    assert whole.findings() == {}
