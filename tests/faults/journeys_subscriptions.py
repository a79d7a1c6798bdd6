"""Ways through a subscription besides its renewals: another plan in mid-cycle, a trial, an end at once."""

import asyncio
from datetime import timedelta
from time import monotonic, sleep

import psycopg

from cli.demo.stage import BrokenPromise, Person, Stage
from store.plans import TRIAL_DAYS
from tests.faults import journeys

REMINDED = timedelta(days=TRIAL_DAYS - 2)
UNDECIDED = timedelta(days=12)
"""From the notice of a debit to the question to a person: until it leaves, then all the looks for it."""
STORED_SECONDS = 120.0


def upgraded(stage: Stage) -> None:
    """A dearer plan, paid at its own checkout; what is left of each plan that ends goes back."""
    person = journeys.verified(stage)
    subscription, payment = journeys.subscribed(stage, person)
    path = f"/billing/subscriptions/{subscription}"
    dearest = max(_plans(stage), key=lambda plan: int(plan["amount"]))
    asked = stage.call("POST", f"{path}/change-plan", person, json={"plan_id": dearest["plan_id"]})
    journeys.paid(stage, person, asked)
    stage.until(path, person, lambda s: s["plan_id"] == dearest["plan_id"], "a paid upgrade begins")
    _given_back(stage, person, payment)
    stage.call("POST", f"{path}/cancel", person, json={"at_period_end": False})


def tried(stage: Stage) -> None:
    """A trial whose customer is told that it ends, and goes on."""
    person = journeys.verified(stage)
    plan = next(plan for plan in _plans(stage) if plan["trial_days"])
    mitc = {"purpose": "research_services", "document": "mitc", "version": "current"}
    stage.call("POST", f"/users/{person.user_id}/consents", person, expect=(200, 201), json=mitc)
    body = {"plan_id": plan["plan_id"], "trial": True}
    seen = stage.call("POST", "/billing/subscriptions", person, expect=201, json=body)
    subscription = str(seen["subscription_id"])
    asyncio.run(journeys._forward(stage, f"subscription:{subscription}", REMINDED))
    again = {"plan_id": plan["plan_id"]}
    checkout = stage.call("POST", "/billing/subscriptions", person, expect=201, json=again)
    journeys.paid(stage, person, checkout)
    journeys.active(stage, person, subscription)


def undecided(stage: Stage) -> None:
    """A debit that the bank leaves open until a person is asked, and refuses then: another goes through."""
    person = journeys.verified(stage)
    subscription, _ = journeys.subscribed(stage, person)
    process = f"subscription:{subscription}"
    asyncio.run(journeys._forward(stage, process, journeys.NOTICED))
    stage.control("razorpay/debit", subscription=subscription, outcome="pending")
    asyncio.run(journeys._forward(stage, process, UNDECIDED))
    wanted = "SELECT 1 FROM finance.payments WHERE reference_id = %s AND status = 'unknown'"
    _stored(stage, wanted, subscription, "a debit that nobody tells the outcome of is shown as unknown")
    stage.control("razorpay/debit", subscription=subscription, outcome="failure")
    asyncio.run(journeys._forward(stage, process, timedelta(days=8)))
    wanted = "SELECT 1 FROM finance.user_subscriptions WHERE subscription_id = %s AND period = 2"
    _stored(stage, wanted, subscription, "what the bank refuses in the end is debited anew")


def _stored(stage: Stage, query: str, subscription: str, what: str) -> None:
    """Waits for a row."""
    deadline = monotonic() + STORED_SECONDS
    while monotonic() < deadline:
        with psycopg.connect(stage.endpoints["postgres"]) as connection:
            if connection.execute(query, [subscription]).fetchone():
                return
        sleep(0.1)
    raise BrokenPromise(what)


def _plans(stage: Stage) -> list[dict[str, object]]:
    items = stage.call("GET", "/billing/plans")["items"]
    return [plan for plan in items if plan["cycle"] == "monthly"]


def _given_back(stage: Stage, person: Person, payment: str) -> None:
    wanted = ("refunded", "partially_refunded")
    path = f"/payments/{payment}/status"
    stage.until(path, person, lambda p: p["status"] in wanted, "the unexpired part goes back")


journeys.JOURNEYS |= {journey.__name__: journey for journey in (upgraded, tried, undecided)}
