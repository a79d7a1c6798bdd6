"""Manual review: who may decide a case, what follows, and what a customer learns of it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from models.messages.onboarding import Decide, ListChanged
from tests.api.conftest import Api, eventually
from tests.journeys.people import (
    Customer,
    Outside,
    customer,
    desk,
    hand_in,
    kyc,
    submission,
)
from tests.workflows.officers import LISTED, case_of, decide, process, reviewed, signed


@pytest.fixture(scope="module")
async def api(engines: EmbeddedEngines) -> AsyncIterator[Api]:
    async with desk(engines.settings) as served:
        yield served


@pytest.fixture
def outside(engines: EmbeddedEngines) -> Outside:
    return Outside(engines.settings.sandbox)


async def test_a_hit_is_approved_by_a_person_and_the_customer_sees_nothing_of_it(
    api: Api, outside: Outside
) -> None:
    who = await reviewed(api, outside)
    seen = await kyc(api, who, "manual_review")
    screening = [step for step in seen["steps"] if "screening" in step["step"]]
    assert {(step["status"], step["reason_code"]) for step in screening} == {("in_progress", None)}
    assert "hit" not in json.dumps(seen)
    officer = await api.staff("compliance")
    whole = (await api.get(f"/v1/users/{who.user_id}/kyc", headers=officer.headers)).json()
    assert whole["risk_score"] == 20
    assert [hit["state"] for hit in whole["screening"]] == ["open"]
    case = await case_of(api, officer, who)
    answer = await decide(api, officer, case["case_id"], "approve")
    assert answer.status_code == 200
    assert answer.json() == {"case_id": case["case_id"], "status": "approved", "kyc_status": "verified"}
    assert await api.words(process(api, who).id) == {("decide", True)}
    await kyc(api, who, "verified")
    late = await decide(api, officer, case["case_id"], "reject")
    assert (late.status_code, late.json()["code"]) == (409, "case_closed")


async def test_a_confirmed_match_rejects_freezes_and_alerts_compliance(api: Api, outside: Outside) -> None:
    officer, colleague, third = [await api.staff("compliance") for _ in range(3)]
    who = await reviewed(api, outside)
    case = await case_of(api, officer, who)
    assert (await decide(api, officer, case["case_id"], "reject")).status_code == 200
    await kyc(api, who, "rejected")
    whole = (await api.get(f"/v1/users/{who.user_id}/kyc", headers=officer.headers)).json()
    assert whole["frozen_at"]
    assert [hit["state"] for hit in whole["screening"]] == ["confirmed"]
    assert any(
        "sanctions match" in text or case["case_id"] in text
        for _, text in await api.letters(colleague.user_id)
    )
    refused = await api.post(
        f"/v1/users/{who.user_id}/kyc/resubmit", json=await submission(outside, who), headers=who.headers
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "appeal_required")

    appealed = await api.post(
        f"/v1/users/{who.user_id}/kyc/appeal", json={"reason": "It is not me."}, headers=who.headers
    )
    assert appealed.status_code == 202
    again = await case_of(api, colleague, who)
    same = await decide(api, officer, again["case_id"], "approve")
    assert (same.status_code, same.json()["code"]) == (403, "same_officer")
    first = await decide(api, colleague, again["case_id"], "approve")
    assert first.json()["status"] == "awaiting_second"
    twice = await decide(api, colleague, again["case_id"], "approve")
    assert (twice.status_code, twice.json()["code"]) == (403, "same_officer")
    assert (await decide(api, third, again["case_id"], "approve")).json()["status"] == "approved"
    await kyc(api, who, "verified")


async def test_an_officer_asks_for_information(api: Api, outside: Outside) -> None:
    who, officer = await reviewed(api, outside), await api.staff("compliance")
    case = await case_of(api, officer, who)
    await decide(api, officer, case["case_id"], "request_information")
    assert (await kyc(api, who, "action_required"))["reason_code"] == "information_requested"
    await hand_in(api, who, await submission(outside, who), again=True)
    await kyc(api, who, "manual_review")
    assert (await case_of(api, officer, who))["case_id"] != case["case_id"]


async def test_cases_are_paged_from_the_newest_on(api: Api, outside: Outside) -> None:
    officer = await api.staff("compliance")
    whose = [(await reviewed(api, outside)).user_id for _ in range(2)]
    seen: list[str] = []
    asked: dict[str, Any] = {"limit": 1}
    while len(seen) < 2:
        page = (await api.get("/v1/kyc/reviews", params=asked, headers=officer.headers)).json()
        seen += [case["user_id"] for case in page["items"]]
        asked["cursor"] = page["next_cursor"]
    assert seen == whose[::-1]


async def test_nobody_decides_their_own_case(api: Api, outside: Outside) -> None:
    officer = await api.staff("compliance")
    who = Customer(officer, LISTED, "ABCPM1234Z")
    await hand_in(api, who, await submission(outside, who))
    await kyc(api, who, "manual_review")
    colleague = await api.staff("compliance")
    case = await case_of(api, colleague, who)
    listed = (await api.get("/v1/kyc/reviews", headers=officer.headers)).json()["items"]
    assert case["case_id"] not in [each["case_id"] for each in listed]
    own = await decide(api, officer, case["case_id"], "approve")
    assert (own.status_code, own.json()["code"]) == (403, "own_case")


async def test_a_decision_typed_into_the_ui_is_refused(api: Api, outside: Outside) -> None:
    who, officer = await reviewed(api, outside), await api.staff("compliance")
    case = await case_of(api, officer, who)
    handle = process(api, who)
    assertion = signed(api, handle.id, officer.user_id, case["case_id"], "reject", datetime.now(UTC))
    forged = Decide(case_id=case["case_id"], decision="approve", note_id="not_x", signed=assertion)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("decide", forged)
    assert refused.value.cause.details[0] == "assertion_invalid"  # type: ignore[union-attr]
    mine = [handle.id, officer.user_id, case["case_id"], "approve", datetime.now(UTC) - timedelta(days=1)]
    decision = Decide(
        case_id=case["case_id"],
        decision="approve",
        note_id="not_x",
        signed=signed(api, *mine, "cmd_mine"),
    )
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("decide", decision, id="cmd_another")
    # Signed in time for its own command, it holds however late the engines take it.
    await handle.execute_update("decide", decision, id="cmd_mine")
    await kyc(api, who, "verified")


async def test_an_undecided_case_escalates_after_a_day_and_can_still_be_decided(
    api: Api, outside: Outside
) -> None:
    officer = await api.staff("compliance")
    who = await reviewed(api, outside)
    case = await case_of(api, officer, who)
    handle = process(api, who)
    await TimeSkipper(api.platform.client).fast_forward(handle, timedelta(hours=25))

    async def read() -> dict[str, Any]:
        return await case_of(api, officer, who)

    escalated = await eventually(read, lambda found: found["status"] == "escalated")
    assert escalated["status"] == "escalated"
    assert datetime.fromisoformat(escalated["escalated_at"]) >= datetime.fromisoformat(case["due_at"])
    assert any(case["case_id"] in text for _, text in await api.letters(officer.user_id))
    later = datetime.now(UTC) + timedelta(hours=25)
    assertion = signed(api, handle.id, officer.user_id, case["case_id"], "approve", later)
    decision = Decide(case_id=case["case_id"], decision="approve", note_id="not_x", signed=assertion)
    await handle.execute_update("decide", decision)
    await kyc(api, who, "verified")


async def test_nobody_is_verified_whose_consent_is_gone(api: Api, outside: Outside) -> None:
    who, officer = await reviewed(api, outside), await api.staff("compliance")
    await api.request(
        "DELETE", f"/v1/users/{who.user_id}/consents", params={"purpose": "kyc"}, headers=who.headers
    )
    seen = await kyc(api, who, "manual_review")
    assert seen["reason_code"] is None
    case = await case_of(api, officer, who)
    assert (await decide(api, officer, case["case_id"], "approve")).json()["kyc_status"] == "pending"
    assert (await kyc(api, who, "pending"))["reason_code"] == "consent_withdrawn"


async def test_a_new_list_is_searched_and_a_hit_suspends(api: Api, outside: Outside) -> None:
    who = await customer(api, "Quorin Talvexby")
    await hand_in(api, who, await submission(outside, who))
    await kyc(api, who, "verified")
    entry = {"name": "Quorin Talvexby", "aliases": [], "programme": "SANCTIONS-FICTIONAL"}
    await outside.control("/screening/list", entries=[entry], version="later-1")
    officer = await api.staff("compliance")
    started = await api.post("/v1/kyc/rescreenings", headers=officer.headers)
    assert started.status_code == 202
    await kyc(api, who, "manual_review")
    case = await case_of(api, officer, who)
    assert case["reason"] == "rescreening_hit"
    await decide(api, officer, case["case_id"], "approve")
    assert (await kyc(api, who, "verified"))["tier"] == "basic"
    await process(api, who).signal("list_changed", ListChanged(list_version="later-2"))
    await outside.control("/reset")
