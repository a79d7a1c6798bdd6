"""Step-up, passwords and contacts changed, API keys, tokens and roles, over HTTP."""

import time
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.api.conftest import Api


async def test_the_published_keys_verify_an_access_token(api: Api) -> None:
    person = await api.signed_in()
    keys = KeySet.import_key_set((await api.get("/v1/auth/jwks.json")).json())
    claims = jwt.decode(person.access_token, keys, algorithms=["RS256"]).claims
    assert claims["sub"] == person.user_id
    assert claims["exp"] - claims["iat"] == 900
    assert {"sid", "roles", "tier", "acr", "iss", "aud", "jti"} <= set(claims)
    assert "d" not in (await api.get("/v1/auth/jwks.json")).json()["keys"][0]


async def test_a_forged_or_foreign_token_is_refused(api: Api) -> None:
    person = await api.signed_in()
    head, body, signature = person.access_token.split(".")
    none = f"eyJhbGciOiJub25lIn0.{body}."
    for token in (f"{head}.{body}.{signature[:-8]}AAAAAAAA", none, "x", f"{head}.{body}", ""):
        answer = await api.get("/v1/auth/sessions", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid"), token
    basic = await api.get("/v1/auth/sessions", headers={"Authorization": "Basic eDp5"})
    assert basic.status_code == 401


async def test_step_up_by_phone_and_by_totp_gives_acr_2(api: Api) -> None:
    person = await api.signed_in()
    body = {"email": "new@example.in"}
    refused = await api.post("/v1/auth/contact/change", json=body, headers=person.headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "step_up_required")
    assert refused.json()["methods"] == ["totp", "phone"]
    await api.stepped_up(person)
    none = await api.post("/v1/auth/step-up/challenge", json={"method": "totp"}, headers=person.headers)
    assert none.json()["code"] == "totp_not_enrolled"
    await api.with_totp(person)
    step = {"method": "totp", "code": pyotp.TOTP(person.totp_secret).now()}
    given = await api.post("/v1/auth/step-up", json=step, headers=person.headers)
    assert (given.status_code, given.json()["expires_in"]) == (200, 300)
    claims = api.platform.tokens.read(given.json()["access_token"])
    assert (claims.acr, claims.user_id) == ("2", person.user_id)
    again = await api.post("/v1/auth/step-up", json=step, headers=person.headers)
    assert (again.status_code, again.json()["code"]) == (422, "code_invalid")


async def test_a_contact_changes_only_when_the_new_one_is_proven(api: Api) -> None:
    person, other = await api.signed_in(), await api.signed_in()
    headers = await api.stepped_up(person)
    fresh = f"new.{person.email}"
    assert (
        await api.post("/v1/auth/contact/change", json={"email": fresh}, headers=headers)
    ).status_code == 202
    profile = f"/v1/users/{person.user_id}/profile"
    assert (await api.get(profile, headers=person.headers)).json()["email"] == person.email
    proof = {"channel": "email", "code": await api.code(person.user_id, "email")}
    assert (await api.post("/v1/auth/contact/verify", json=proof, headers=person.headers)).status_code == 200
    assert (await api.get(profile, headers=person.headers)).json()["email"] == fresh
    assert "was changed" in (await api.letters(person.user_id))[-1][1]
    before = len(await api.letters(person.user_id))
    taken = await api.post("/v1/auth/contact/change", json={"email": other.email}, headers=headers)
    assert taken.status_code == 202
    assert len(await api.letters(person.user_id)) == before


async def test_a_forgotten_password_is_reset_by_a_mailed_code_and_ends_every_session(api: Api) -> None:
    person = await api.signed_in()
    for email in (person.email, "nobody-here@example.in"):
        answer = await api.post("/v1/auth/password/forgot", json={"email": email})
        assert (answer.status_code, answer.json()) == (202, {"status": "sent"})
    fresh = "another battery horse 93"
    body = {"email": person.email, "code": "000000", "password": fresh}
    code = await api.code(person.user_id, "email")
    if code != "000000":
        assert (await api.post("/v1/auth/password/reset", json=body)).json()["code"] == "code_invalid"
    assert (await api.post("/v1/auth/password/reset", json=body | {"code": code})).status_code == 200
    assert (await api.post("/v1/auth/password/reset", json=body | {"code": code})).status_code == 422
    assert (await api.get("/v1/auth/sessions", headers=person.headers)).status_code == 401
    assert (await api.sign_in(person)).status_code == 401
    person.password = fresh
    assert (await api.sign_in(person)).status_code == 200


async def test_a_changed_password_ends_the_other_sessions(api: Api) -> None:
    person = await api.signed_in()
    elsewhere = person.headers
    await api.sign_in(person)
    body = {"current_password": "wrong one", "new_password": "another battery horse 93"}
    wrong = await api.post("/v1/auth/password/change", json=body, headers=person.headers)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "password_wrong")
    body["current_password"] = person.password
    assert (await api.post("/v1/auth/password/change", json=body, headers=person.headers)).status_code == 200
    assert (await api.get("/v1/auth/sessions", headers=person.headers)).status_code == 200
    assert (await api.get("/v1/auth/sessions", headers=elsewhere)).status_code == 401


async def test_an_api_key_acts_for_its_owner_until_it_is_ended(api: Api) -> None:
    person, other = await api.signed_in(), await api.signed_in()
    made = await api.post("/v1/auth/api-keys", json={"name": "laptop"}, headers=person.headers)
    assert made.status_code == 201
    key = {"X-API-Key": made.json()["key"]}
    profile = f"/v1/users/{person.user_id}/profile"
    assert (await api.get(profile, headers=key)).status_code == 200
    listed = (await api.get("/v1/auth/api-keys", headers=person.headers)).json()["items"]
    assert [(item["name"], "key" in item) for item in listed] == [("laptop", False)]
    more = await api.post("/v1/auth/api-keys", json={"name": "more"}, headers=key)
    assert (more.status_code, more.json()["code"]) == (403, "session_required")
    path = f"/v1/auth/api-keys/{made.json()['api_key_id']}"
    assert (await api.delete(path, headers=other.headers)).status_code == 404
    assert (await api.delete(path, headers=person.headers)).status_code == 204
    assert (await api.get(profile, headers=key)).json()["code"] == "api_key_invalid"


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
async def test_an_expiry_that_could_not_be_read_back_is_refused(api: Api, when: str) -> None:
    person = await api.signed_in()
    body = {"name": "laptop", "expires_at": when}
    made = await api.post("/v1/auth/api-keys", json=body, headers=person.headers)
    assert (made.status_code, made.json()["errors"][0]["pointer"]) == (422, "/expires_at")
    assert (await api.get("/v1/auth/api-keys", headers=person.headers)).json()["items"] == []


async def test_roles_are_granted_and_ended_by_an_administrator_only(api: Api) -> None:
    admin, person = await api.staff("admin"), await api.signed_in()
    grant = {"user_id": person.user_id, "role": "finance"}
    assert (await api.post("/v1/staff/roles", json=grant)).status_code == 401
    assert (await api.post("/v1/staff/roles", json=grant, headers=person.headers)).status_code == 403
    assert (await api.post("/v1/staff/roles", json=grant, headers=admin.headers)).status_code == 201
    own = await api.post("/v1/staff/roles", json=grant | {"user_id": admin.user_id}, headers=admin.headers)
    assert (own.status_code, own.json()["code"]) == (403, "own_roles")
    held = (await api.get("/v1/staff/roles", headers=admin.headers)).json()["items"]
    assert (person.user_id, "finance") in {(item["user_id"], item["role"]) for item in held}
    assert (await api.delete("/v1/staff/roles", params=grant, headers=admin.headers)).status_code == 204
    assert (await api.delete("/v1/staff/roles", params=grant, headers=admin.headers)).status_code == 404
    unknown = await api.post("/v1/staff/roles", json=grant | {"user_id": "usr_none"}, headers=admin.headers)
    assert unknown.status_code == 404


async def test_a_role_counts_from_the_next_request_and_no_longer_than_it_lasts(api: Api) -> None:
    admin, person = await api.staff("admin"), await api.signed_in()
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    grant = {"user_id": person.user_id, "role": "admin", "expires_at": until}
    assert (await api.get("/v1/staff/roles", headers=person.headers)).status_code == 403
    await api.post("/v1/staff/roles", json=grant, headers=admin.headers)
    assert (await api.get("/v1/staff/roles", headers=person.headers)).status_code == 200
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    await api.post("/v1/staff/roles", json=grant | {"expires_at": past}, headers=admin.headers)
    assert (await api.get("/v1/staff/roles", headers=person.headers)).status_code == 403


async def test_an_access_token_is_refused_once_it_has_expired(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await api.signed_in()
    late = time.time() + 901
    monkeypatch.setattr(time, "time", lambda: late)
    assert (await api.get("/v1/auth/sessions", headers=person.headers)).json()["code"] == "token_invalid"
