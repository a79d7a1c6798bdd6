"""PAN, face, KRA and CKYC through the platform's clients, and every fault's place in the closed set."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from domain.errors import RateLimited, Rejected, TreumError, Unavailable, Unknown
from providers.calls import ProviderCalls
from providers.kyc import HttpKyc, KraState, PanStatus
from providers.notify import Channel, HttpNotifier
from providers.screening import HttpScreening
from tests.sandbox.conftest import Sandbox

PAN, NAME, BORN = "ABCPR1234F", "Asha Rao", date(1990, 1, 2)
PATIENCE = 0.3


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as shared:
        yield shared


@pytest.fixture
def kyc(clean: Sandbox, client: httpx.AsyncClient) -> HttpKyc:
    return HttpKyc(client, f"{clean.base_url}/kyc", timeout_seconds=PATIENCE)


def plant_pan(sandbox: Sandbox, **other: Any) -> None:
    person = {"pan": PAN, "full_name": NAME, "date_of_birth": BORN.isoformat(), "status": "valid"}
    sandbox.control("POST", "/kyc/pan", person | other)


@pytest.mark.parametrize(
    ("name", "born", "matches"),
    [
        ("Asha Rao", BORN, (True, True)),
        ("  ASHA   RAO. ", BORN, (True, True)),
        ("Rao Asha", BORN, (False, True)),
        ("Asha Roy", date(1990, 2, 1), (False, False)),
    ],
)
async def test_a_known_pan_matches_name_and_birth_date(
    clean: Sandbox, kyc: HttpKyc, name: str, born: date, matches: tuple[bool, bool]
) -> None:
    plant_pan(clean)
    answer = await kyc.check_pan(PAN, name, born)
    assert answer.status is PanStatus.VALID
    assert (answer.name_match, answer.dob_match) == matches
    assert answer.aadhaar_seeding_status == "Y"
    assert clean.effects("kyc") == [{"check_id": answer.check_id}]


async def test_an_inactive_pan(clean: Sandbox, kyc: HttpKyc) -> None:
    plant_pan(clean, status="inactive")
    answer = await kyc.check_pan(PAN, NAME, BORN)
    assert (answer.status, answer.aadhaar_seeding_status) == (PanStatus.INACTIVE, "R")


@pytest.mark.parametrize("planted", [False, True])
async def test_an_unknown_pan_of_right_shape(clean: Sandbox, kyc: HttpKyc, planted: bool) -> None:
    if planted:
        plant_pan(clean, status="unknown")
    answer = await kyc.check_pan(PAN, NAME, BORN)
    assert (answer.status, answer.name_match, answer.dob_match) == (PanStatus.UNKNOWN, None, None)


@pytest.mark.parametrize("pan", ["", "ABCPR1234", "abcpr1234f", "ABCPR12345", "ABCPR1234F\n"])
async def test_a_misshapen_pan_is_refused(kyc: HttpKyc, pan: str) -> None:
    if pan.endswith("\n"):
        assert (await kyc.check_pan(pan, NAME, BORN)).status is PanStatus.UNKNOWN  # blanks are trimmed
        return
    with pytest.raises(Rejected) as caught:
        await kyc.check_pan(pan, NAME, BORN)
    assert (caught.value.code, caught.value.detail) == (
        "kyc_refused",
        "malformed_pan" if pan else "missing_pan",
    )


def test_nsdls_own_words(clean: Sandbox) -> None:
    plant_pan(clean)
    answer = clean.http.post("/kyc/pan", json={"pan": PAN, "name": NAME, "dob": "1990-01-03"}).json()
    del answer["check_id"]
    assert answer == {
        "pan": PAN,
        "status": "valid",
        "pan_status": "E",
        "name_match": "Y",
        "dob_match": "N",
        "aadhaar_seeding_status": "Y",
    }


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"pan": 1}', b'{"pan": "ABCPR1234F", "name": "A", "dob": "x"}']
)
def test_a_malformed_call_is_a_400_in_the_providers_shape(clean: Sandbox, body: bytes) -> None:
    answer = clean.http.post("/kyc/pan", content=body)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"code", "message"}


async def test_registries(clean: Sandbox, kyc: HttpKyc) -> None:
    assert (await kyc.kra_state(PAN)).kra_status is KraState.NOT_FOUND
    assert not (await kyc.find_ckyc(PAN)).found
    plant_pan(clean, kra_status="registered", ckyc_number="50012345678901")
    assert (await kyc.kra_state(PAN)).kra_status is KraState.REGISTERED
    assert (await kyc.find_ckyc(PAN)).ckyc_number == "50012345678901"


async def test_face(clean: Sandbox, kyc: HttpKyc) -> None:
    usual = await kyc.check_face("call-1")
    assert (usual.match, usual.live) == (True, True)
    clean.control("POST", "/kyc/face", {"reference": "call-1", "match": True, "live": False})
    planted = await kyc.check_face("call-1")
    assert (planted.match, planted.live) == (True, False)


async def test_the_call_is_judged_by_the_time_of_business(clean: Sandbox, kyc: HttpKyc) -> None:
    as_of = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    await kyc.check_face("call-1", as_of=as_of)
    assert datetime.fromisoformat(clean.journal("kyc")[-1]["at"].replace("Z", "+00:00")) == as_of


Call = Callable[[Sandbox, httpx.AsyncClient], Awaitable[Any]]


def pan_call(sandbox: Sandbox, client: httpx.AsyncClient) -> Awaitable[Any]:
    kyc = HttpKyc(client, f"{sandbox.base_url}/kyc", timeout_seconds=PATIENCE)
    return kyc.check_pan(PAN, NAME, BORN)


def search_call(sandbox: Sandbox, client: httpx.AsyncClient) -> Awaitable[Any]:
    screening = HttpScreening(client, f"{sandbox.base_url}/screening", timeout_seconds=PATIENCE)
    return screening.search(NAME, BORN)


def message_call(sandbox: Sandbox, client: httpx.AsyncClient) -> Awaitable[Any]:
    notifier = HttpNotifier(client, sandbox.base_url, timeout_seconds=PATIENCE)
    return notifier.send("msg-1", "asha@example.in", Channel.EMAIL, "Hello", "Your code is 123456")


def unrepeatable_call(sandbox: Sandbox, client: httpx.AsyncClient) -> Awaitable[Any]:
    calls = ProviderCalls(client, f"{sandbox.base_url}/kyc", "paid", PATIENCE)
    return calls.send("POST", "/face", repeatable=False, json={"reference": "r"})


WORLDS: list[tuple[str, Call, str]] = [
    ("kyc", pan_call, "kyc_unavailable"),
    ("screening", search_call, "screening_unavailable"),
    ("outbox", message_call, "notify_unavailable"),
]


@pytest.mark.parametrize(("target", "call", "code"), WORLDS, ids=[world[0] for world in WORLDS])
@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "error_5xx"])
async def test_a_repeatable_call_without_an_answer_is_unavailable(
    clean: Sandbox, client: httpx.AsyncClient, target: str, call: Call, code: str, fault: str
) -> None:
    clean.control("POST", "/faults", {"target": target, "fault": fault, "times": 1})
    with pytest.raises(Unavailable) as caught:
        await call(clean, client)
    assert caught.value.code == code == str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    await call(clean, client)  # one fault planted, one call failed


@pytest.mark.parametrize(("target", "call", "code"), WORLDS, ids=[world[0] for world in WORLDS])
async def test_a_429_says_how_long_to_pause(
    clean: Sandbox, client: httpx.AsyncClient, target: str, call: Call, code: str
) -> None:
    clean.control("POST", "/faults", {"target": target, "fault": "error_429", "times": 1})
    with pytest.raises(RateLimited) as caught:
        await call(clean, client)
    assert caught.value.retry_after == 1.0


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "error_5xx"])
async def test_an_unrepeatable_call_without_an_answer_is_unknown(
    clean: Sandbox, client: httpx.AsyncClient, fault: str
) -> None:
    clean.control("POST", "/faults", {"target": "kyc", "fault": fault, "times": 1})
    with pytest.raises(Unknown, match="paid_unknown"):
        await unrepeatable_call(clean, client)


@pytest.mark.parametrize("call", [pan_call, search_call, message_call, unrepeatable_call])
async def test_nobody_at_the_address_means_that_nothing_happened(
    clean: Sandbox, client: httpx.AsyncClient, call: Call
) -> None:
    class Nowhere:
        base_url = "http://127.0.0.1:9"

    with pytest.raises(Unavailable):
        await call(Nowhere(), client)  # type: ignore[arg-type]


async def test_an_answer_of_another_shape_proves_nothing(clean: Sandbox, client: httpx.AsyncClient) -> None:
    elsewhere = HttpScreening(client, f"{clean.base_url}/health?", timeout_seconds=PATIENCE)
    with pytest.raises(TreumError) as caught:
        await elsewhere.current_list()
    assert caught.value.code == "screening_unavailable"
