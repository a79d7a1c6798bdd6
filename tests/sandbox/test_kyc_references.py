"""A PAN check under the caller's reference is charged once and answered the same."""

from tests.sandbox.conftest import Sandbox

ASKED = {"pan": "ABCPR1234K", "name": "Asha Rao", "dob": "1990-05-17", "reference": "onb_1-pan"}


def test_the_same_reference_is_charged_once(clean: Sandbox) -> None:
    known = {"pan": ASKED["pan"], "full_name": "Asha Rao", "date_of_birth": ASKED["dob"], "status": "valid"}
    clean.control("POST", "/kyc/pan", known)
    first = clean.http.post("/kyc/pan", json=ASKED).json()
    clean.control("POST", "/kyc/pan", {**known, "status": "inactive"})
    assert clean.http.post("/kyc/pan", json=ASKED).json() == first
    assert len(clean.effects("kyc")) == 1
    assert (
        clean.http.post("/kyc/pan", json={**ASKED, "reference": "onb_2-pan"}).json()["status"] == "inactive"
    )
    assert len(clean.effects("kyc")) == 2


def test_a_reference_stands_for_one_question(clean: Sandbox) -> None:
    clean.http.post("/kyc/pan", json=ASKED)
    answer = clean.http.post("/kyc/pan", json={**ASKED, "name": "Someone Else"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "reference_reused")
    assert len(clean.effects("kyc")) == 1
