"""`make campaign`: a kill at every kill point of every process, and of every process of `treum status`.

Every point of a stage is armed at once and fires once, so that a journey loses its worker at each of its
steps in turn, beside the others. After each stage the checker holds the books against what the providers
really did.
"""

import random
import threading

import pytest

from models.contracts.killpoints import Stage
from tests.faults.catalogue import points
from tests.faults.whole import Whole, played

SEED = 20260729
"""Orders the journeys and times the kills of processes; printed, so that a failure can be replayed."""

LINES = (
    ("onboarding", "review", "rescreening", "complaint"),
    ("plan", "paused", "missed"),
    ("upgraded", "tried", "undecided"),
    ("refund", "lost_answers", "unsent", "reconciled"),
    ("disputed", "returned", "closed", "posted"),
    ("einvoiced", "refused_einvoice"),
    ("reviewed", "late"),
    ("course", "edits", "signals", "watched", "unpaid"),
    ("orders", "lost_order", "unsent_order", "day_end"),
    ("elsewhere", "kept", "lost_trigger", "prepared", "paper"),
)
"""Journeys side by side: those of one line meet the same pool, and wait for one another anyway."""

LAST = (("settled_order",),)
"""Moves the exchange to another day."""

pytestmark = pytest.mark.campaign


@pytest.mark.parametrize("stage", Stage)
def test_spoiled_at_each_step(whole: Whole, stage: Stage) -> None:
    """Killed before, at or after each step; each answer lost or late; each step done twice."""
    whole.arm({point for point in points() if point.endswith(f":{stage}")} - whole.fired())
    try:
        failures = played(whole, *LINES) + played(whole, *LAST)
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
        lines = [[journey] for journey in chance.sample([name for line in LINES for name in line], 3)]
        kill = threading.Timer(chance.uniform(0.2, 1.5), whole.kill, [name])
        kill.start()
        failures = played(whole, *lines)
        kill.join()
        assert failures == [], f"{name} was killed"
    assert whole.findings() == {}
