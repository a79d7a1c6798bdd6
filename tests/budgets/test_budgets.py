"""The main path of each process stays within its reviewed budget: ``budgets.json``, one entry a process.

A change that adds an event, a task or a payload shows as a change of that file. Webhook, callback and poll
race, so that one run of a process may take a task or two more than another, most of all on a busy machine:
the leanest run of each process is held to its budget.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.budgets.measure import Cost, cost, runs
from tests.faults.whole import Whole, played

BUDGETS: dict[str, dict[str, int]] = json.loads((Path(__file__).parent / "budgets.json").read_text())
MAIN_PATHS = (
    *(
        ("onboarding",),
        ("plan",),
        ("course", "refund"),
        ("signals", "watched"),
        ("orders", "day_end", "reconciled"),
    ),
    ("disputed", "returned", "closed", "posted"),
    ("einvoiced",),
    ("late",),
    ("kept",),
)
SLACK = 0.6
NOT_ALWAYS = ("Rescreening",)
"""Runs by a schedule of its own."""
pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def costs(whole: Whole) -> dict[str, list[Cost]]:
    """What the runs of the main paths cost, by process."""
    since = datetime.now(UTC)
    assert played(whole, *MAIN_PATHS) == []

    async def measured() -> dict[str, list[Cost]]:
        endpoints = whole.clients.endpoints
        client = await Client.connect(endpoints["temporal"], namespace=endpoints["namespace"])
        return {kind: [cost(each) for each in found] for kind, found in (await runs(client, since)).items()}

    return asyncio.run(measured())


def test_the_leanest_run_keeps_within_its_budget(costs: dict[str, list[Cost]]) -> None:
    over = [
        f"{process}: {excess}"
        for process, budget in BUDGETS.items()
        if process in costs
        for excess in min(costs[process], key=lambda each: each.events).over(budget)
    ]
    assert not over, "; ".join(over)


def test_no_budget_is_larger_than_its_process(costs: dict[str, list[Cost]]) -> None:
    """A budget that nothing comes near would let a process grow unseen."""
    loose = {
        process
        for process, budget in BUDGETS.items()
        if process not in NOT_ALWAYS
        and max(each.events for each in costs[process]) < budget["events"] * SLACK
    }
    assert loose == set()


def test_every_process_of_the_main_paths_has_a_budget(costs: dict[str, list[Cost]]) -> None:
    assert costs.keys() - BUDGETS.keys() == set()
