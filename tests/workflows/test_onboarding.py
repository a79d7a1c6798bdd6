"""A customer's KYC on the real server: every way through it, and each timer."""

import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from store import onboarding
from tests.api.conftest import Api, eventually
from tests.journeys.people import (
    PDF,
    Outside,
    customer,
    desk,
    hand_in,
    kyc,
    submission,
    verified_customer,
)
from tests.workflows.officers import case_of, decide, process, reviewed


@pytest.fixture(scope="module")
async def api(engines: EmbeddedEngines) -> AsyncIterator[Api]:
    async with desk(engines.settings) as served:
        yield served


@pytest.fixture
def outside(engines: EmbeddedEngines) -> Outside:
    return Outside(engines.settings.sandbox)


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


async def test_advanced_needs_income_and_a_live_face(api: Api, outside: Outside) -> None:
    who = await customer(api)
    issued = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
    call = base64.b64encode(f"call-{who.user_id}".encode()).decode()
    documents = [
        {"type": "utility_bill", "content_base64": PDF, "issued_on": issued},
        {"type": "salary_slip", "content_base64": PDF, "issued_on": issued},
        {"type": "video_kyc", "content_base64": call},
    ]
    await outside.control("/kyc/face", reference=f"call-{who.user_id}", match=True, live=False)
    body = await submission(outside, who, tier="advanced", documents=documents)
    await hand_in(api, who, body)
    seen = await kyc(api, who, "action_required")
    assert seen["steps"][1]["reason_code"] == "video_call_not_live"
    await outside.control("/kyc/face", reference=f"call-{who.user_id}", match=True, live=True)
    await hand_in(api, who, body, again=True)
    seen = await kyc(api, who, "verified")
    assert (seen["tier"], seen["limits"]["single"]) == ("advanced", None)


async def test_a_tier_is_raised_while_the_lower_one_holds(api: Api, outside: Outside) -> None:
    who = await verified_customer(api, outside)
    await hand_in(api, who, await submission(outside, who, tier="intermediate"), again=True)
    seen = await kyc(api, who, "action_required")
    assert (seen["tier"], seen["limits"]["single"]) == ("basic", 50_000_00)
    async with api.platform.database.transaction() as connection:
        standing = await onboarding.kyc_of(connection, who.user_id)
        name = await onboarding.legal_name(connection, api.platform.vault, who.user_id)
    assert standing is not None
    assert standing.in_force
    assert name == who.full_name


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
