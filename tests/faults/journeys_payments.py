"""Ways through a payment that compliance decides, and one whose money comes after its end, over HTTP."""

import asyncio
import base64
import secrets
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import httpx

from cli.demo import markets, people
from cli.demo.stage import BrokenPromise, Person, Stage
from tests.faults import journeys

DEAR = 60_000_00
"""Above the figure of `HIGH_VALUE_TRANSACTION`, within the intermediate tier."""
OVERDUE, LAPSED, RELEASED = timedelta(hours=25), timedelta(hours=37), timedelta(days=7)
EXPIRED = timedelta(days=3, minutes=5)
SECONDS = 60.0


def reviewed(stage: Stage) -> None:
    """Two flags on each of two payments: one is released by compliance, the other decided by nobody."""
    person = journeys.verified(stage)
    raised(stage, person)
    markets.step_up(stage, person)
    officer = stage.staff("compliance")
    score = {"user_id": person.user_id, "kind": "location", "score": 90, "source": "journey"}
    stage.call("PUT", "/compliance/risk-scores", officer, json=score)

    released = held(stage, person)
    stage.call("POST", f"/staff/runs/payment:{released}/actions/release", officer, json={"note": "known"})
    arrives(stage, person, released, "captured")

    overdue = held(stage, person)
    asyncio.run(journeys._forward(stage, f"payment:{overdue}", OVERDUE))
    until(lambda: escalated(stage, officer, overdue), "a review that nobody decides is escalated")
    asyncio.run(journeys._forward(stage, f"payment:{overdue}", LAPSED))
    seen = arrives(stage, person, overdue, "refund_pending")
    assert seen["failure_code"] == "review_expired", seen
    asyncio.run(journeys._forward(stage, f"payment:{overdue}", RELEASED))


def late(stage: Stage) -> None:
    """A checkout that expires, is paid after all, and is captured at the gateway by somebody else."""
    person = journeys.verified(stage)
    checkout = journeys._enrolled(stage, person)
    payment = checkout["payment_id"]
    asyncio.run(journeys._forward(stage, f"payment:{payment}", EXPIRED))
    arrives(stage, person, payment, "expired")
    answer = stage.control(
        "razorpay/checkout", order_id=checkout["gateway_order_id"], method="upi", outcome="success"
    )
    taken(stage, answer["razorpay_payment_id"], checkout["amount"])
    seen = arrives(stage, person, payment, "refunded")
    assert ("refund_pending", "late_authorisation") in {(t["status"], t["code"]) for t in seen["timeline"]}


def held(stage: Stage, person: Person) -> str:
    """A payment whose money is held until compliance has decided."""
    enrolled = stage.call("POST", f"/courses/{dear_course(stage)}/enroll", person, expect=201)
    answer = stage.control(
        "razorpay/checkout", order_id=enrolled["gateway_order_id"], method="upi", outcome="success"
    )
    path = f"/payments/{enrolled['payment_id']}"
    stage.call("POST", f"{path}/confirm", person, json=answer)
    arrives(stage, person, enrolled["payment_id"], "review")
    return str(enrolled["payment_id"])


def arrives(stage: Stage, person: Person, payment: str, status: str) -> dict[str, Any]:
    path = f"/payments/{payment}/status"
    return dict(stage.until(path, person, lambda p: p["status"] == status, f"the payment is {status}"))


def escalated(stage: Stage, officer: Person, payment: str) -> bool:
    query = {"payment_id": payment}
    found = stage.call("GET", "/compliance/payment-alerts", officer, params=query)["items"]
    return bool(found) and all(alert["escalated_at"] for alert in found)


def taken(stage: Stage, at_gateway: str, amount: int) -> None:
    """Somebody of the firm captures it at the gateway's own page."""
    keys = stage.sandbox.get("/_control/credentials").json()["razorpay"]

    def captured() -> bool:
        try:
            answer = stage.sandbox.post(
                f"/razorpay/v1/payments/{at_gateway}/capture",
                auth=(keys["key_id"], keys["key_secret"]),
                json={"amount": amount, "currency": "INR"},
            )
        except httpx.TransportError:
            return False
        # 400 where it is captured already: an earlier answer was lost.
        return answer.status_code in (200, 400)

    until(captured, "the gateway captures")


def until(holds: Any, what: str) -> None:
    deadline = monotonic() + SECONDS
    while not holds():
        if monotonic() > deadline:
            raise BrokenPromise(f"{what}: not so after {SECONDS:.0f} s")
        sleep(0.2)


def dear_course(stage: Stage) -> str:
    """A course of its own that costs more than a payment may without being looked at."""
    draft = {
        "title": "Reading many charts",
        "slug": f"charts-{secrets.token_hex(6)}",
        "category": "trading",
        "level": "advanced",
        "price": DEAR,
        "syllabus": {
            "modules": [{"title": "One", "lessons": [{"title": "A", "type": "text", "content": "a"}]}]
        },
    }
    instructor = stage.staff("instructor")
    course = stage.call("POST", "/courses", instructor, expect=201, json=draft)["course_id"]
    stage.call("POST", f"/courses/{course}/publish", instructor, json={})
    return str(course)


def raised(stage: Stage, person: Person) -> None:
    """From the basic tier to the intermediate one: a fresh proof of address."""
    ekyc = stage.control(
        "kyc/aadhaar", full_name=person.name, date_of_birth=people.BORN, gender="F",
        mobile=person.phone.removeprefix("+91"), email=person.email, address=people.ADDRESS,
        share_code=people.SHARE_CODE, last_digit="7",
    )  # fmt: skip
    proof = {
        "type": "utility_bill",
        "content_base64": base64.b64encode(b"%PDF-1.7 a bill").decode(),
        "issued_on": (datetime.now(UTC) - timedelta(days=30)).date().isoformat(),
    }
    body = {
        "tier": "intermediate",
        "full_name": person.name,
        "date_of_birth": people.BORN,
        "pan": person.pan,
        "address": people.ADDRESS,
        "aadhaar_ekyc": {"zip_base64": ekyc["zip_base64"], "share_code": people.SHARE_CODE},
        "documents": [proof],
        "consent": {"purposes": ["kyc"], "accepted": True},
    }
    stage.call("POST", "/auth/verify-kyc", person, expect=202, json=body)
    path = f"/users/{person.user_id}/kyc"
    stage.until(
        path, person, lambda k: (k["status"], k["tier"]) == ("verified", "intermediate"), "the tier is raised"
    )


journeys.JOURNEYS |= {journey.__name__: journey for journey in (reviewed, late)}
