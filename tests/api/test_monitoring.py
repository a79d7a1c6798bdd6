"""Alerts and scores over HTTP: for compliance alone; a customer sees neutral codes and no flag."""

import json
from typing import Any

import pytest

from tests.api.till import Counter, key
from tests.workflows.shop import eventually

WATCHERS = [
    *("HIGH_VALUE", "LOCATION", "flag", "alert", "score", "place-check", "monitoring", "compliance"),
]
"""Words of which a customer hears none."""


async def scored(till: Counter, user_id: str, kind: str, score: int) -> None:
    officer = await till.api.staff("compliance")
    body = {"user_id": user_id, "kind": kind, "score": score, "source": "place-check"}
    answer = await till.api.put("/v1/compliance/risk-scores", json=body, headers=officer.headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["score"] == score


async def test_a_flagged_payment_is_reviewed_and_released_over_http(till: Counter) -> None:
    person, reference_id = await till.customer()
    await till.shop.rows(
        "UPDATE finance.user_subscriptions SET amount = 6000000 WHERE subscription_id = %s RETURNING 1",
        reference_id,
    )
    await till.shop.rows(
        "UPDATE user_management.kyc_status SET tier = 'intermediate' WHERE user_id = %s RETURNING 1",
        person.user_id,
    )
    await scored(till, person.user_id, "location", 88)
    stepped = await till.api.stepped_up(person)
    created = await till.create(person, reference_id, **stepped)
    assert created.status_code == 201, created.text
    checkout = created.json()
    answer = await till.confirm(person, checkout, await till.pay(checkout))
    assert answer.json()["status"] == "review"
    status = await till.settled(person, checkout["payment_id"], "review")
    listed = (await till.api.get("/v1/payments", headers=person.headers)).json()
    export = (await till.api.get(f"/v1/users/{person.user_id}/export", headers=person.headers)).text
    for shown in (json.dumps(status), json.dumps(listed), export):
        for word in WATCHERS:
            assert word not in shown

    officer, run = await till.api.staff("compliance"), f"payment:{checkout['payment_id']}"
    query = {"status": "review", "payment_id": checkout["payment_id"]}
    found = await till.api.get("/v1/compliance/payment-alerts", params=query, headers=officer.headers)
    items = found.json()["items"]
    assert {item["flag"] for item in items} == {"HIGH_VALUE_TRANSACTION", "LOCATION_RISK"}
    assert {item["workflow_id"] for item in items} == {run}

    async def waits() -> Any:
        attention = await till.api.get("/v1/staff/attention?limit=200", headers=officer.headers)
        return next((item for item in attention.json()["items"] if item["workflow_id"] == run), None)

    waiting = await eventually(waits, bool)
    assert {"release", "block"} <= set(waiting["actions"])
    assert waiting["due"]

    action = f"/v1/staff/runs/{run}/actions/release"
    finance = await till.api.staff("finance")
    refused = await till.api.post(action, json={}, headers={**finance.headers, **key()})
    assert (refused.status_code, refused.json()["code"]) == (403, "role_required")
    released = await till.api.post(
        action, json={"note": "the customer called"}, headers={**officer.headers, **key()}
    )
    assert released.status_code == 200, released.text
    done = await till.settled(person, checkout["payment_id"])
    assert [word for word in WATCHERS if word in json.dumps(done)] == []
    assert [(step["status"], step["source"]) for step in done["timeline"]][2:4] == [
        ("review", "platform"),
        ("authorized", "platform"),
    ]
    seen = await till.api.get(f"/v1/payments/{checkout['payment_id']}/status", headers=finance.headers)
    assert [step["source"] for step in seen.json()["timeline"]][2:4] == ["monitoring", "compliance"]
    items = (await till.api.get("/v1/compliance/payment-alerts", params={"user_id": person.user_id}, headers=officer.headers)).json()["items"]  # fmt: skip # noqa: E501
    assert {(item["decision"], item["decided_by"], item["note"]) for item in items} == {
        ("released", officer.user_id, "the customer called")
    }
    again = await till.api.post(action, json={}, headers={**officer.headers, **key()})
    assert again.status_code == 409
    for who, note in ((officer, "the customer called"), (await till.api.staff("support"), None)):
        trail = await till.api.get("/v1/audit", params={"subject": run}, headers=who.headers)
        told = [each["note"] for each in trail.json()["items"] if each["action"] == "run.release"]
        assert told[-1] == note


async def test_a_declined_customer_is_told_nothing_but_that(till: Counter) -> None:
    person, reference_id = await till.customer()
    await scored(till, person.user_id, "fraud", 81)
    refused = await till.create(person, reference_id)
    assert (refused.status_code, refused.json()["code"]) == (403, "payment_declined")
    assert "fraud" not in refused.text.lower()


@pytest.mark.parametrize("role", ["support", "finance", None])
async def test_alerts_are_for_compliance_alone(till: Counter, role: str | None) -> None:
    who = await till.api.staff(role) if role else await till.api.signed_in()
    answer = await till.api.get("/v1/compliance/payment-alerts", headers=who.headers)
    assert answer.status_code == 403
    body = {"user_id": who.user_id, "kind": "fraud", "score": 0, "source": "me"}
    assert (
        await till.api.put("/v1/compliance/risk-scores", json=body, headers=who.headers)
    ).status_code == 403


@pytest.mark.parametrize(
    "query", ["user_id=%00", "payment_id=a%20b", "status=captured", "cursor=LTE", "cursor=MTIzYQ", "limit=0"]
)
async def test_what_is_no_query_is_refused(till: Counter, query: str) -> None:
    officer = await till.api.staff("compliance")
    answer = await till.api.get(f"/v1/compliance/payment-alerts?{query}", headers=officer.headers)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "broken", [{"score": 101}, {"kind": "honesty"}, {"user_id": "usr_nobody"}, {"source": "a b"}, {"more": 1}]
)
async def test_what_is_no_score_is_refused(till: Counter, broken: dict[str, Any]) -> None:
    officer, person = await till.api.staff("compliance"), await till.api.signed_in()
    body = {"user_id": person.user_id, "kind": "fraud", "score": 5, "source": "check", **broken}
    answer = await till.api.put("/v1/compliance/risk-scores", json=body, headers=officer.headers)
    assert answer.status_code == 422
