"""Profile, preferences, family and consents: their owner's, checked, and nobody else's."""

import pytest

from api.identity.gstin import checked_gstin
from tests.api.conftest import Api


async def test_billing_is_kept_with_its_state_code_and_a_checked_gstin(api: Api) -> None:
    person = await api.signed_in()
    path = f"/v1/users/{person.user_id}/profile"
    billing = {"name": "Verma Traders", "state": "Maharashtra", "gstin": "27aapfu0939f1zv"}
    put = await api.put(path, json={"billing": billing}, headers=person.headers)
    assert put.status_code == 200
    kept = (await api.get(path, headers=person.headers)).json()
    assert kept["billing"] == {"name": "Verma Traders", "state": "MH", "gstin": "27AAPFU0939F1ZV"}
    assert kept["full_name"] == "Asha Verma"
    assert kept["version"] == 2


@pytest.mark.parametrize(
    ("billing", "code"),
    [
        ({"name": "A", "state": "Atlantis"}, "state_unknown"),
        ({"name": "A", "state": "MH", "gstin": "27AAPFU0939F1ZO"}, "gstin_invalid"),
        ({"name": "A", "state": "KA", "gstin": "27AAPFU0939F1ZV"}, "gstin_state_mismatch"),
        ({"name": "A"}, "missing"),
        ({"name": "A", "state": "MH", "pan": "X"}, "extra_forbidden"),
    ],
)
async def test_billing_that_cannot_stand_on_an_invoice_is_refused(api: Api, billing: dict, code: str) -> None:
    person = await api.signed_in()
    answer = await api.put(
        f"/v1/users/{person.user_id}/profile", json={"billing": billing}, headers=person.headers
    )
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json()["errors"]] == [code]


def test_a_gstin_of_ladakh_is_checked_like_any_other() -> None:
    assert checked_gstin("38AAPFU0939F1ZS") == "38AAPFU0939F1ZS"
    assert checked_gstin("38AAPFU0939F1ZV") is None
    assert checked_gstin("38") is None


@pytest.mark.parametrize("part", ["profile", "preferences", "family", "consents"])
async def test_what_is_someone_elses_is_not_found(api: Api, part: str) -> None:
    person, other = await api.signed_in(), await api.signed_in()
    path = f"/v1/users/{person.user_id}/{part}"
    assert (await api.get(path)).status_code == 401
    assert (await api.get(path, headers=other.headers)).status_code == 404
    unknown = await api.get(f"/v1/users/usr_none/{part}", headers=other.headers)
    assert unknown.status_code == 404
    support = await api.staff("support")
    assert (await api.get(path, headers=support.headers)).status_code == 200
    analyst = await api.staff("analyst")
    assert (await api.get(path, headers=analyst.headers)).status_code == 404


async def test_preferences_and_family_are_kept(api: Api) -> None:
    person = await api.signed_in()
    base = f"/v1/users/{person.user_id}"
    changed = await api.put(f"{base}/preferences", json={"language": "hi"}, headers=person.headers)
    assert changed.json()["language"] == "hi"
    again = (await api.get(f"{base}/preferences", headers=person.headers)).json()
    assert (again["language"], again["marketing"]) == ("hi", False)
    members = [{"name": "Ravi", "relation": "spouse", "date_of_birth": "1990-01-31"}]
    assert (
        await api.put(f"{base}/family", json={"members": members}, headers=person.headers)
    ).status_code == 200
    kept = (await api.get(f"{base}/family", headers=person.headers)).json()["members"]
    assert [(member["name"], member["relation"]) for member in kept] == [("Ravi", "spouse")]


async def test_a_consent_is_recorded_in_its_version_once_and_withdrawn(api: Api) -> None:
    person = await api.signed_in()
    path = f"/v1/users/{person.user_id}/consents"
    body = {"purpose": "research_services", "document": "mitc", "version": "current"}
    first = await api.post(path, json=body, headers=person.headers)
    assert first.status_code == 201
    assert first.json()["version"] != "current"
    again = await api.post(path, json=body, headers=person.headers)
    assert again.json()["consent_id"] == first.json()["consent_id"]
    gone = await api.request("DELETE", path, json=body, headers=person.headers)
    assert [item["consent_id"] for item in gone.json()["items"]] == [first.json()["consent_id"]]
    listed = (await api.get(path, headers=person.headers)).json()["items"]
    assert [item["withdrawn_at"] is None for item in listed] == [False]
    await api.post(path, json=body, headers=person.headers)
    by_query = await api.delete(path, params={"purpose": "research_services"}, headers=person.headers)
    assert len(by_query.json()["items"]) == 1


async def test_consents_are_listed_by_pages(api: Api) -> None:
    person = await api.signed_in()
    path = f"/v1/users/{person.user_id}/consents"
    for number in range(3):
        body = {"purpose": "marketing", "document": f"letter-{number}", "version": "1"}
        assert (await api.post(path, json=body, headers=person.headers)).status_code == 201
    first = (await api.get(path, params={"limit": 2}, headers=person.headers)).json()
    rest = (
        await api.get(path, params={"limit": 2, "cursor": first["next_cursor"]}, headers=person.headers)
    ).json()
    names = [item["document"] for item in first["items"] + rest["items"]]
    assert names == ["letter-2", "letter-1", "letter-0"]
    assert rest["next_cursor"] is None


async def test_a_consent_to_another_document_or_for_another_person_is_refused(api: Api) -> None:
    person, support = await api.signed_in(), await api.staff("support")
    path = f"/v1/users/{person.user_id}/consents"
    wrong = {"purpose": "research_services", "document": "terms", "version": "current"}
    assert (await api.post(path, json=wrong, headers=person.headers)).status_code == 422
    old = {"purpose": "research_services", "document": "mitc", "version": "1999"}
    assert (await api.post(path, json=old, headers=person.headers)).status_code == 422
    right = old | {"version": "current"}
    assert (await api.post(path, json=right, headers=support.headers)).status_code == 403
