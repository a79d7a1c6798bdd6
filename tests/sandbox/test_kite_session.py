"""Sign-in at the sandbox's broker: checksum, single use, expiry at 06:00 IST, renewal, the login page."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import InputException, TokenException

from tests.sandbox.kite_user import KiteUser


def fresh(kite: KiteUser) -> KiteConnect:
    """A client that is not signed in."""
    keys = kite.sandbox.credentials["kite"]
    return KiteConnect(keys["api_key"], root=f"{kite.sandbox.base_url}/kite")


def test_profile_and_session_name_the_customer(kite: KiteUser) -> None:
    assert kite.client.profile()["user_name"] == "Asha Rao"
    assert (kite.session["user_id"], kite.session["api_key"]) == ("AB1234", kite.client.api_key)


def test_a_wrong_secret_is_refused_in_kites_words(kite: KiteUser) -> None:
    with pytest.raises(TokenException, match=r"Invalid `checksum`\.") as refused:
        fresh(kite).generate_session(kite.request_token(), "not the secret")
    assert refused.value.code == 403


def test_a_request_token_works_once(kite: KiteUser) -> None:
    token, secret = kite.request_token(), kite.sandbox.credentials["kite"]["api_secret"]
    fresh(kite).generate_session(token, secret)
    with pytest.raises(TokenException, match="invalid or has expired"):
        fresh(kite).generate_session(token, secret)


def test_a_request_token_is_short_lived(kite: KiteUser) -> None:
    token = kite.request_token()
    kite.sandbox.control("POST", "/clock", {"now": "2026-11-23T10:06:00+05:30", "run": True})
    with pytest.raises(TokenException):
        fresh(kite).generate_session(token, kite.sandbox.credentials["kite"]["api_secret"])


@pytest.mark.parametrize(("now", "lives"), [("2026-11-24T05:59:00", True), ("2026-11-24T06:00:00", False)])
def test_a_session_dies_at_six_the_next_morning(kite: KiteUser, now: str, lives: bool) -> None:
    kite.sandbox.control("POST", "/clock", {"now": f"{now}+05:30", "run": True})
    if lives:
        assert kite.client.profile()["user_id"] == "AB1234"
    else:
        with pytest.raises(TokenException):
            kite.client.profile()


def test_a_new_login_ends_the_earlier_session(kite: KiteUser) -> None:
    earlier = kite.client
    assert kite.login().profile()["user_id"] == "AB1234"
    with pytest.raises(TokenException):
        earlier.profile()


def test_renew_and_invalidate(kite: KiteUser) -> None:
    secret = kite.sandbox.credentials["kite"]["api_secret"]
    renewed = kite.client.renew_access_token(kite.session["refresh_token"], secret)
    assert kite.client.profile()["user_id"] == "AB1234"
    with pytest.raises(TokenException):
        fresh(kite).renew_access_token(kite.session["refresh_token"], secret)
    assert kite.client.invalidate_refresh_token(renewed["refresh_token"]) is True
    with pytest.raises(TokenException):
        fresh(kite).renew_access_token(renewed["refresh_token"], secret)
    assert kite.client.invalidate_access_token() is True
    with pytest.raises(TokenException):
        kite.client.profile()


@pytest.mark.parametrize("header", [None, "Bearer x", "token nokey", "token wrong:pair"])
def test_the_authorization_header_is_checked(kite: KiteUser, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    answer = kite.sandbox.http.get("/kite/user/profile", headers=headers)
    assert (answer.status_code, answer.json()["error_type"]) == (403, "TokenException")


def test_a_planted_expiry_hits_the_next_call_and_the_hook(kite: KiteUser) -> None:
    told: list[bool] = []
    kite.client.set_session_expiry_hook(lambda: told.append(True))
    fault = {"target": "kite", "match": "/orders", "fault": "expired_token", "times": 1}
    kite.sandbox.control("POST", "/faults", fault)
    with pytest.raises(TokenException):
        kite.place()
    assert told == [True]
    assert kite.client.orders() == []


def test_the_login_page_sends_the_browser_back(kite: KiteUser) -> None:
    url = "https://app.example/cb?x=1"
    kite.sandbox.control("POST", "/kite/app", {"redirect_url": url})
    query = {"v": "3", "api_key": kite.client.api_key, "redirect_params": "state=abc"}
    page = kite.sandbox.http.get("/kite/connect/login", params=query)
    assert page.status_code == 200
    assert 'name="user_id"' in page.text
    answer = kite.sandbox.http.post("/kite/connect/login", params=query, data={"user_id": "zz9999"})
    assert answer.status_code == 302
    target = urlsplit(answer.headers["location"])
    back = {name: values[0] for name, values in parse_qs(target.query).items()}
    token = back.pop("request_token")
    assert (target.netloc, target.path) == ("app.example", "/cb")
    assert back == {"x": "1", "state": "abc", "action": "login", "type": "login", "status": "success"}
    session = fresh(kite).generate_session(token, kite.sandbox.credentials["kite"]["api_secret"])
    assert session["user_id"] == "ZZ9999"


def test_an_unknown_app_gets_no_token(kite: KiteUser) -> None:
    answer = kite.sandbox.http.get("/kite/connect/login", params={"api_key": "unknown"})
    assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")
    with pytest.raises(InputException):
        kite.client.place_order("regular", "", "", "", "", "", "")


def test_each_call_is_judged_by_its_own_time(kite: KiteUser) -> None:
    at_night = {"X-Sandbox-Now": "2026-11-23T21:00:00+05:30"}
    headers = {"Authorization": f"token {kite.client.api_key}:{kite.client.access_token}"}
    form = {
        "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": "1",
        "product": "CNC",
        "order_type": "LIMIT", "price": "1500",
    }  # fmt: skip
    closed = kite.sandbox.http.post("/kite/orders/regular", data=form, headers={**headers, **at_night})
    assert closed.json()["error_type"] == "OrderException"
    opened: httpx.Response = kite.sandbox.http.post("/kite/orders/regular", data=form, headers=headers)
    assert opened.json()["status"] == "success"
