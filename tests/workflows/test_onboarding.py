"""A customer's KYC on the real server: every way through it, each timer, each refused update."""

import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from models.contracts.assertions import Assertion, sign
from models.messages.onboarding import Decide, ListChanged, decision_action
from tests.api.conftest import Api, Person, eventually
from tests.journeys.people import (
    PDF,
    Customer,
    Outside,
    customer,
    desk,
    hand_in,
    kyc,
    submission,
    verified_customer,
)

LISTED = "Zorvan Maldrake"
"""On the sandbox's list of fictional sanctions."""


@pytest.fixture(scope="module")
async def api(engines: EmbeddedEngines) -> AsyncIterator[Api]:
    async with desk(engines.settings) as served:
        yield served


@pytest.fixture
def outside(engines: EmbeddedEngines) -> Outside:
    return Outside(engines.settings.sandbox)


def process(api: Api, who: Customer) -> WorkflowHandle[Any, Any]:
    return api.platform.client.get_workflow_handle(f"onboarding:{who.user_id}")


async def case_of(api: Api, officer: Person, who: Customer) -> dict[str, Any]:
    answer = await api.get("/v1/kyc/reviews", headers=officer.headers)
    return next(case for case in answer.json()["items"] if case["user_id"] == who.user_id)


async def decide(api: Api, officer: Person, case_id: str, decision: str) -> Any:
    path, body = f"/v1/kyc/reviews/{case_id}/decision", {"decision": decision, "reason": "seen the papers"}
    return await api.post(path, json=body, headers=officer.headers)


async def reviewed(api: Api, outside: Outside) -> Customer:
    """A namesake of a listed person, under review."""
    who = await customer(api, LISTED)
    await hand_in(api, who, await submission(outside, who))
    await kyc(api, who, "manual_review")
    return who


async def test_basic_kyc_is_verified(api: Api, outside: Outside) -> None:
    who = await customer(api)
    answer = await hand_in(api, who, await submission(outside, who))
    assert answer["onboarding_id"].startswith("onb_")
    seen = await kyc(api, who, "verified")
    assert seen["tier"] == "basic"
    assert seen["limits"] == {"single": 50_000_00, "daily": 2_00_000_00, "monthly": 10_00_000_00}
    assert [step["status"] for step in seen["steps"]] == ["passed"] * 4
    assert "risk_score" not in seen
    told = [text for _, text in await api.letters(who.user_id)]
    assert any("identity check at Treum is complete" in text for text in told)
    events = len((await process(api, who).fetch_history()).events)
    assert events <= 45, "a step was added to the main path"


async def test_a_forged_aadhaar_file_rejects_at_once_and_nothing_is_paid_for(
    api: Api, outside: Outside
) -> None:
    who = await customer(api)
    body = await submission(outside, who)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("offline.xml", "<OfflinePaperlessKyc/>")
    body["aadhaar_ekyc"]["zip_base64"] = base64.b64encode(other.getvalue()).decode()
    before = len(await outside.journal("kyc", "/kyc/pan"))
    await hand_in(api, who, body)
    seen = await kyc(api, who, "rejected")
    assert seen["steps"][0]["status"] == "rejected"
    assert seen["limits"] == {"single": 0, "daily": 0, "monthly": 0}
    assert len(await outside.journal("kyc", "/kyc/pan")) == before


async def test_a_name_that_does_not_match_is_asked_for_again_and_mended(api: Api, outside: Outside) -> None:
    who = await customer(api)
    await hand_in(api, who, await submission(outside, who, pan_name="Someone Else"))
    seen = await kyc(api, who, "action_required")
    assert (seen["reason_code"], seen["steps"][1]["reason_code"]) == (
        "details_do_not_match",
        "pan_name_mismatch",
    )
    await hand_in(api, who, await submission(outside, who), again=True)
    assert (await kyc(api, who, "verified"))["tier"] == "basic"


async def test_a_third_mismatch_goes_to_a_person(api: Api, outside: Outside) -> None:
    who = await customer(api)
    await hand_in(api, who, await submission(outside, who, aadhaar_name="Someone Else"))
    for _ in range(2):
        await kyc(api, who, "action_required")
        await hand_in(api, who, await submission(outside, who, aadhaar_name="Someone Else"), again=True)
    await kyc(api, who, "manual_review")
    case = await case_of(api, await api.staff("compliance"), who)
    assert case["reason"] == "tries_exhausted"


async def test_a_mistyped_share_code_can_be_mended(api: Api, outside: Outside) -> None:
    who = await customer(api)
    body = await submission(outside, who)
    body["aadhaar_ekyc"]["share_code"] = "9999"
    await hand_in(api, who, body)
    seen = await kyc(api, who, "action_required")
    assert seen["steps"][0]["reason_code"] == "aadhaar_share_code_wrong"


async def test_intermediate_needs_a_fresh_proof_of_address(api: Api, outside: Outside) -> None:
    who = await customer(api)
    await hand_in(api, who, await submission(outside, who, tier="intermediate"))
    seen = await kyc(api, who, "action_required")
    assert seen["steps"][0]["reason_code"] == "address_proof_missing"
    issued = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
    proof = {"type": "address_proof", "content_base64": PDF, "issued_on": issued}
    await hand_in(
        api, who, await submission(outside, who, tier="intermediate", documents=[proof]), again=True
    )
    assert (await kyc(api, who, "verified"))["limits"]["single"] == 5_00_000_00


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
    signed = _signed(api, handle.id, officer.user_id, case["case_id"], "reject", datetime.now(UTC))
    forged = Decide(case_id=case["case_id"], decision="approve", note_id="not_x", signed=signed)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("decide", forged)
    assert refused.value.cause.details[0] == "forbidden"  # type: ignore[union-attr]


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
    signed = _signed(api, handle.id, officer.user_id, case["case_id"], "approve", later)
    decision = Decide(case_id=case["case_id"], decision="approve", note_id="not_x", signed=signed)
    await handle.execute_update("decide", decision)
    await kyc(api, who, "verified")


async def test_verification_ends_after_two_years_with_a_reminder_and_is_renewed(
    api: Api, outside: Outside
) -> None:
    who = await verified_customer(api, outside)
    skipper = TimeSkipper(api.platform.client)
    await skipper.fast_forward(process(api, who), timedelta(days=705))
    await kyc(api, who, "verified")

    async def letters() -> list[str]:
        return [text for _, text in await api.letters(who.user_id)]

    told = await eventually(letters, lambda found: any("ends in a month" in text for text in found))
    assert any("ends in a month" in text for text in told)
    await skipper.fast_forward(process(api, who), timedelta(days=30))
    seen = await kyc(api, who, "expired")
    assert (seen["tier"], seen["limits"]["single"]) == (None, 0)
    await hand_in(api, who, await submission(outside, who), again=True)
    await kyc(api, who, "verified")


async def test_a_provider_that_is_down_and_loses_an_answer_is_paid_once(api: Api, outside: Outside) -> None:
    who = await customer(api)
    body = await submission(outside, who)
    await outside.control("/faults", target="kyc", match="/kyc/pan", fault="error_5xx", times=2)
    await outside.control("/faults", target="kyc", match="/kyc/pan", fault="timeout_after", times=1)
    await outside.control("/faults", target="screening", match="", fault="error_429", times=1)
    await hand_in(api, who, body)
    await kyc(api, who, "verified")
    calls = [c for c in await outside.journal("kyc", "/kyc/pan") if who.pan in json.dumps(c["body"])]
    assert len(calls) == 4
    assert len([call for call in calls if call["effect"]]) == 1


async def test_withdrawn_consent_stops_the_work_in_flight(api: Api, outside: Outside) -> None:
    who = await customer(api)
    await hand_in(api, who, await submission(outside, who, pan_name="Someone Else"))
    await kyc(api, who, "action_required")
    await outside.control("/faults", target="kyc", match="/kyc/pan", fault="error_5xx", times=1000)
    await hand_in(api, who, await submission(outside, who), again=True)
    await api.request(
        "DELETE", f"/v1/users/{who.user_id}/consents", params={"purpose": "kyc"}, headers=who.headers
    )
    seen = await kyc(api, who, "pending")
    assert seen["reason_code"] == "consent_withdrawn"
    await outside.control("/reset")
    await hand_in(api, who, await submission(outside, who))
    await kyc(api, who, "verified")


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


async def test_the_history_holds_nothing_personal(api: Api, outside: Outside) -> None:
    who = await reviewed(api, outside)
    officer = await api.staff("compliance")
    await decide(api, officer, (await case_of(api, officer, who))["case_id"], "approve")
    await kyc(api, who, "verified")
    handle = process(api, who)
    history = await handle.fetch_history()
    texts = [history.to_json()]
    for event in history.events:
        payloads = _payloads(event)
        for payload in await api.platform.client.data_converter.payload_codec.decode(payloads):  # type: ignore[union-attr]
            texts.append(payload.data.decode(errors="replace"))
    whole = "\n".join(texts)
    assert '"submission_id":"onb_' in whole, "the payloads were not decoded"
    description = await handle.describe()
    whole += f"{await description.static_summary()} {await description.static_details()}"
    for secret in (
        *who.full_name.split(),
        who.pan,
        who.person.email,
        who.person.phone[3:],
        "seen the papers",
    ):
        assert secret not in whole, secret
    assert who.born.isoformat() not in whole


def _payloads(message: Any) -> list[Any]:
    """Every payload anywhere in a history event."""
    if message.DESCRIPTOR.full_name == "temporal.api.common.v1.Payload":
        return [message]
    found: list[Any] = []
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = [each for each in value.values() if hasattr(each, "DESCRIPTOR")]
        else:
            values = list(value) if field.is_repeated else [value]
        for each in values:
            found += _payloads(each)
    return [
        each for each in found if each.metadata.get("encoding", b"").startswith(b"binary/encrypted")
    ] or found


def _signed(api: Api, workflow_id: str, officer: str, case_id: str, decision: str, at: datetime) -> Any:
    assertion = Assertion(
        subject=officer,
        role="compliance",
        workflow_id=workflow_id,
        action=decision_action(case_id, decision),
        expires_at=at + timedelta(minutes=10),
    )
    return sign(api.platform.settings.assertion_key.get_secret_value(), assertion)
