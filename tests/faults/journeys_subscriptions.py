"""Ways through a subscription besides its renewals: another plan in mid-cycle, a trial, an end at once."""

import asyncio
from datetime import timedelta

from cli.demo.stage import Person, Stage
from store.plans import TRIAL_DAYS
from tests.faults import journeys

REMINDED = timedelta(days=TRIAL_DAYS - 2)


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


def _plans(stage: Stage) -> list[dict[str, object]]:
    items = stage.call("GET", "/billing/plans")["items"]
    return [plan for plan in items if plan["cycle"] == "monthly"]


def _given_back(stage: Stage, person: Person, payment: str) -> None:
    wanted = ("refunded", "partially_refunded")
    path = f"/payments/{payment}/status"
    stage.until(path, person, lambda p: p["status"] in wanted, "the unexpired part goes back")


journeys.JOURNEYS |= {journey.__name__: journey for journey in (upgraded, tried)}
