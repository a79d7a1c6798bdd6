"""Subscriptions through virtual years of cancels, changes, refusals, disputes and holidays: what has to hold
of every one of them, judged from the gateway's journal, and the income to the paisa.

Every choice comes from the seed, which is printed: `TREUM_LOAD_SEED` plays it again.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic

import pytest
from temporalio.api.enums.v1 import EventType

from cli.embedded import EmbeddedEngines
from domain.billing_calendar import ist_date
from store import recognition_runs
from tests.faults.subscription_lives import (
    ONCE_EACH,
    Life,
    begin,
    income,
    judged,
    live,
    off_days,
    seen,
    sold_at_gateway,
)
from tests.workflows.subscribers import Town, town

SEED = int(os.environ.get("TREUM_LOAD_SEED", "20261123"))
AT_ONCE = 6
MESSAGES = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
)
A_CYCLE = 40
"""History events that a billing cycle may cost at most."""
A_MESSAGE = 15
"""Of those that each command or signal in it may add: taken, stored, answered, and what it starts."""
CUT = {
    **dict.fromkeys(("pauses", "resumes", "no_money", "changes", "dispute opened", "ends_mandate"), 1),
    **{"leaves": 1, "debit captured": 4, "debit failed": 1},
}
WHOLE = {
    **dict.fromkeys(("pauses", "resumes", "no_money", "changes", "dispute opened", "ends_mandate"), 10),
    **{"leaves": 10, "upgrade": 5, "approve": 1, "dispute won": 1, "dispute lost": 1},
    **{"debit captured": 200, "debit failed": 30, "debit withdrawn": 1, "moved by a holiday": 5},
}
"""What has to have taken place at least, so that nothing passes by not having happened."""


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database) as made:
        yield made


@pytest.mark.parametrize(
    ("subscriptions", "days", "least"),
    [(4, 200, CUT), pytest.param(100, 730, WHOLE, marks=pytest.mark.campaign)],
)
async def test_nobody_is_debited_unasked_and_the_income_is_what_was_sold(
    place: Town, subscriptions: int, days: int, least: dict[str, int]
) -> None:
    print(f"seed {SEED}")
    calls = len(await place.journal())
    begun, chance = monotonic(), random.Random(SEED)
    seeds = [chance.random() for _ in range(subscriptions)]
    sure = [*ONCE_EACH, *[()] * (subscriptions - len(ONCE_EACH))]
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(seed: float, wants: tuple[str, ...]) -> Life:
        async with turn:
            life = await begin(place, random.Random(seed), wants)
            await live(place, life, days)
            return life

    lives = await asyncio.gather(*(one(seed, wants) for seed, wants in zip(seeds, sure, strict=True)))
    print(f"{subscriptions} subscriptions, {days} days: {monotonic() - begun:.0f} s")
    done = await seen(place, lives)
    print(done)
    findings = await judged(place, lives)
    for life in lives:
        if any(life.one.subscription_id in found for found in findings):
            print(life.one.subscription_id, life.story, *await place.debits(life.one), sep="\n  ")
    assert findings == []
    for life in lives:
        debits = await place.debits(life.one)
        assert [debit for debit in debits if debit["state"] in ("sending", "sent")] == []
        if life.method == "emandate" and len(life.tokens) == 1:
            assert off_days([debit for debit in debits if debit["sent_at"]]) == []
    await _earn(place, lives, calls)
    assert {what: done[what] for what, times in least.items() if done[what] < times} == {}
    runs = [run for life in lives[:10] for run in await _runs(place, life)]
    events = sorted(of_all for of_all, _ in runs)
    print(f"events a run: median {events[len(events) // 2]}, most {events[-1]}")
    assert [run for run in runs if run[0] > A_CYCLE + A_MESSAGE * run[1]] == []
    quiet = [of_all for of_all, messages in runs if not messages]
    assert quiet
    assert max(quiet) <= A_CYCLE


async def _runs(place: Town, life: Life) -> list[tuple[int, int]]:
    """Events, and commands and signals among them, of each of a subscription's runs."""
    counted = []
    async for run in place.client.list_workflows(f"WorkflowId = '{life.one.handle.id}'"):
        history = await place.client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        counted.append((len(history.events), sum(each.event_type in MESSAGES for each in history.events)))
    return counted


async def _earn(place: Town, lives: list[Life], since: int) -> None:
    """Recognises at the end of the time, and when all that was sold is over."""
    now = max([await place.now(life.one) for life in lives])
    for through in (ist_date(now), ist_date(now) + timedelta(days=400)):
        async with place.database.transaction() as connection:
            await recognition_runs.recognise(connection, through, now)
        earned, due, adrift = await income(place, through)
        assert (earned, adrift) == (due, 0)
    assert earned == await sold_at_gateway(place, since)
