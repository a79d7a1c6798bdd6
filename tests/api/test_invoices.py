"""Invoices over HTTP: signed, checked by whoever holds one, held back until they are registered."""

import base64
import io
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from pyhanko.keys import load_certs_from_pemder_data
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from domain.money import rupees
from relay.einvoices import EInvoiceStarter
from store import identity_profiles
from tests.api.conftest import Person
from tests.api.printed import code, read
from tests.api.till import Counter
from tests.workflows.shop import eventually
from tests.workflows.test_einvoice import gstin

ADDRESS = {"line1": "1 Marine Drive", "city": "Mumbai", "state": "Maharashtra", "pincode": "400020"}


async def registered_buyer(till: Counter, number: str) -> tuple[Person, dict[str, Any]]:
    """Someone with a GSTIN who has paid; the payment's status."""
    person, reference_id = await till.customer()
    await billed(till, person, number)
    checkout = (await till.create(person, reference_id)).json()
    await till.pay(checkout)
    return person, await till.settled(person, checkout["payment_id"])


async def billed(till: Counter, person: Person, number: str) -> None:
    """The check digit of a made-up number is not what this is about: it is put where the API keeps it."""
    billing = {"name": "Verma & Co", "state": "MH", "address": ADDRESS}
    path = f"/v1/users/{person.user_id}/profile"
    answer = await till.api.put(path, json={"billing": billing}, headers=person.headers)
    assert answer.status_code == 200, answer.text
    platform = till.api.platform
    kept = answer.json()["billing"] | {"gstin": number}
    async with platform.database.transaction() as connection:
        await identity_profiles.change(
            connection, platform.vault, person.user_id, {"billing": kept}, datetime.now(UTC)
        )


async def invoice(till: Counter, person: Person, invoice_id: str) -> dict[str, Any]:
    return (await till.api.get(f"/v1/billing/invoices/{invoice_id}", headers=person.headers)).json()


async def sweep(till: Counter) -> None:
    key = till.shop.engines.settings.assertion_public_key
    await EInvoiceStarter(till.shop.database, till.shop.client, key).start_einvoices()


async def registered(
    till: Counter, person: Person, invoice_id: str, status: str = "registered"
) -> dict[str, Any]:
    return await eventually(
        lambda: invoice(till, person, invoice_id), lambda found: found["einvoice_status"] == status
    )


async def test_a_pdf_is_signed_over_all_of_it(till: Counter) -> None:
    person, paid = await till.bought()
    answer = await till.api.get(f"/v1/billing/invoices/{paid['invoice_id']}.pdf", headers=person.headers)
    assert answer.status_code == 200
    seen, words = await invoice(till, person, paid["invoice_id"]), read(answer.content).words
    for particular in (seen["number"], seen["payment_id"], rupees(seen["total"]), "Digitally signed"):
        assert particular in words
    [root] = load_certs_from_pemder_data(base64.b64decode(till.shop.engines.settings.document_certificate))

    async def judged(content: bytes) -> Any:
        [signature] = PdfFileReader(io.BytesIO(content)).embedded_signatures
        return await async_validate_pdf_signature(signature, ValidationContext(trust_roots=[root]))

    status = await judged(answer.content)
    assert (status.intact, status.valid, status.trusted, status.bottom_line) == (True, True, True, True)
    assert status.coverage.name == "ENTIRE_FILE"
    at = answer.content.index(b"stream") + 40
    spoiled = answer.content[:at] + bytes([answer.content[at] ^ 1]) + answer.content[at + 1 :]
    assert (await judged(spoiled)).intact is False


async def test_whoever_holds_an_invoice_can_check_it_and_nobody_can_guess_one(till: Counter) -> None:
    person, paid = await till.bought()
    found = await invoice(till, person, paid["invoice_id"])
    path = found["verify_url"].removeprefix(till.api.platform.settings.public_url)
    answer = (await till.api.get(path)).json()
    assert answer == {
        "valid": True,
        "status": "issued",
        "kind": "invoice",
        "number": found["number"],
        "issued_on": found["issued_on"],
        "total": found["total"],
        "currency": "INR",
        "supplier_gstin": till.api.platform.settings.supplier_gstin,
        "irn": None,
    }
    other = await till.bought()
    for wrong in (
        path[:-1] + ("a" if path[-1] != "a" else "b"),
        path.replace(paid["invoice_id"], other[1]["invoice_id"]),
        path.replace(paid["invoice_id"], "inv_none"),
    ):
        assert (await till.api.get(wrong)).status_code == 404
    assert (await till.api.get(path.partition("?")[0])).status_code == 422


async def test_a_registered_buyers_invoice_is_none_before_its_irn(till: Counter) -> None:
    person, paid = await registered_buyer(till, gstin())
    path = f"/v1/billing/invoices/{paid['invoice_id']}"
    found = await invoice(till, person, paid["invoice_id"])
    assert (found["einvoice_status"], found["irn"], found["signed_qr"]) == ("pending", None, None)
    held = await till.api.get(f"{path}.pdf", headers=person.headers)
    assert (held.status_code, held.json()["code"]) == (409, "irn_pending")
    assert int(held.headers["retry-after"]) > 0
    link = found["verify_url"].removeprefix(till.api.platform.settings.public_url)
    assert (await till.api.get(link)).json()["status"] == "irn_pending"
    await sweep(till)
    found = await registered(till, person, paid["invoice_id"])
    assert len(found["irn"]) == 64
    assert found["signed_qr"].count(".") == 2
    assert (await till.api.get(link)).json() | {"total": 0} == {
        "valid": True, "status": "issued", "kind": "invoice", "number": found["number"],
        "issued_on": found["issued_on"], "total": 0, "currency": "INR",
        "supplier_gstin": till.api.platform.settings.supplier_gstin, "irn": found["irn"],
    }  # fmt: skip
    content = read((await till.api.get(f"{path}.pdf", headers=person.headers)).content)
    assert found["irn"] in content.unspaced
    assert [code(found["signed_qr"], "l"), code(found["verify_url"], "m")] == content.codes


async def test_finance_corrects_a_refused_one_and_the_series_says_why(till: Counter) -> None:
    wrong = gstin()
    await till.shop.control("/irp/gstin", gstin=wrong, status="cancelled")
    person, paid = await registered_buyer(till, wrong)
    first = paid["invoice_id"]
    await sweep(till)
    await registered(till, person, first, "attention")
    await billed(till, person, gstin())
    finance = await till.api.staff("finance")
    path = f"/v1/staff/runs/einvoice:{first}/actions/reissue"
    headers = {**finance.headers, "Idempotency-Key": secrets.token_hex(8)}
    answer = await till.api.post(
        path, json={"note": "the customer closed that registration"}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    void = await registered(till, person, first, "void")
    assert (void["status"], void["void_reason"]) == ("void", "refused_by_portal")
    status = await till.settled(person, paid["payment_id"])
    assert status["invoice_id"] == void["replaced_by"] != first
    year = int(void["issued_on"][:4]) - (int(void["issued_on"][5:7]) < 4)
    series = await till.api.get(
        "/v1/finance/series", params={"financial_year": year}, headers=finance.headers
    )
    assert series.json()["missing"] == []
    [gone] = [each for each in series.json()["voids"] if each["invoice_id"] == first]
    assert (gone["number"], gone["replaced_by"]) == (void["number"], void["replaced_by"])
    link = void["verify_url"].removeprefix(till.api.platform.settings.public_url)
    assert (await till.api.get(link)).json()["valid"] is False
    customer = await till.api.get("/v1/finance/series?financial_year=2026", headers=person.headers)
    assert customer.status_code == 403


@pytest.mark.parametrize("state", ["Karnataka", "KL"])
async def test_a_billing_address_lies_in_the_state_that_is_billed(till: Counter, state: str) -> None:
    person = await till.api.signed_in()
    billing = {"name": "Verma & Co", "state": "MH", "address": {**ADDRESS, "state": state}}
    answer = await till.api.put(
        f"/v1/users/{person.user_id}/profile", json={"billing": billing}, headers=person.headers
    )
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "address_state_mismatch")
