"""Steps 1 and 2: who the customers are, and how the platform comes to know them."""

import re
import secrets
import time

import pyotp

from cli.demo.stage import Person, Stage, promise

ADDRESS = {"line1": "12 MG Road", "city": "Bengaluru", "state": "KA", "pincode": "560001"}
BORN = "1990-04-12"
TOTP_SECONDS = 30
SHARE_CODE = "4821"
LISTED = "Zorvan Maldrake"
"""A fictional name on the sandbox's watchlist."""


def one_time_code(person: Person) -> str:
    """A code the person has not used yet; the next time step's counts as well, as clocks drift."""
    step = max(int(time.time()) // TOTP_SECONDS, person.totp_step + 1)
    while step > int(time.time()) // TOTP_SECONDS + 1:
        time.sleep(0.2)
    person.totp_step = step
    return pyotp.TOTP(person.totp_secret).generate_otp(step)


def code_for(stage: Stage, to: str) -> str:
    """The newest six-digit code that the outside world received for an address or number."""
    deadline = time.monotonic() + stage.code_seconds
    while time.monotonic() < deadline:
        for item in stage.sandbox.get("/_control/outbox", params={"to": to}).json()["items"]:
            if found := re.search(r"\b(\d{6})\b", item["text"]):
                return found.group(1)
        time.sleep(0.05)
    promise(False, "a code arrives by mail and by text in time")
    return ""


def register(stage: Stage, name: str) -> Person:
    """Registers, verifies mail and phone, and signs in with a second factor."""
    tag = secrets.token_hex(4)
    person = Person(
        name, f"{name.split()[0].lower()}.{tag}@example.com", f"+9198{secrets.randbelow(10**8):08d}"
    )
    person.password = f"Kaveri-{secrets.token_urlsafe(9)}"
    answer = stage.call(
        "POST",
        "/auth/register",
        expect=201,
        json={
            "email": person.email,
            "phone": person.phone,
            "password": person.password,
            "full_name": person.name,
        },
    )
    person.user_id = answer["user_id"]
    for channel, to in (("email", person.email), ("phone", person.phone)):
        body = {"user_id": person.user_id, "channel": channel, "code": code_for(stage, to)}
        verified = stage.call("POST", "/auth/verify", json=body)
    promise(verified["email_verified"] and verified["phone_verified"], "mail and phone are verified by code")
    sign_in(stage, person)
    person.totp_secret = stage.call("POST", "/auth/totp/enroll", person)["secret"]
    activated = stage.call("POST", "/auth/totp/activate", person, json={"code": one_time_code(person)})
    promise(activated["recovery_codes"], "a second factor comes with recovery codes")
    return person


def sign_in(stage: Stage, person: Person) -> None:
    """Signs in; with the second factor where the person has one."""
    body = {"email": person.email, "password": person.password}
    if person.totp_secret:
        body["totp"] = one_time_code(person)
    person.token = stage.call("POST", "/auth/login", json=body)["access_token"]


def second_factor_sign_in(stage: Stage, person: Person) -> None:
    """The password alone no longer signs in; with a one-time code it does."""
    stage.call("POST", "/auth/login", expect=401, json={"email": person.email, "password": person.password})
    sign_in(stage, person)


def submit_kyc(stage: Stage, person: Person) -> str:
    """Hands in basic KYC with a PAN and a signed Aadhaar offline file; the onboarding's id."""
    surname = person.name.split()[-1][0].upper()
    letters = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(3))
    person.pan = f"{letters}P{surname}{secrets.randbelow(9000) + 1000}{letters[0]}"
    stage.control("kyc/pan", pan=person.pan, full_name=person.name, date_of_birth=BORN, status="valid")
    ekyc = stage.control(
        "kyc/aadhaar",
        full_name=person.name,
        date_of_birth=BORN,
        gender="F",
        mobile=person.phone.removeprefix("+91"),
        email=person.email,
        address=ADDRESS,
        share_code=SHARE_CODE,
        last_digit="7",
    )
    answer = stage.call(
        "POST",
        "/auth/verify-kyc",
        person,
        expect=202,
        json={
            "tier": "basic",
            "full_name": person.name,
            "date_of_birth": BORN,
            "pan": person.pan,
            "address": ADDRESS,
            "aadhaar_ekyc": {"zip_base64": ekyc["zip_base64"], "share_code": SHARE_CODE},
            "documents": [],
            "consent": {"purposes": ["kyc"], "accepted": True},
        },
    )
    return str(answer["onboarding_id"])


def step_register(stage: Stage, customer: Person) -> str:
    second_factor_sign_in(stage, customer)
    sessions = stage.call("GET", "/auth/sessions", customer)
    promise(sessions["items"], "a signed-in customer sees their sessions")
    stage.link("onboarding", f"onboarding:{customer.user_id}")
    return "mail and phone verified by codes, signed in with a one-time password"


def step_kyc(stage: Stage, customer: Person, resembling: Person) -> str:
    submit_kyc(stage, customer)
    kyc = f"/users/{customer.user_id}/kyc"
    seen = stage.until(kyc, customer, lambda k: k["status"] == "verified", "basic KYC is verified")
    promise("risk_score" not in seen, "a customer never sees a risk score")
    submit_kyc(stage, resembling)
    other = f"/users/{resembling.user_id}/kyc"
    stage.until(
        other,
        resembling,
        lambda k: k["status"] == "manual_review",
        "a name like a listed one goes to a person",
    )
    officer = stage.staff("compliance")
    sign_in(stage, officer)
    cases = stage.call("GET", "/kyc/reviews", officer)["items"]
    own = [case for case in cases if case["user_id"] == resembling.user_id]
    promise(len(own) == 1, "the case stands in the compliance queue, once")
    case = own[0]
    stage.call("POST", f"/kyc/reviews/{case['case_id']}/decision", resembling, expect=(403, 404), json={})
    stage.call(
        "POST",
        f"/kyc/reviews/{case['case_id']}/decision",
        officer,
        json={"decision": "approve", "reason": "date of birth and address differ from the listed person's"},
    )
    stage.until(other, resembling, lambda k: k["status"] == "verified", "the officer's approval verifies")
    stage.link("onboarding, reviewed", f"onboarding:{resembling.user_id}")
    return f"verified; a namesake of {LISTED!r} went to review and was approved by compliance"
