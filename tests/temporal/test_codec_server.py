"""The door before the Temporal UI and the codec: staff only, looking only."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from cli.embedded import EmbeddedEngines
from models.contracts.sealing import KeyRing
from temporal.codec import EncryptionCodec
from temporal.codec_server import MAX_DECODE_BYTES, MAX_FORM_BYTES, Proxy
from temporal.staff import COOKIE
from tests.api.conftest import Api, Person


@pytest.fixture
async def door(engines: EmbeddedEngines, api: Api) -> AsyncIterator[httpx.AsyncClient]:
    proxy = Proxy(engines.settings, httpx.ASGITransport(api.app, client=("127.0.0.1", 50001)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(proxy.app()), base_url="http://ui.test"
    ) as client:
        yield client


@pytest.fixture(scope="module")
async def support(api: Api) -> Person:
    return await api.staff("support")


@pytest.fixture
async def sealed(engines: EmbeddedEngines) -> str:
    """A payload of the platform's, as the UI would send it to be opened."""
    ring = KeyRing(engines.settings.ring(engines.settings.codec_keys))
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"an amount"')
    return json_format.MessageToJson(Payloads(payloads=await EncryptionCodec(ring).encode([plain])))


async def signed_in(door: httpx.AsyncClient, person: Person) -> httpx.Response:
    return await door.post("/sign-in", data={"email": person.email, "password": person.password})


async def test_nobody_decodes_without_signing_in(door: httpx.AsyncClient, sealed: str) -> None:
    assert (await door.post("/codec/decode", content=sealed)).status_code == 401
    forged = await door.post("/codec/decode", content=sealed, headers={"Authorization": "Bearer not.a.token"})
    assert forged.status_code == 401


async def test_a_customer_is_not_let_in(door: httpx.AsyncClient, api: Api, sealed: str) -> None:
    customer = await api.signed_in()
    assert (await signed_in(door, customer)).status_code == 401
    asked = await door.post("/codec/decode", content=sealed, headers=customer.headers)
    assert asked.status_code == 401


async def test_staff_decode(door: httpx.AsyncClient, support: Person, sealed: str) -> None:
    answer = await signed_in(door, support)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert COOKIE in cookie
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    opened = await door.post("/codec/decode", content=sealed)
    assert opened.status_code == 200
    assert json_format.Parse(opened.text, Payloads()).payloads[0].data == b'"an amount"'
    door.cookies.clear()
    assert (await door.post("/codec/decode", content=sealed)).status_code == 401


async def test_what_cannot_be_opened_is_refused_as_such(
    door: httpx.AsyncClient, support: Person, sealed: str
) -> None:
    await signed_in(door, support)
    damaged = json.loads(sealed)
    damaged["payloads"][0]["data"] = "AAAA" + damaged["payloads"][0]["data"][4:]
    assert (await door.post("/codec/decode", json=damaged)).status_code == 400
    for broken in (b"{", b"\xff\xfe"):
        assert (await door.post("/codec/decode", content=broken)).status_code == 400
    large = await door.post("/codec/decode", content=b" " * (MAX_DECODE_BYTES + 1))
    assert large.status_code == 413


async def test_the_ui_asks_strangers_to_sign_in(door: httpx.AsyncClient) -> None:
    page = await door.get("/namespaces/treum/workflows", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in")
    assert (await door.get("/api/v1/namespaces")).status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_the_ui_only_looks(door: httpx.AsyncClient, support: Person, method: str) -> None:
    await signed_in(door, support)
    steered = await door.request(method, "/api/v1/namespaces/treum/workflows/payment:x/terminate", json={})
    assert steered.status_code == 403


async def test_staff_see_the_ui(door: httpx.AsyncClient, support: Person) -> None:
    await signed_in(door, support)
    shown = await door.get("/api/v1/namespaces/treum")
    assert shown.status_code == 200
    assert shown.json()["namespaceInfo"]["name"] == "treum"


async def test_the_ui_is_told_where_payloads_are_opened(door: httpx.AsyncClient, support: Person) -> None:
    await signed_in(door, support)
    told = (await door.get("/api/v1/settings")).json()
    assert (told["Codec"]["Endpoint"], told["Codec"]["IncludeCredentials"]) == ("/codec", True)
    assert (told["DefaultNamespace"], told["DisableWriteActions"]) == ("treum", True)


async def test_the_ui_may_ask_a_run_for_its_current_details(door: httpx.AsyncClient, support: Person) -> None:
    await signed_in(door, support)
    await door.get("/")
    runs = "/api/v1/namespaces/treum/workflows"
    token = {"X-CSRF-TOKEN": door.cookies["_csrf"]}
    # The run does not exist: that it is Temporal who says so shows that the question came through.
    asked = await door.post(f"{runs}/payment:x/query/__temporal_workflow_metadata", json={}, headers=token)
    assert (asked.status_code, asked.json()["code"]) == (404, 5)
    for other in ("payment:x/query/other", "payment:x%2Fterminate%3F/query/__temporal_workflow_metadata"):
        assert (await door.post(f"{runs}/{other}", json={}, headers=token)).status_code == 403


async def test_a_path_that_is_no_address_is_not_found(door: httpx.AsyncClient, support: Person) -> None:
    await signed_in(door, support)
    assert (await door.get("/namespaces/%00")).status_code == 404


async def test_another_sites_form_signs_nobody_in(door: httpx.AsyncClient, support: Person) -> None:
    form = {"email": support.email, "password": support.password}
    forged = await door.post("/sign-in", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert forged.status_code == 403
    assert "set-cookie" not in forged.headers
    assert (await door.post("/sign-in", content=b"a" * (MAX_FORM_BYTES + 1))).status_code == 413


async def test_the_sign_in_page_is_framed_by_nobody(door: httpx.AsyncClient) -> None:
    for answer in (await door.get("/sign-in"), await door.head("/sign-in")):
        assert answer.status_code == 200
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
