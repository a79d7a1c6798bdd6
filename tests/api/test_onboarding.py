"""The routes of KYC: who may call them, what they refuse, what they give, whose data they never show."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from cli.embedded import EmbeddedEngines
from tests.api.conftest import Api
from tests.journeys.people import (
    Outside,
    customer,
    hand_in,
    kyc,
    onboarding_pool,
    submission,
    verified_customer,
)

pytestmark = pytest.mark.usefixtures("_pool")


@pytest.fixture(scope="module")
async def _pool(engines: EmbeddedEngines) -> AsyncIterator[None]:
    async with onboarding_pool(engines.settings):
        yield


@pytest.fixture
def outside(engines: EmbeddedEngines) -> Outside:
    return Outside(engines.settings.sandbox)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/auth/verify-kyc"),
        ("GET", "/v1/users/usr_x/kyc"),
        ("POST", "/v1/users/usr_x/kyc/resubmit"),
        ("POST", "/v1/users/usr_x/kyc/appeal"),
        ("GET", "/v1/kyc/reviews"),
        ("POST", "/v1/kyc/reviews/kyc_x/decision"),
        ("POST", "/v1/kyc/rescreenings"),
        ("POST", "/v1/complaints"),
    ],
)
async def test_nobody_is_let_in_without_signing_in(api: Api, method: str, path: str) -> None:
    answer = await api.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/kyc/reviews"),
        ("POST", "/v1/kyc/reviews/kyc_x/decision"),
        ("POST", "/v1/kyc/rescreenings"),
    ],
)
async def test_compliance_alone_reviews(api: Api, method: str, path: str) -> None:
    who = await api.signed_in()
    answer = await api.request(method, path, json={} if method == "POST" else None, headers=who.headers)
    assert answer.status_code == 403


async def test_anothers_kyc_is_not_there(api: Api, outside: Outside) -> None:
    one, other = await api.signed_in(), await customer(api)
    body = await submission(outside, other)
    assert (await api.get(f"/v1/users/{other.user_id}/kyc", headers=one.headers)).status_code == 404
    for call, given in (("resubmit", body), ("appeal", {"reason": "x"}), ("resubmit", {})):
        answer = await api.post(f"/v1/users/{other.user_id}/kyc/{call}", json=given, headers=one.headers)
        assert answer.status_code == 404


async def test_who_has_begun_nothing_is_pending(api: Api) -> None:
    who = await api.signed_in()
    seen = (await api.get(f"/v1/users/{who.user_id}/kyc", headers=who.headers)).json()
    assert (seen["status"], seen["tier"], seen["steps"]) == ("pending", None, [])
    officer = await api.staff("compliance")
    assert (await api.get("/v1/users/usr_nobody/kyc", headers=officer.headers)).status_code == 404


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"pan": "ABCD12345F"}, "/pan"),
        ({"tier": "platinum"}, "/tier"),
        ({"date_of_birth": "2999-01-01"}, "/date_of_birth"),
        ({"consent": {"purposes": ["kyc"], "accepted": False}}, "/consent/accepted"),
        ({"aadhaar_ekyc": {"zip_base64": "not base 64!", "share_code": "1234"}}, "/aadhaar_ekyc/zip_base64"),
        ({"documents": [{"type": "address_proof", "content_base64": ""}]}, "/documents/0/content_base64"),
        ({"surprise": 1}, "/surprise"),
    ],
)
async def test_a_misshapen_submission_is_refused(
    api: Api, outside: Outside, change: dict[str, Any], pointer: str
) -> None:
    who = await customer(api)
    body = {**await submission(outside, who), **change}
    answer = await api.post("/v1/auth/verify-kyc", json=body, headers=who.headers)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_the_same_submission_again_gets_the_first_answer(api: Api, outside: Outside) -> None:
    who = await customer(api)
    body = await submission(outside, who)
    first = await hand_in(api, who, body)
    again = await api.post("/v1/auth/verify-kyc", json=body, headers=who.headers)
    assert again.json()["onboarding_id"] == first["onboarding_id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    await kyc(api, who, "verified")
    other = await api.post("/v1/auth/verify-kyc", json=await submission(outside, who), headers=who.headers)
    assert (other.status_code, other.json()["code"]) == (409, "kyc_already_verified")


async def test_a_status_read_waits_for_a_change(api: Api, outside: Outside) -> None:
    who = await customer(api)
    await hand_in(api, who, await submission(outside, who))
    path, version, seen = f"/v1/users/{who.user_id}/kyc", 0, {"status": ""}
    for _ in range(20):
        answer = await api.get(path, params={"wait": 20, "since": version}, headers=who.headers)
        seen = answer.json()
        if seen["status"] == "verified":
            break
        assert seen["version"] > version
        version = seen["version"]
    assert seen["status"] == "verified"


async def test_only_a_rejection_is_appealed(api: Api, outside: Outside) -> None:
    who = await verified_customer(api, outside)
    answer = await api.post(
        f"/v1/users/{who.user_id}/kyc/appeal", json={"reason": "why?"}, headers=who.headers
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_appeal")


async def test_flags_are_not_told_to_the_customer(api: Api, outside: Outside) -> None:
    who = await customer(api)
    body = await submission(outside, who, mobile="+919000000001")
    await hand_in(api, who, body)
    seen = await kyc(api, who, "verified")
    assert (seen["steps"][1]["status"], seen["steps"][1]["reason_code"]) == ("passed", None)
    officer = await api.staff("compliance")
    whole = (await api.get(f"/v1/users/{who.user_id}/kyc", headers=officer.headers)).json()
    assert whole["codes"]["identity_verification"] == ["aadhaar_mobile_differs"]
    assert whole["risk_score"] == 25


async def test_a_decision_names_a_case_that_is_there(api: Api) -> None:
    officer = await api.staff("compliance")
    body = {"decision": "approve", "reason": "seen"}
    answer = await api.post("/v1/kyc/reviews/kyc_none/decision", json=body, headers=officer.headers)
    assert answer.status_code == 404
    assert (await api.get("/v1/kyc/reviews", headers=officer.headers)).json()["items"] is not None


async def test_a_complaint_has_a_deadline_and_names_where_else_to_go(api: Api) -> None:
    who = await api.signed_in()
    body = {"subject": "My KYC", "text": "It takes too long.", "about": f"onboarding:{who.user_id}"}
    headers = {**who.headers, "Idempotency-Key": "complaint-1"}
    answer = await api.post("/v1/complaints", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["complaint_id"].startswith("cmp_")
    assert {"scores", "odr"} <= set(made["escalation"])
    again = await api.post("/v1/complaints", json=body, headers=headers)
    assert again.json() == made
