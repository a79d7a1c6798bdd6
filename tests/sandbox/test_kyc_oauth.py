"""The two OAuth providers of the sandbox: DigiLocker and the OpenID provider."""

import base64
import hashlib
import hmac
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet
from lxml import etree

from domain.errors import Rejected, Unknown
from providers.digilocker import HttpDigiLocker
from tests.sandbox.conftest import Sandbox

VERIFIER = "a" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "http://127.0.0.1:8000/back?to=app"
TEN_MINUTES_LATER = {"X-Sandbox-Now": "2026-11-23T06:10:00Z"}
MOMENT = datetime(2026, 11, 23, 6, 0, 0, tzinfo=UTC)
START = {"X-Sandbox-Now": "2026-11-23T06:00:00Z"}


def answer_of(location: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}


# DigiLocker


def open_consent(sandbox: Sandbox, state: str = "s-1", **other: str) -> httpx.Response:
    asked = {
        "response_type": "code",
        "client_id": sandbox.control("GET", "/kyc/digilocker/client")["client_id"],
        "redirect_uri": BACK,
        "state": state,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return sandbox.http.get("/kyc/digilocker/authorize", params=asked | other, headers=START)


def consent(sandbox: Sandbox, state: str = "s-1", at: dict[str, str] = START, **other: Any) -> httpx.Response:
    person = {"state": state, "full_name": "Asha Rao", "date_of_birth": "1990-01-02", "gender": "F"}
    headers = {"X-Sandbox-Control": "1"} | at
    body = person | {"pan": "ABCPR1234F"} | other
    return sandbox.http.post("/_control/kyc/digilocker/consent", json=body, headers=headers)


def locker_token(sandbox: Sandbox, code: str, at: dict[str, str] = START, **other: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    form |= sandbox.control("GET", "/kyc/digilocker/client")
    return sandbox.http.post("/kyc/digilocker/token", data=form | other, headers=at)


def test_a_citizen_consents_and_the_files_are_read(clean: Sandbox) -> None:
    assert open_consent(clean).status_code == 200
    back = consent(clean).json()
    assert answer_of(back["redirect_to"]) == {"to": "app", "code": back["code"], "state": "s-1"}
    token = locker_token(clean, back["code"]).json()
    assert (token["name"], token["dob"], token["expires_in"]) == ("Asha Rao", "02011990", 3600)
    bearer = {"Authorization": f"Bearer {token['access_token']}"} | START
    issued = clean.http.get("/kyc/digilocker/files/issued", headers=bearer).json()["items"]
    assert [item["doctype"] for item in issued] == ["ADHAR", "PANCR"]
    file = clean.http.get(f"/kyc/digilocker/file/{issued[1]['uri']}", headers=bearer)
    secret = clean.control("GET", "/kyc/digilocker/client")["client_secret"]
    seal = hmac.new(secret.encode(), file.content, hashlib.sha256).digest()
    assert base64.b64decode(file.headers["hmac"]) == seal
    root = etree.fromstring(file.content)
    assert root.get("number") == "ABCPR1234F"
    assert clean.http.get("/kyc/digilocker/file/another", headers=bearer).status_code == 404


def test_a_consent_link_lives_ten_minutes(clean: Sandbox) -> None:
    open_consent(clean)
    assert consent(clean, at=TEN_MINUTES_LATER).status_code == 410
    open_consent(clean)  # opened again: it is still the same link
    assert consent(clean, at=TEN_MINUTES_LATER).status_code == 410


def test_a_code_is_used_once_and_within_ten_minutes(clean: Sandbox) -> None:
    open_consent(clean)
    code = consent(clean).json()["code"]
    assert locker_token(clean, code, at=TEN_MINUTES_LATER).json()["error"] == "invalid_grant"
    assert locker_token(clean, code, code_verifier="b" * 43).json()["error"] == "invalid_grant"
    assert locker_token(clean, code, client_secret="no").status_code == 401
    assert locker_token(clean, code).status_code == 200
    assert locker_token(clean, code).json()["error"] == "invalid_grant"


def test_a_citizen_may_refuse(clean: Sandbox) -> None:
    open_consent(clean)
    assert answer_of(consent(clean, allow=False).json()["redirect_to"])["error"] == "access_denied"


@pytest.mark.parametrize(
    "wrong", [{"client_id": "x"}, {"code_challenge_method": "plain"}, {"response_type": "token"}]
)
def test_a_wrong_consent_request_opens_nothing(clean: Sandbox, wrong: dict[str, str]) -> None:
    assert open_consent(clean, **wrong).status_code in (400, 401)
    assert consent(clean).status_code == 404


def test_a_locker_without_a_token_is_shut(clean: Sandbox) -> None:
    for path in ("files/issued", "file/x"):
        assert clean.http.get(f"/kyc/digilocker/{path}").status_code == 401


def digilocker(sandbox: Sandbox, http: httpx.AsyncClient) -> HttpDigiLocker:
    own = sandbox.control("GET", "/kyc/digilocker/client")
    return HttpDigiLocker(
        http, f"{sandbox.base_url}/kyc/digilocker", **own, redirect_uri=BACK, timeout_seconds=0.3
    )


async def test_the_platforms_client_walks_the_whole_way(clean: Sandbox) -> None:
    async with httpx.AsyncClient() as http:
        locker = digilocker(clean, http)
        assert clean.http.get(locker.consent_link("s-2", VERIFIER), headers=START).status_code == 200
        code = consent(clean, state="s-2").json()["code"]
        grant = await locker.redeem(code, VERIFIER, as_of=MOMENT)
        assert (grant.name, grant.date_of_birth) == ("Asha Rao", date(1990, 1, 2))
        files = await locker.issued_files(grant.access_token, as_of=MOMENT)
        assert [file.doctype for file in files] == ["ADHAR", "PANCR"]
        content = await locker.read_file(grant.access_token, files[0].uri, as_of=MOMENT)
        assert etree.fromstring(content).tag == "Certificate"
        with pytest.raises(Rejected) as caught:
            await locker.redeem(code, VERIFIER, as_of=MOMENT)
        assert (caught.value.code, caught.value.detail) == ("digilocker_refused", "invalid_grant")


async def test_a_code_whose_answer_was_lost_is_unknown_and_not_sent_again(clean: Sandbox) -> None:
    open_consent(clean)
    code = consent(clean).json()["code"]
    clean.control(
        "POST", "/faults", {"target": "kyc", "match": "token", "fault": "timeout_after", "times": 1}
    )
    async with httpx.AsyncClient() as http:
        with pytest.raises(Unknown, match="digilocker_unknown"):
            await digilocker(clean, http).redeem(code, VERIFIER, as_of=MOMENT)
    assert len(clean.effects("kyc")) == 1


async def test_a_file_with_a_wrong_seal_is_refused(clean: Sandbox) -> None:
    open_consent(clean)
    async with httpx.AsyncClient() as http:
        locker = digilocker(clean, http)
        grant = await locker.redeem(consent(clean).json()["code"], VERIFIER, as_of=MOMENT)
        [file, _] = await locker.issued_files(grant.access_token, as_of=MOMENT)
        own = clean.control("GET", "/kyc/digilocker/client") | {"client_secret": "another"}
        base = f"{clean.base_url}/kyc/digilocker"
        stranger = HttpDigiLocker(http, base, **own, redirect_uri=BACK)
        with pytest.raises(Rejected, match="digilocker_seal_wrong"):
            await stranger.read_file(grant.access_token, file.uri, as_of=MOMENT)


# OpenID


def discover(sandbox: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.http.get("/oidc/.well-known/openid-configuration").json()
    return found


def sign_in(sandbox: Sandbox, method: str = "GET", **other: str) -> httpx.Response:
    asked = {
        "response_type": "code",
        "client_id": "treum",
        "redirect_uri": BACK,
        "scope": "openid email profile",
        "state": "s-1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | other
    url = discover(sandbox)["authorization_endpoint"]
    return sandbox.http.get(url, params=asked) if method == "GET" else sandbox.http.post(url, data=asked)


def exchange(sandbox: Sandbox, code: str, basic: bool = True, **other: str) -> httpx.Response:
    own = sandbox.control("GET", "/oidc/client")
    pair = (own["client_id"], own["client_secret"])
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    if not basic:
        form |= {"client_id": pair[0], "client_secret": pair[1]}
    url = discover(sandbox)["token_endpoint"]
    proof = httpx.BasicAuth(*pair) if basic else httpx.Auth()
    return sandbox.http.post(url, data=form | other, auth=proof)


@pytest.mark.parametrize("basic", [True, False])
def test_the_code_flow_gives_an_id_token_that_the_published_keys_verify(clean: Sandbox, basic: bool) -> None:
    sub = clean.control("POST", "/oidc/user", {"email": "asha@example.in", "name": "Asha Rao"})["sub"]
    back = sign_in(clean, login_hint="asha@example.in")
    assert back.status_code == 302
    answer = answer_of(back.headers["location"])
    found = discover(clean)
    assert (answer["state"], answer["to"], answer["iss"]) == ("s-1", "app", found["issuer"])
    tokens = exchange(clean, answer["code"], basic).json()
    keys = KeySet.import_key_set(clean.http.get(found["jwks_uri"]).json())
    assert "d" not in clean.http.get(found["jwks_uri"]).json()["keys"][0]
    told = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
    assert (told["iss"], told["aud"], told["nonce"]) == (found["issuer"], "treum", "n-1")
    assert (told["sub"], told["email"], told["email_verified"]) == (sub, "asha@example.in", True)
    assert told["exp"] > told["iat"]
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert told["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert clean.http.get(found["userinfo_endpoint"], headers=bearer).json()["name"] == "Asha Rao"
    head, body, mark = tokens["id_token"].split(".")
    with pytest.raises(BadSignatureError):
        jwt.decode(f"{head}.{body}.{'A' * 8}{mark[8:]}", keys, algorithms=["RS256"])


def test_the_sign_in_page_signs_in_and_the_same_mail_is_the_same_person(clean: Sandbox) -> None:
    page = sign_in(clean, state='"><script>')
    assert page.status_code == 200
    assert "<script>" not in page.text
    subs = []
    for _ in range(2):
        answer = answer_of(sign_in(clean, "POST", email="b@example.in").headers["location"])
        tokens = exchange(clean, answer["code"]).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        subs.append(clean.http.post("/oidc/userinfo", headers=bearer).json()["sub"])
    assert subs[0] == subs[1]


def test_a_code_used_twice_voids_what_it_gave(clean: Sandbox) -> None:
    code = answer_of(sign_in(clean, login_hint="a@example.in").headers["location"])["code"]
    bearer = {"Authorization": f"Bearer {exchange(clean, code).json()['access_token']}"}
    assert clean.http.get("/oidc/userinfo", headers=bearer).status_code == 200
    assert exchange(clean, code).json()["error"] == "invalid_grant"
    assert clean.http.get("/oidc/userinfo", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"code_verifier": "b" * 43}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:8000/other"}, "invalid_grant"),
        ({"code": "x"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_wrong_exchange_is_refused(clean: Sandbox, wrong: dict[str, str], error: str) -> None:
    code = answer_of(sign_in(clean, login_hint="a@example.in").headers["location"])["code"]
    answer = exchange(clean, wrong.get("code", code), True, **{k: v for k, v in wrong.items() if k != "code"})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_client_that_cannot_prove_itself_gets_nothing(clean: Sandbox) -> None:
    code = answer_of(sign_in(clean, login_hint="a@example.in").headers["location"])["code"]
    answer = exchange(clean, code, basic=False, client_secret="no")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_a_wrong_sign_in_is_told_by_redirect(clean: Sandbox, wrong: dict[str, str], error: str) -> None:
    answer = answer_of(sign_in(clean, **wrong).headers["location"])
    assert (answer["error"], answer["state"]) == (error, "s-1")


@pytest.mark.parametrize("wrong", [{"client_id": "x"}, {"redirect_uri": "javascript:alert(1)"}])
def test_nothing_is_told_to_an_address_that_nobody_vouches_for(clean: Sandbox, wrong: dict[str, str]) -> None:
    answer = sign_in(clean, **wrong)
    assert answer.status_code == 400
    assert "location" not in answer.headers
