"""The core every world stands on: clock, guard, faults, journal, and what survives SIGKILL."""

import hashlib
import json
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.sandbox.conftest import Sandbox
from tests.sandbox.receiver import Receiver

GSTIN = "29AAGCT1234A1Z5"
IST = ZoneInfo("Asia/Kolkata")
INVOICE = "/irp/eicore/v1.03/Invoice"


def invoice(number: str, date: str = "") -> dict[str, Any]:
    """A document that the portal takes; dated today where not said otherwise."""
    seller = {"Gstin": GSTIN, "LglNm": "Seller", "Addr1": "1 Road", "Loc": "Bengaluru", "Pin": 560001}
    buyer = {"Gstin": "27AAACB1234A1Z1", "LglNm": "Buyer", "Pos": "27", "Addr1": "2 Road", "Loc": "Pune"}
    item = {"SlNo": "1", "IsServc": "Y", "HsnCd": "999293", "UnitPrice": 1000, "TotAmt": 1000, "AssAmt": 1000}
    return {
        "Version": "1.1",
        "TranDtls": {"TaxSch": "GST", "SupTyp": "B2B"},
        "DocDtls": {"Typ": "INV", "No": number, "Dt": date or f"{datetime.now(IST):%d/%m/%Y}"},
        "SellerDtls": {**seller, "Stcd": "29"},
        "BuyerDtls": {**buyer, "Stcd": "27"},
        "ItemList": [{**item, "GstRt": 18, "IgstAmt": 180, "TotItemVal": 1180}],
        "ValDtls": {"AssVal": 1000, "IgstVal": 180, "TotInvVal": 1180},
    }


def test_the_clock_stands_runs_and_yields_to_the_header(clean: Sandbox) -> None:
    clean.control("POST", "/clock", {"now": "2027-01-31T23:59:59+05:30", "run": False})
    answer = clean.http.get("/health")
    assert answer.headers.get_list("date") == ["Sun, 31 Jan 2027 18:29:59 GMT"]
    clean.control("POST", "/clock", {"now": "2027-02-01T00:00:00Z", "run": True})
    moment = parsedate_to_datetime(clean.http.get("/health").headers["date"])
    assert 0 <= (moment - datetime.fromisoformat("2027-02-01T00:00:00Z")).total_seconds() < 60
    dated = clean.http.get("/irp/public-key", headers={"X-Sandbox-Now": "2026-12-25T09:15:00+05:30"})
    assert dated.headers["date"] == "Fri, 25 Dec 2026 03:45:00 GMT"
    assert clean.journal("irp")[-1]["at"] == "2026-12-25T03:45:00+00:00"
    assert clean.http.get("/irp/public-key", headers={"X-Sandbox-Now": "soon"}).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Sandbox-Control": "1", "Host": "evil.example"}, 403),
        ({"X-Sandbox-Control": "1", "Content-Type": "text/plain"}, 415),
    ],
)
def test_control_lets_no_web_page_in(clean: Sandbox, headers: dict[str, str], status: int) -> None:
    clean.http.get("/irp/public-key")
    answer = clean.http.post("/_control/reset", content="{}", headers=headers)
    assert answer.status_code == status
    assert len(clean.journal("irp")) == 1


def test_a_bad_control_call_changes_nothing(clean: Sandbox) -> None:
    headers = {"X-Sandbox-Control": "1"}
    for body in (
        {"target": "moon", "fault": "slow", "times": 1},
        {"target": "irp", "fault": "slow", "times": 0},
    ):
        assert clean.http.post("/_control/faults", json=body, headers=headers).status_code == 422
    answer = clean.http.post("/_control/clock", json={"now": "2026-01-01"}, headers=headers)
    assert answer.status_code == 422
    assert clean.http.get("/_control/credentials", headers=headers).json() == clean.credentials


def test_timeout_before_executes_nothing(clean: Sandbox) -> None:
    clean.control("POST", "/faults", {"target": "irp", "fault": "timeout_before", "times": 1, "seconds": 0.1})
    with pytest.raises(httpx.RemoteProtocolError):
        clean.http.post(INVOICE, json=invoice("A/1"))
    call = clean.journal("irp")[-1]
    assert (call["status"], call["effect"]) == (None, None)
    assert clean.http.post(INVOICE, json=invoice("A/1")).json()["Status"] == 1


def test_timeout_after_executes_and_loses_the_answer(clean: Sandbox) -> None:
    fault = {"target": "irp", "match": "Invoice", "fault": "timeout_after", "times": 1, "seconds": 0.1}
    clean.control("POST", "/faults", fault)
    assert clean.http.get("/irp/public-key").status_code == 200  # does not match: not taken
    with pytest.raises(httpx.RemoteProtocolError):
        clean.http.post(INVOICE, json=invoice("A/1"))
    assert clean.http.post(INVOICE, json=invoice("A/1")).json()["ErrorDetails"][0]["ErrorCode"] == "2150"
    assert len(clean.effects("irp")) == 1


def test_a_client_that_hangs_up_frees_a_held_call(clean: Sandbox) -> None:
    clean.control("POST", "/faults", {"target": "irp", "fault": "timeout_after", "times": 1})
    with pytest.raises(httpx.ReadTimeout):
        clean.http.post(INVOICE, json=invoice("A/1"), timeout=0.2)
    assert len(clean.effects("irp")) == 1


@pytest.mark.parametrize(("fault", "status"), [("error_5xx", 500), ("error_429", 429)])
def test_error_faults_do_nothing_as_often_as_planted(clean: Sandbox, fault: str, status: int) -> None:
    clean.control("POST", "/faults", {"target": "irp", "fault": fault, "times": 2})
    statuses = [clean.http.post(INVOICE, json=invoice("A/1")).status_code for _ in range(3)]
    assert statuses == [status, status, 200]
    assert [call["status"] for call in clean.journal("irp")] == statuses
    assert len(clean.effects("irp")) == 1


def test_slow_executes_late(clean: Sandbox) -> None:
    clean.control("POST", "/faults", {"target": "irp", "fault": "slow", "times": 1, "seconds": 0.3})
    began = time.monotonic()
    assert clean.http.post(INVOICE, json=invoice("A/1")).json()["Status"] == 1
    assert time.monotonic() - began >= 0.3


def test_reset_empties_the_world_and_keeps_the_keys(clean: Sandbox) -> None:
    key = clean.http.get("/irp/public-key").text
    clean.http.post(INVOICE, json=invoice("A/1"))
    clean.control("POST", "/reset", {})
    assert clean.journal("irp") == []
    assert clean.http.get("/irp/public-key").text == key
    assert clean.http.post(INVOICE, json=invoice("A/1")).json()["Status"] == 1


def test_sigkill_loses_nothing_committed(tmp_path: Path, hooks_server: Receiver) -> None:
    own = Sandbox(tmp_path / "own.db", hooks_server.url, worlds="irp")
    own.control("POST", "/clock", {"now": "2026-11-23T10:00:00Z", "run": False})
    own.control("POST", "/faults", {"target": "irp", "match": "never", "fault": "slow", "times": 1})
    numbers = [f"A/{n}" for n in range(20)]
    for number in numbers:
        own.http.post(INVOICE, json=invoice(number, "23/11/2026"))
    before = own.journal("irp")
    own.kill()
    own.restart()
    assert own.control("GET", "/credentials") == own.credentials
    assert own.journal("irp") == before
    assert own.http.get("/health").headers["date"] == "Mon, 23 Nov 2026 10:00:00 GMT"
    answers = [own.http.post(INVOICE, json=invoice(number, "23/11/2026")).json() for number in numbers]
    assert {answer["ErrorDetails"][0]["ErrorCode"] for answer in answers} == {"2150"}
    own.stop()


def test_irn_and_signed_qr(clean: Sandbox) -> None:
    headers = {"X-Sandbox-Now": "2026-11-23T12:00:00+05:30"}
    data = clean.http.post(INVOICE, json=invoice("T/26-27/0001", "23/11/2026"), headers=headers).json()[
        "Data"
    ]
    expected = hashlib.sha256(f"{GSTIN}|2026-27|INV|T/26-27/0001".encode()).hexdigest()
    assert data["Irn"] == expected
    assert data["AckDt"] == "2026-11-23 12:00:00"
    key = RSAKey.import_key(clean.http.get("/irp/public-key").text)
    claims = jwt.decode(data["SignedQRCode"], key, algorithms=["RS256"]).claims
    assert json.loads(claims["data"])["Irn"] == expected
    assert json.loads(claims["data"])["TotInvVal"] == 1180


def test_an_irn_is_cancelled_within_a_day_only(clean: Sandbox) -> None:
    for number, later, cancelled in (("A/1", "2026-11-24T12:00:00Z", 1), ("A/2", "2026-11-24T12:00:01Z", 0)):
        first = {"X-Sandbox-Now": "2026-11-23T12:00:00Z"}
        irn = clean.http.post(INVOICE, json=invoice(number, "23/11/2026"), headers=first).json()["Data"][
            "Irn"
        ]
        body = {"Irn": irn, "CnlRsn": "1", "CnlRem": "wrong"}
        answer = clean.http.post(f"{INVOICE}/Cancel", json=body, headers={"X-Sandbox-Now": later}).json()
        assert answer["Status"] == cancelled
        status = clean.http.get(f"{INVOICE}/irn/{irn}").json()["Data"]["Status"]
        assert status == ("CNL" if cancelled else "ACT")


def test_a_malformed_invoice_is_refused(clean: Sandbox) -> None:
    bad = [{}, [], {**invoice("A/1"), "ItemList": []}, invoice("A/1", "2026-11-23"), invoice("N" * 17)]
    codes = [clean.http.post(INVOICE, json=body).json()["ErrorDetails"][0]["ErrorCode"] for body in bad]
    assert codes == ["2140"] * len(bad)
    assert clean.effects("irp") == []
