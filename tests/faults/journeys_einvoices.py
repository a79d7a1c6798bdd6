"""Ways of a document to a registered buyer through the e-invoice portal, over HTTP."""

import secrets
from time import monotonic, sleep
from typing import Any

from stdnum import luhn

from cli.demo.stage import BrokenPromise, Person, Stage
from tests.faults import journeys

SECONDS = 120.0
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ADDRESS = {"line1": "1 MG Road", "city": "Bengaluru", "state": "KA", "pincode": "560001"}


def einvoiced(stage: Stage) -> None:
    """Registered, then corrected within its day: cancelled at the portal, and another in its place."""
    person = journeys.verified(stage)
    _billed(stage, person, gstin())
    first = _bought(stage, person)
    _stands(stage, person, first, "registered")
    _billed(stage, person, gstin())
    second = _corrected(stage, person, first)
    _stands(stage, person, second, "registered")


def refused_einvoice(stage: Stage) -> None:
    """Refused for its buyer, who mends the registration; finance has it sent again."""
    person, number = journeys.verified(stage), gstin()
    stage.control("irp/gstin", gstin=number, status="cancelled")
    _billed(stage, person, number)
    invoice = _bought(stage, person)
    _stands(stage, person, invoice, "attention")
    stage.control("irp/gstin", gstin=number, status="active")
    _asked(stage, person, invoice, "retry", "registered")


def gstin() -> str:
    """A number of Karnataka with its check digit, nobody's but one journey's."""
    letters = "".join(secrets.choice("ABCDEFGHJKLMN") for _ in range(3))
    number = f"29{letters}F{secrets.choice('ABCDEF')}{secrets.randbelow(9000) + 1000}K1Z"
    return number + luhn.calc_check_digit(number, ALPHABET)


def _billed(stage: Stage, person: Person, number: str) -> None:
    billing = {"name": "Verma & Co", "state": "KA", "gstin": number, "address": ADDRESS}
    stage.call("PUT", f"/users/{person.user_id}/profile", person, json={"billing": billing})


def _bought(stage: Stage, person: Person) -> str:
    """The invoice of a course, paid."""
    enrolled = journeys._enrolled(stage, person)
    journeys.paid(stage, person, enrolled)
    return str(stage.call("GET", f"/payments/{enrolled['payment_id']}/status", person)["invoice_id"])


def _stands(stage: Stage, person: Person, invoice: str, status: str) -> dict[str, Any]:
    path = f"/billing/invoices/{invoice}"
    found: dict[str, Any] = stage.until(
        path, person, lambda each: each["einvoice_status"] == status, f"an e-invoice is {status}"
    )
    return found


def _corrected(stage: Stage, person: Person, invoice: str) -> str:
    """The document that stands in the place of one that finance had issued anew."""
    return str(_asked(stage, person, invoice, "reissue", "void")["replaced_by"])


def _asked(stage: Stage, person: Person, invoice: str, action: str, status: str) -> dict[str, Any]:
    """Asked by finance until it is so: the process may not have heard yet of what the record shows."""
    finance, deadline = stage.staff("finance"), monotonic() + SECONDS
    path = f"/staff/runs/einvoice:{invoice}/actions/{action}"
    while True:
        stage.call("POST", path, finance, expect=(200, 409), json={"note": "the buyer was wrong"})
        found: dict[str, Any] = stage.call("GET", f"/billing/invoices/{invoice}", person)
        if found["einvoice_status"] == status:
            return found
        if monotonic() > deadline:
            raise BrokenPromise(f"{action} of {invoice} leaves it {found['einvoice_status']}")
        sleep(0.5)


journeys.JOURNEYS |= {journey.__name__: journey for journey in (einvoiced, refused_einvoice)}
