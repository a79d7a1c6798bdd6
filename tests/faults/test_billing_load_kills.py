"""`make campaign`: fifty SIGKILLs in a load of payments, refunds, disputes and settlement days.

Each buyer and each member of staff is a client over HTTP that asks again under the same key. When all is
over the checker holds the books against what the gateway really did, and the last settlement day against
the ledger, to the paisa.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.billing_load import VICTIMS, Load, buyers, killed
from tests.faults.whole import Whole

SEED = int(os.environ.get("TREUM_SEED", "20261123"))
"""Who dies when, and what becomes of each purchase; printed, so that a failure can be replayed."""
KILLS = 50
BUYERS = 10
THREADS = 5

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def own() -> Iterator[Whole]:
    """A platform of its own: the day that is compared with the book has nothing but this load in it."""
    with Whole() as platform:
        yield platform


def test_fifty_kills_in_a_load_of_money_lose_nothing_and_double_nothing(own: Whole) -> None:
    print(f"seed {SEED}")
    chance, dead = random.Random(SEED), Counter[str]()
    victims = chance.choices(VICTIMS, k=KILLS)
    people = buyers(own, BUYERS)
    for role in ("finance", "finance2"):
        own.clients.staff(role)
    load = Load(own, random.Random(SEED + 1))
    load.run(people, THREADS, lambda: dead.update(killed(own, chance, victims, (0.3, 3.5))))
    print(f"killed {dict(dead)}; done {dict(load.did)}")
    assert load.failures == []
    assert sum(dead.values()) == KILLS
    assert own.findings(90.0) == {}

    day = load.reconcile()
    assert (day["difference"], [each for each in day["breaks"] if each["status"] != "resolved"]) == (0, [])
    book = own.clients.call("GET", "/finance/trial-balance", own.clients.staff("finance"))
    assert book["total_debit"] == book["total_credit"]
    net = {item["account"]: item["debit"] - item["credit"] for item in book["items"]}
    assert (net["disputes"], net["refunds_payable"]) == (0, 0)
    taken = [call for call in own.clients.journal("razorpay") if (call["effect"] or {}).get("captured")]
    assert len(taken) == len(load.payments) == len(set(load.payments))
