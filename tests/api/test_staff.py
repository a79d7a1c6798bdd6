"""What staff do: find a caller, see what waits for them, act under their own name, and leave a trail."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from store import audit
from tests.api.conftest import Api, eventually
from tests.api.house import House, house


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, api: Api) -> AsyncIterator[House]:
    async with house(engines, api) as opened:
        await opened.furnish()
        yield opened


async def search(place: House, text: str) -> dict[str, Any]:
    answer = await place.api.get(
        "/v1/staff/search", params={"q": text}, headers=place.staff["support"].headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def trail(place: House, subject: str) -> list[dict[str, Any]]:
    answer = await place.api.get(
        "/v1/audit", params={"subject": subject}, headers=place.staff["compliance"].headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_a_caller_is_found_by_mail_phone_and_whatever_number_they_quote(place: House) -> None:
    invoices = await place.call("GET", "/billing/invoices", place.owner)
    payment = await place.call("GET", f"/payments/{place.ids['payment_id']}/status", place.owner)
    quotes = {
        place.owner.email: "email",
        f" {place.owner.email.upper()} ": "email",
        place.owner.phone: "phone",
        place.owner.phone.removeprefix("+91"): "phone",
        place.owner.user_id: "person",
        invoices["items"][0]["number"]: "number",
        payment["gateway_order_id"]: "number",
        place.ids["payment_id"]: "number",
        place.ids["order_id"]: "number",
        place.ids["refund_id"]: "number",
    }
    for text, by in quotes.items():
        found = await search(place, text)
        assert found["by"] == by
        assert [person["user_id"] for person in found["people"]] == [place.owner.user_id], text
        assert place.owner.email not in str(found["people"])
        assert found["objects"], text


async def test_a_persons_runs_come_with_links_and_objects(place: House) -> None:
    async def read() -> dict[str, Any]:
        return await search(place, place.owner.user_id)

    wanted = f"payment:{place.ids['payment_id']}"
    found = await eventually(read, lambda seen: wanted in {run["workflow_id"] for run in seen["runs"]})
    runs = {run["workflow_id"]: run for run in found["runs"]}
    assert (
        f":{place.api.platform.settings.codec_port}/namespaces/treum/workflows/payment%3A"
        in (runs[wanted]["link"])
    )
    assert runs[wanted]["customer"] == place.owner.user_id
    kinds = {each["kind"] for each in found["objects"]}
    assert kinds >= {"payment", "invoice", "refund", "subscription", "enrollment", "order", "broker_account"}


@pytest.mark.parametrize(
    "text", ["nobody@example.in", "+919000000001", "TRM/26-27/999999", "' OR 1=1 --", "o''x"]
)
async def test_who_is_not_there_is_not_found(place: House, text: str) -> None:
    found = await search(place, text)
    assert (found["people"], found["runs"], found["objects"]) == ([], [], [])


async def test_a_search_is_recorded_without_what_was_typed(place: House) -> None:
    await search(place, place.owner.email)
    entries = await trail(place, place.owner.user_id)
    entry = next(item for item in entries if item["action"] == "staff.searched")
    assert entry["actor"] == place.staff["support"].user_id
    assert entry["detail"]["by"] == "email"
    assert place.owner.email not in str(entries)


async def test_what_waits_for_a_person_is_listed_with_what_the_caller_may_do(place: House) -> None:
    run = f"refund:{place.ids['refund_id']}"

    async def read() -> list[dict[str, Any]]:
        seen = await place.call("GET", "/staff/attention?limit=200", place.staff["finance"])
        return [item for item in seen["items"] if item["workflow_id"] == run]

    waiting = await eventually(read, bool)
    assert waiting[0]["needs_attention"] is True
    assert waiting[0]["age_seconds"] >= 0
    assert waiting[0]["actions"] == ["approve", "reject", "paid_out"]
    for_support = await place.call("GET", "/staff/attention?limit=200", place.staff["support"])
    assert [item["actions"] for item in for_support["items"] if item["workflow_id"] == run] == [[]]


async def test_a_complaint_is_resolved_under_the_name_of_who_asked(place: House) -> None:
    asked = {"subject": "Refund", "text": "Where is it?"}
    complaint = await place.call("POST", "/complaints", place.stranger, asked)
    run = f"complaint:{complaint['complaint_id']}"
    path = f"/staff/runs/{run}/actions/resolve"
    for role, status in (("finance", 403), ("analyst", 403)):
        answer = await place.api.post(f"/v1{path}", json={"note": "x"}, headers=place.staff[role].headers)
        assert answer.status_code == status
    bare = await place.api.post(f"/v1{path}", json={}, headers=place.staff["support"].headers)
    assert (bare.status_code, bare.json()["errors"][0]["pointer"]) == (422, "/note")
    done = await place.call("POST", path, place.staff["support"], {"note": "Sent today."})
    assert done["status"] == "resolved"
    again = await place.api.post(f"/v1{path}", json={"note": "x"}, headers=place.staff["support"].headers)
    assert again.status_code == 409
    assert again.json()["code"] in ("already_resolved", "process_closed")
    entries = [each for each in await trail(place, run) if each["action"] == "run.resolve"]
    assert entries[-1]["actor"] == place.staff["support"].user_id
    assert entries[-1]["run"] == run
    assert place.stranger.user_id in entries[-1]["subjects"]
    # The trail itself holds no word of it: who may read it reads the note beside.
    assert "Sent today" not in str([each["detail"] for each in entries])
    assert entries[-1]["note"] == "Sent today."


async def test_what_staff_command_by_other_calls_stands_in_the_trail_too(place: House) -> None:
    finance, refund = place.staff["finance"], place.ids["refund_id"]
    await place.call("POST", f"/finance/refunds/{refund}/approve", finance, {"reason": "granted"})
    for subject in (f"refund:{refund}", place.owner.user_id, place.ids["payment_id"]):
        entries = await trail(place, subject)
        assert (finance.user_id, "run.approve") in {(each["actor"], each["action"]) for each in entries}
    support = place.staff["support"].user_id
    asked = [each for each in await trail(place, place.ids["payment_id"]) if each["actor"] == support]
    assert [each["action"] for each in asked] == ["run.request"]
    assert await trail(place, f"payment:{place.ids['payment_id']}") == [], "customers' commands are not in it"


async def test_no_run_no_action_and_ones_own_case_are_refused(place: House) -> None:
    support = place.staff["support"]
    for run, name in (("complaint:cmp_none", "resolve"), ("payment:x", "resolve"), ("nonsense", "resolve")):
        answer = await place.api.post(
            f"/v1/staff/runs/{run}/actions/{name}", json={"note": "x"}, headers=support.headers
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), run
    own = await place.call("POST", "/complaints", support, {"subject": "Mine", "text": "My own."})
    answer = await place.api.post(
        f"/v1/staff/runs/complaint:{own['complaint_id']}/actions/resolve",
        json={"note": "x"},
        headers=support.headers,
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "own_case")


async def test_a_role_that_is_granted_and_ended_stands_in_the_trail(place: House) -> None:
    admin, person = place.staff["admin"], await place.api.signed_in()
    await place.call("POST", "/staff/roles", admin, {"user_id": person.user_id, "role": "support"})
    ended = await place.api.delete(
        "/v1/staff/roles", params={"user_id": person.user_id, "role": "support"}, headers=admin.headers
    )
    assert ended.status_code == 204
    entries = await trail(place, person.user_id)
    assert [(each["action"], each["actor"]) for each in entries[:2]] == [
        ("role.ended", admin.user_id),
        ("role.granted", admin.user_id),
    ]
    async with place.api.platform.database.reading() as connection:
        assert await audit.broken_at(connection) is None


@pytest.mark.parametrize("cursor", ["AAAA", "MCAw", "%00", "x" * 400])
async def test_a_cursor_that_nobody_gave_is_refused_not_called_an_outage(place: House, cursor: str) -> None:
    asked = f"/v1/staff/attention?cursor={cursor}"
    refused = await place.api.get(asked, headers=place.staff["support"].headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


async def test_what_waits_is_read_page_by_page(place: House) -> None:
    filed = []
    for _ in range(3):
        asked = {"subject": "Refund", "text": "Where is it?"}
        complaint = await place.call("POST", "/complaints", place.stranger, asked)
        filed.append(f"complaint:{complaint['complaint_id']}")
    client = place.api.platform.client
    for run in filed:  # nobody has answered in time
        await TimeSkipper(client).fast_forward(client.get_workflow_handle(run), timedelta(days=30))
    staff = place.staff["support"]

    async def read(limit: int = 100) -> list[str]:
        seen, cursor = [], ""
        while cursor is not None:
            path = f"/staff/attention?limit={limit}{cursor and f'&cursor={cursor}'}"
            page = await place.call("GET", path, staff)
            seen += [run["workflow_id"] for run in page["items"]]
            cursor = page["next_cursor"]
        return seen

    await eventually(read, lambda runs: set(filed) <= set(runs))
    seen = await read(limit=2)
    assert set(filed) <= set(seen)
    assert len(seen) == len(set(seen))
