"""Subscriptions and reconciliation over HTTP, by the billing pool and the payment process that serve them."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from cli.embedded import EmbeddedEngines
from domain.billing_calendar import ist_date
from store import plans
from tests.api.conftest import Api, Person, eventually
from workers.billing import POOL
from workers.parts import assemble
from workers.pool import workers

PREMIUM = {"plan_id": "pln_premium_monthly"}


def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(12)}


@dataclass
class Desk:
    """The API, with the billing pool behind it and the gateway beside it."""

    api: Api
    sandbox: httpx.AsyncClient

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.sandbox.post(f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def customer(self, *, consents: bool = True) -> Person:
        """Someone who may pay: signed in, verified, with a billing state."""
        person = await self.api.signed_in()
        base = f"/v1/users/{person.user_id}"
        profile = {"billing": {"name": "Asha Verma", "state": "KA"}}
        answer = await self.api.put(f"{base}/profile", json=profile, headers=person.headers)
        assert answer.status_code == 200, answer.text
        async with self.api.platform.database.transaction() as connection:
            await connection.execute(
                """INSERT INTO user_management.kyc_status (user_id, status, tier, legal_name, verified_at,
                       expires_at, updated_at)
                   VALUES (%s, 'verified', 'basic', 'sealed', now(), now() + interval '2 years', now())""",
                (person.user_id,),
            )
        if consents:
            await self.consent(person)
        return person

    async def consent(self, person: Person) -> None:
        body = {"purpose": "research_services", "document": "mitc", "version": "current"}
        answer = await self.api.post(
            f"/v1/users/{person.user_id}/consents", json=body, headers=person.headers
        )
        assert answer.status_code == 201, answer.text

    async def subscribe(self, person: Person, plan_id: str = "", **headers: str) -> httpx.Response:
        body = {"plan_id": plan_id} if plan_id else PREMIUM
        return await self.api.post(
            "/v1/billing/subscriptions", json=body, headers={**person.headers, **headers}
        )

    async def read(self, person: Person, subscription_id: str, **query: Any) -> dict[str, Any]:
        path = f"/v1/billing/subscriptions/{subscription_id}"
        return (await self.api.get(path, headers=person.headers, params=query)).json()

    async def pay(self, person: Person, checkout: dict[str, Any]) -> dict[str, Any]:
        """Pays and waits until the subscription is active; what the checkout brought back."""
        brought = await self.control(
            "/razorpay/checkout", order_id=checkout["gateway_order_id"], method="card", outcome="success"
        )
        names = ("razorpay_payment_id", "razorpay_order_id", "razorpay_signature")
        await self.api.post(
            f"/v1/payments/{checkout['payment_id']}/confirm",
            json={name: brought[name] for name in names},
            headers=person.headers,
        )
        seen = await eventually(
            lambda: self.read(person, checkout["subscription_id"]), lambda view: view["status"] == "active"
        )
        assert seen["status"] == "active", seen
        return brought

    async def subscribed(self) -> tuple[Person, dict[str, Any]]:
        person = await self.customer()
        checkout = (await self.subscribe(person)).json()
        return person, checkout | await self.pay(person, checkout)

    async def command(self, person: Person, subscription_id: str, name: str, **body: Any) -> httpx.Response:
        path = f"/v1/billing/subscriptions/{subscription_id}/{name}"
        return await self.api.post(path, json=body, headers=person.headers)


@pytest.fixture(scope="module")
async def desk(engines: EmbeddedEngines, api: Api) -> AsyncIterator[Desk]:
    headers = {"X-Sandbox-Control": "1"}
    async with (
        assemble(engines.settings) as parts,
        httpx.AsyncClient(base_url=engines.settings.sandbox, headers=headers, timeout=10) as sandbox,
        AsyncExitStack() as running,
    ):
        async with parts.database.transaction() as connection:
            await plans.seed(connection)
        for worker in workers(POOL, parts, parts.client):
            await running.enter_async_context(worker)
        yield Desk(api, sandbox)


async def test_plans_are_open_to_everyone(desk: Desk) -> None:
    items = (await desk.api.get("/v1/billing/plans")).json()["items"]
    monthly = next(item for item in items if item["plan_id"] == PREMIUM["plan_id"])
    assert (monthly["tier"], monthly["amount"], monthly["currency"], monthly["cycle"]) == (
        "premium",
        1_999_00,
        "INR",
        "monthly",
    )


async def test_consent_then_checkout_then_active_then_cancelled(desk: Desk) -> None:
    person = await desk.customer(consents=False)
    refused = await desk.subscribe(person)
    assert (refused.status_code, refused.json()["code"]) == (409, "consent_required")
    await desk.consent(person)

    first_key = key()
    taken = await desk.subscribe(person, **first_key)
    assert taken.status_code == 201, taken.text
    checkout = taken.json()
    assert (checkout["status"], checkout["payment_status"], checkout["gateway"]) == (
        "awaiting_payment",
        "created",
        "razorpay",
    )
    repeated = await desk.subscribe(person, **first_key)
    assert repeated.headers["Idempotency-Replayed"] == "true"
    assert repeated.json() == checkout
    again = (await desk.subscribe(person, **key())).json()
    assert (again["subscription_id"], again["gateway_order_id"]) == (
        checkout["subscription_id"],
        checkout["gateway_order_id"],
    )

    waiting = asyncio.create_task(
        desk.read(person, checkout["subscription_id"], wait=10, since=checkout["version"])
    )
    await desk.pay(person, checkout)
    assert (await waiting)["version"] > checkout["version"]
    seen = await desk.read(person, checkout["subscription_id"])
    assert seen["mandate"]["method"] == "card"
    assert seen["next_debit_at"] >= seen["current_period_end"]
    second = await desk.subscribe(person)
    assert (second.status_code, second.json()["code"]) == (409, "already_subscribed")
    listed = (await desk.api.get("/v1/billing/subscriptions", headers=person.headers)).json()
    assert [item["subscription_id"] for item in listed["items"]] == [checkout["subscription_id"]]

    paused = await desk.command(person, checkout["subscription_id"], "pause")
    assert paused.json()["status"] == "paused"
    twice = await desk.command(person, checkout["subscription_id"], "pause")
    assert (twice.status_code, twice.json()["code"]) == (409, "invalid_state")
    resumed = await desk.command(person, checkout["subscription_id"], "resume")
    assert resumed.json()["status"] == "active"
    ends = await desk.command(person, checkout["subscription_id"], "cancel", at_period_end=True)
    assert (ends.json()["status"], ends.json()["cancel_at"]) == ("active", seen["current_period_end"])
    now = await desk.command(person, checkout["subscription_id"], "cancel", at_period_end=False)
    assert now.json()["status"] == "cancelled"
    after = await desk.command(person, checkout["subscription_id"], "resume")
    # The process may still be writing its last words.
    assert (after.status_code, after.json()["code"]) in ((409, "process_closed"), (409, "invalid_state"))


async def test_a_dearer_plan_is_answered_with_its_checkout_and_begins_when_it_is_paid(desk: Desk) -> None:
    person, bought = await desk.subscribed()
    mine = bought["subscription_id"]
    first_key = key()
    path = f"/v1/billing/subscriptions/{mine}/change-plan"
    headers = {**person.headers, **first_key}
    asked = await desk.api.post(path, json={"plan_id": "pln_enterprise_monthly"}, headers=headers)
    assert asked.status_code == 200, asked.text
    checkout = asked.json()
    assert (checkout["plan_id"], checkout["pending_plan_id"]) == (
        "pln_premium_monthly",
        "pln_enterprise_monthly",
    )
    assert (checkout["amount"], checkout["payment_status"]) == (9_999_00, "created")
    assert checkout["gateway_order_id"] != bought["gateway_order_id"]
    repeated = await desk.api.post(path, json={"plan_id": "pln_enterprise_monthly"}, headers=headers)
    assert repeated.json()["payment_id"] == checkout["payment_id"]
    assert repeated.headers["Idempotency-Replayed"] == "true"
    again = await desk.command(person, mine, "change-plan", plan_id="pln_enterprise_monthly")
    assert again.json()["payment_id"] == checkout["payment_id"]
    # Another plan's checkout would be this one: first it has to end.
    other = await desk.command(person, mine, "change-plan", plan_id="pln_premium_yearly")
    assert (other.status_code, other.json()["code"]) == (409, "checkout_open")

    await desk.pay(person, {**checkout, "subscription_id": mine})
    seen = await eventually(lambda: desk.read(person, mine), lambda view: view["pending_plan_id"] is None)
    assert (seen["plan_id"], seen["amount"]) == ("pln_enterprise_monthly", 9_999_00)
    documents = "/v1/billing/invoices?limit=50"

    async def issued() -> list[tuple[str, int]]:
        found = (await desk.api.get(documents, headers=person.headers)).json()["items"]
        return sorted((each["kind"], each["total"]) for each in found)

    # The first period had only begun: all of it goes back.
    kinds = await eventually(issued, lambda found: len(found) == 3)
    assert kinds == [("credit_note", 1_999_00), ("invoice", 1_999_00), ("invoice", 9_999_00)]
    late = await desk.api.post(path, json={"plan_id": "pln_enterprise_monthly"}, headers=headers)
    assert late.json()["pending_plan_id"] == "pln_enterprise_monthly"


async def test_a_trial_is_asked_for_and_paid_within_it(desk: Desk) -> None:
    person = await desk.customer()
    body = {"plan_id": "pln_premium_monthly", "trial": True}
    tried = await desk.api.post("/v1/billing/subscriptions", json=body, headers=person.headers)
    assert tried.status_code == 201, tried.text
    seen = tried.json()
    assert (seen["status"], seen["trial_ends_at"] is None, "payment_id" in seen) == ("trial", False, False)
    other = await desk.subscribe(person, "pln_enterprise_monthly")
    assert (other.status_code, other.json()["code"]) == (409, "already_subscribed")
    checkout = (await desk.subscribe(person)).json()
    assert (checkout["subscription_id"], checkout["status"]) == (seen["subscription_id"], "trial")
    await desk.pay(person, checkout)
    now = await desk.command(person, seen["subscription_id"], "cancel", at_period_end=False)
    assert now.json()["status"] == "cancelled"
    again = await desk.api.post("/v1/billing/subscriptions", json=body, headers={**person.headers, **key()})
    assert (again.status_code, again.json()["code"]) == (409, "trial_used")
    none = {"plan_id": "pln_enterprise_monthly", "trial": True}
    refused = await desk.api.post("/v1/billing/subscriptions", json=none, headers=person.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "trial_not_offered")


async def test_another_choice_takes_the_place_of_one_never_paid(desk: Desk) -> None:
    person = await desk.customer()
    first = (await desk.subscribe(person)).json()
    second = (await desk.subscribe(person, "pln_premium_quarterly")).json()
    assert second["subscription_id"] != first["subscription_id"]
    assert second["amount"] == 5_499_00
    assert (await desk.read(person, first["subscription_id"]))["status"] == "cancelled"


async def test_what_is_wrong_is_told_and_changes_nothing(desk: Desk) -> None:
    person = await desk.customer()
    unknown = await desk.subscribe(person, "pln_none")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "plan_unknown")
    assert (await desk.api.post("/v1/billing/subscriptions", json=PREMIUM)).status_code == 401
    for body in ({}, {"plan_id": 7}, {"plan_id": "x", "more": 1}, []):
        answer = await desk.api.post("/v1/billing/subscriptions", json=body, headers=person.headers)
        assert answer.status_code == 422, body
    taken = (await desk.subscribe(person)).json()
    other = await desk.customer()
    for method, name in (("GET", ""), ("POST", "/cancel"), ("POST", "/pause"), ("POST", "/change-plan")):
        path = f"/v1/billing/subscriptions/{taken['subscription_id']}{name}"
        answer = await desk.api.request(method, path, headers=other.headers)
        assert answer.status_code == 404, name
    assert (await desk.read(person, taken["subscription_id"]))["status"] == "awaiting_payment"


async def test_finance_compares_a_day_and_resolves_its_break(desk: Desk) -> None:
    person, bought = await desk.subscribed()
    today = ist_date(datetime.now(UTC)).isoformat()
    await desk.control("/razorpay/settle", date=today)
    await desk.control(
        "/razorpay/plant",
        kind="wrong_fee",
        date=today,
        payment_id=bought["razorpay_payment_id"],
        amount=99_00,
    )
    path = "/v1/finance/reconciliations"
    assert (await desk.api.post(path, json={"date": today}, headers=person.headers)).status_code == 403
    finance = await desk.api.staff("finance")
    ahead = (ist_date(datetime.now(UTC)) + timedelta(days=1)).isoformat()
    for wrong in ({"date": ahead}, {"date": "yesterday"}, {}):
        assert (await desk.api.post(path, json=wrong, headers=finance.headers)).status_code == 422
    assert (await desk.api.get(f"{path}/1999-01-01", headers=finance.headers)).status_code == 404

    started = await desk.api.post(path, json={"date": today}, headers=finance.headers)
    assert started.status_code == 202, started.text

    async def day() -> dict[str, Any]:
        return (await desk.api.get(f"{path}/{today}", headers=finance.headers)).json()

    seen = await eventually(day, lambda found: found["status"] != "running")
    mine = [one for one in seen["breaks"] if one["payment_id"] == bought["payment_id"]]
    assert [one["kind"] for one in mine] == ["wrong_fee"]
    assert seen["lines"] >= seen["matched"]
    sheet = await desk.api.get(f"{path}/{today}", headers={**finance.headers, "Accept": "text/csv"})
    assert sheet.headers["content-type"].startswith("text/csv")
    assert len(sheet.text.splitlines()) == seen["lines"] + 1

    resolve = f"/v1/finance/breaks/{mine[0]['break_id']}/resolve"
    decision = {"resolution": "accept", "note": "the gateway's new tariff"}
    keyless = await desk.api.post(resolve, json=decision, headers=finance.headers)
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_required")
    headers = {**finance.headers, **key()}
    resolved = await desk.api.post(resolve, json=decision, headers=headers)
    assert (resolved.status_code, resolved.json()["status"]) == (200, "resolved")
    repeat = await desk.api.post(resolve, json=decision, headers=headers)
    assert (repeat.status_code, repeat.json()) == (200, resolved.json())
    late = await desk.api.post(resolve, json=decision, headers={**finance.headers, **key()})
    assert late.status_code == 409
    listed = (await desk.api.get("/v1/finance/breaks?limit=200", headers=finance.headers)).json()
    stored = next(one for one in listed["items"] if one["break_id"] == mine[0]["break_id"])
    assert (stored["status"], stored["first_by"]) == ("resolved", finance.user_id)

    again = await desk.api.post(path, json={"date": today}, headers={**finance.headers, **key()})
    assert again.status_code == 202
    assert len(again.json()["breaks"]) == len(seen["breaks"])


async def test_finance_settles_a_debit_only_where_its_process_asks(desk: Desk) -> None:
    _, taken = await desk.subscribed()
    path = f"/v1/staff/runs/subscription:{taken['subscription_id']}/actions/settle"
    body = {"decision": "captured", "note": "the gateway's case 4711"}
    finance, support = await desk.api.staff("finance"), await desk.api.staff("support")
    refused = await desk.api.post(path, json=body, headers={**support.headers, **key()})
    assert (refused.status_code, refused.json()["code"]) == (403, "role_required")
    bare = await desk.api.post(path, json={"decision": "failed"}, headers={**finance.headers, **key()})
    assert (bare.status_code, bare.json()["errors"][0]["pointer"]) == (422, "/note")
    early = await desk.api.post(path, json=body, headers={**finance.headers, **key()})
    assert (early.status_code, early.json()["code"]) == (409, "not_awaiting_settlement")
