"""Subscriptions through virtual years of cancels, changes, refusals, disputes and holidays: what has to hold
of every one of them, judged from the gateway's journal, and the income to the paisa.

Every choice comes from the seed, which is printed: `TREUM_LOAD_SEED` plays it again.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic

import pytest

from cli.embedded import EmbeddedEngines
from domain.billing_calendar import ist_date
from store import recognition_runs
from tests.faults.subscription_lives import Life, begin, income, judged, live, off_days, sold_at_gateway
from tests.workflows.subscribers import Town, longest_run, town

SEED = int(os.environ.get("TREUM_LOAD_SEED", "20261123"))
AT_ONCE = 6
A_CYCLE = 40
"""History events that a billing cycle may cost at most."""


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database) as made:
        yield made


@pytest.mark.parametrize(
    ("subscriptions", "days"),
    [(4, 200), pytest.param(100, 730, marks=pytest.mark.campaign)],
)
async def test_nobody_is_debited_unasked_and_the_income_is_what_was_sold(
    place: Town, subscriptions: int, days: int
) -> None:
    print(f"seed {SEED}")
    calls = len(await place.journal())
    begun, chance = monotonic(), random.Random(SEED)
    seeds = [chance.random() for _ in range(subscriptions)]
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(seed: float) -> Life:
        async with turn:
            life = await begin(place, random.Random(seed))
            await live(place, life, days)
            return life

    lives = await asyncio.gather(*(one(seed) for seed in seeds))
    print(f"{subscriptions} subscriptions, {days} days: {monotonic() - begun:.0f} s")
    print(sum((life.did for life in lives), Counter()))
    assert await judged(place, lives) == []
    for life in lives:
        debits = await place.debits(life.one)
        assert [debit for debit in debits if debit["state"] in ("sending", "sent")] == []
        if life.method == "emandate" and len(life.tokens) == 1:
            assert off_days([debit for debit in debits if debit["sent_at"]]) == []
    await _earn(place, lives, calls)
    runs = [events for life in lives[:10] for events in await longest_run(place.client, life.one.handle.id)]
    print(f"events a run: median {sorted(runs)[len(runs) // 2]}, most {max(runs)}")


async def _earn(place: Town, lives: list[Life], since: int) -> None:
    """Recognises at the end of the time, and when all that was sold is over."""
    now = max([await place.now(life.one) for life in lives])
    for through in (ist_date(now), ist_date(now) + timedelta(days=400)):
        async with place.database.transaction() as connection:
            await recognition_runs.recognise(connection, through, now)
        earned, due, adrift = await income(place, through)
        assert (earned, adrift) == (due, 0)
    assert earned == await sold_at_gateway(place, since)
