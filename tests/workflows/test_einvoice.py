"""A document to a registered buyer: registered at once and only once; corrected by staff."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from cli.embedded import EmbeddedEngines
from domain.kyc import Tier
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.search_attributes import Attribute
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.einvoices import Correct
from relay.einvoices import EInvoiceStarter
from store import identity_profiles, invoices, onboarding_submissions, voids
from tests.workflows.shop import Purchase, Shop, eventually, refusal, shop

MUMBAI = {"line1": "1 Marine Drive", "city": "Mumbai", "state": "MH", "pincode": "400020"}


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Shop]:
    async with shop(engines, database) as opened:
        yield opened


def gstin() -> str:
    """A number of its own that no other test's portal knows of; the portal asks for its shape only."""
    letters = "".join(secrets.choice("ABCDEFGHJK") for _ in range(5))
    return f"27{letters}{secrets.randbelow(9000) + 1000}P1Z5"


async def billed(place: Shop, one: Purchase, number: str, state: str = "MH") -> None:
    profile: dict[str, Any] = {"billing": {"name": "Verma & Co", "state": state, "gstin": number}}
    async with place.database.transaction() as connection:
        now = datetime.now(UTC)
        await identity_profiles.change(
            connection, place.vault, one.user_id, {**profile, "address": MUMBAI}, now
        )


async def sold(place: Shop, number: str) -> tuple[Purchase, str]:
    """Paid by a registered buyer; the id of the invoice."""
    one = await place.purchase()
    await billed(place, one, number)
    handle = await place.open(one)
    await place.confirm(handle, await place.pay(one))
    return one, (await place.documents(one))[-1]["invoice_id"]


async def sweep(place: Shop) -> None:
    key = place.engines.settings.assertion_public_key
    await EInvoiceStarter(place.database, place.client, key).start_einvoices()


async def row(place: Shop, invoice_id: str) -> dict[str, Any]:
    return (await place.rows("SELECT * FROM finance.einvoices WHERE invoice_id = %s", invoice_id))[0]


async def until(place: Shop, invoice_id: str, status: str) -> dict[str, Any]:
    return await eventually(lambda: row(place, invoice_id), lambda each: each["status"] == status)


def process(place: Shop, invoice_id: str) -> WorkflowHandle[Any, Any]:
    return place.client.get_workflow_handle(workflow_id(Kind.EINVOICE, invoice_id))


def asked(place: Shop, invoice_id: str, action: str, role: str = "finance") -> Correct:
    assertion = Assertion(
        subject="usr_finance",
        role=role,
        workflow_id=workflow_id(Kind.EINVOICE, invoice_id),
        action=action,
        expires_at=datetime.now(UTC) + LIFETIME,
    )
    key = place.engines.settings.assertion_key.get_secret_value()
    return Correct(signed=sign(key, assertion))


async def registrations(place: Shop) -> list[str]:
    answer = await place.http.get("/_control/journal", params={"target": "irp"})
    effects = [item["effect"] for item in answer.json()["items"] if item["effect"]]
    return [effect["irn"] for effect in effects if "cancelled" not in effect]


async def test_it_is_registered_once_however_often_it_is_swept(place: Shop) -> None:
    _, invoice_id = await sold(place, gstin())
    assert (await row(place, invoice_id))["status"] == "pending"
    await sweep(place)
    found = await until(place, invoice_id, "registered")
    assert len(found["irn"]) == 64
    assert found["signed_qr"].count(".") == 2
    await place.rows("UPDATE finance.einvoices SET start_at = 'epoch' RETURNING 1")
    await sweep(place)
    assert (await registrations(place)).count(found["irn"]) == 1
    assert b"Verma" not in bytes(found["signed_invoice"])


@pytest.mark.parametrize("fault", ["timeout_after", "error_5xx", "error_429"])
async def test_a_lost_answer_is_found_at_the_portal(place: Shop, fault: str) -> None:
    _, invoice_id = await sold(place, gstin())
    await place.control("/faults", target="irp", fault=fault, times=1, seconds=0.2, match="v1.03/Invoice")
    await sweep(place)
    found = await until(place, invoice_id, "registered")
    assert (await registrations(place)).count(found["irn"]) == 1


async def test_a_buyer_without_an_address_has_that_of_the_register(place: Shop) -> None:
    one = await place.purchase()
    async with place.database.transaction() as connection:
        profile = {"billing": {"name": "Verma & Co", "state": "MH", "gstin": gstin()}}
        await identity_profiles.change(connection, place.vault, one.user_id, profile, datetime.now(UTC))
    await place.confirm(await place.open(one), await place.pay(one))
    invoice_id = (await place.documents(one))[-1]["invoice_id"]
    await sweep(place)
    assert (await until(place, invoice_id, "registered"))["recipient_address"]


async def test_a_private_buyer_needs_none(place: Shop) -> None:
    one = await place.bought()
    [document] = await place.documents(one)
    rows = await place.rows("SELECT 1 FROM finance.einvoices WHERE invoice_id = %s", document["invoice_id"])
    assert rows == []


async def test_a_refused_document_waits_for_finance_and_is_tried_again(place: Shop) -> None:
    number = gstin()
    await place.control("/irp/gstin", gstin=number, status="cancelled")
    _, invoice_id = await sold(place, number)
    await sweep(place)
    assert (await until(place, invoice_id, "attention"))["failure_code"] == "irp_3029"
    handle = process(place, invoice_id)

    async def marked() -> bool | None:
        return (await handle.describe()).typed_search_attributes.get(Attribute.NEEDS_ATTENTION.value)

    await eventually(marked, bool)
    forged = asked(place, invoice_id, "retry", role="support")
    assert await refusal(handle.execute_update("retry", forged)) == "role_required"
    await place.control("/irp/gstin", gstin=number, status="active")
    view = await handle.execute_update("retry", asked(place, invoice_id, "retry"))
    assert view["status"] in ("registered", "attention")
    assert (await until(place, invoice_id, "registered"))["failure_code"] is None
    await eventually(marked, lambda flag: flag is False)


async def test_a_wrong_buyer_is_corrected_under_a_new_number(place: Shop) -> None:
    """Never registered, or cancelled at the portal within its day: the number is void, and says why."""
    wrong, right, last = gstin(), gstin(), gstin()
    await place.control("/irp/gstin", gstin=wrong, status="unknown")
    one, first = await sold(place, wrong)
    await sweep(place)
    await until(place, first, "attention")
    await billed(place, one, right)
    view = await process(place, first).execute_update("reissue", asked(place, first, "reissue"))
    second = (
        await eventually(lambda: _standing(place, one), lambda rows: len(rows) == 1 and rows[0] != first)
    )[0]
    assert view["replaced_by"] in (second, None)
    await sweep(place)
    registered = await until(place, second, "registered")
    await billed(place, one, last)

    handle = process(place, second)
    await eventually(lambda: _waits_final(handle), bool)
    await handle.execute_update("reissue", asked(place, second, "reissue"))
    assert (await until(place, second, "void"))["cancelled_at"] is not None
    [third] = await _standing(place, one)
    documents = {each["invoice_id"]: each for each in await place.documents(one)}
    assert [documents[each]["status"] for each in (first, second, third)] == ["void", "void", "issued"]
    assert [documents[each]["buyer_gstin"] for each in (first, second, third)] == [wrong, right, last]
    assert {each["total"] for each in documents.values()} == {documents[first]["total"]}
    async with place.database.reading() as connection:
        year = documents[first]["financial_year"]
        series = await voids.series(connection, "invoice", year)
    numbers = [each["sequence"] for each in series]
    assert numbers == list(range(1, len(numbers) + 1))
    why = {each["invoice_id"]: (each["reason"], each["replaced_by"]) for each in series}
    assert why[first] == ("refused_by_portal", second)
    assert why[second] == ("cancelled_at_portal", third)
    assert await handle.result() == "void"
    answer = await place.http.get(f"/irp/eicore/v1.03/Invoice/irn/{registered['irn']}")
    assert answer.json()["Data"]["Status"] == "CNL"


async def test_a_buyer_in_another_state_is_not_corrected_but_refunded(place: Shop) -> None:
    one, invoice_id = await sold(place, gstin())
    await sweep(place)
    await until(place, invoice_id, "registered")
    handle = process(place, invoice_id)
    await eventually(lambda: _waits_final(handle), bool)
    await billed(place, one, "29" + gstin()[2:], "KA")
    asking = handle.execute_update("reissue", asked(place, invoice_id, "reissue"))
    assert await refusal(asking) == "place_of_supply_differs"
    assert (await row(place, invoice_id))["status"] == "registered"


async def test_after_a_day_it_is_final(place: Shop) -> None:
    _, invoice_id = await sold(place, gstin())
    await sweep(place)
    await until(place, invoice_id, "registered")
    handle = process(place, invoice_id)
    await eventually(lambda: _waits_final(handle), bool)
    await TimeSkipper(place.client).fast_forward(handle, timedelta(hours=25))
    assert await handle.result() == "registered"


async def _standing(place: Shop, one: Purchase) -> list[str]:
    return [each["invoice_id"] for each in await place.documents(one) if each["status"] == "issued"]


async def _waits_final(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether the process has heard of its registration."""
    return await _state(handle) == "registered"


async def test_the_note_of_a_refund_is_registered_too(place: Shop) -> None:
    one, invoice_id = await sold(place, gstin())
    await sweep(place)
    await until(place, invoice_id, "registered")
    refund_id, _ = await place.refund(one, "finance", "usr_finance", amount=500_00)
    [note] = await eventually(lambda: _notes(place, refund_id), bool)
    assert (note["kind"], note["original_invoice_id"]) == ("credit_note", invoice_id)
    await sweep(place)
    assert (await until(place, note["invoice_id"], "registered"))["irn"] in await registrations(place)
    asking = process(place, invoice_id).execute_update("reissue", asked(place, invoice_id, "reissue"))
    assert await refusal(asking) == "has_credit_notes"


async def away(place: Shop, invoice_id: str) -> WorkflowHandle[Any, Any]:
    """The process, once a portal that does not answer has made it wait."""
    handle = process(place, invoice_id)

    async def waits() -> bool:
        history = await handle.fetch_history()
        return any(event.HasField("timer_started_event_attributes") for event in history.events)

    await eventually(waits, bool)
    return handle


async def absent(place: Shop) -> None:
    """The portal fails each call of one round of tries."""
    await place.control("/faults", target="irp", fault="error_5xx", match="v1.03/Invoice", times=4)


async def test_a_portal_that_is_away_is_tried_again_by_itself_and_by_finance(place: Shop) -> None:
    _, invoice_id = await sold(place, gstin())
    await absent(place)
    await sweep(place)
    handle = await away(place, invoice_id)
    assert (await row(place, invoice_id))["status"] == "pending"
    refused = handle.execute_update("reissue", asked(place, invoice_id, "reissue"))
    assert await refusal(refused) == "einvoice_pending"
    await handle.execute_update("retry", asked(place, invoice_id, "retry"))
    await until(place, invoice_id, "registered")

    _, other_id = await sold(place, gstin())
    await absent(place)
    await sweep(place)
    handle = await away(place, other_id)
    await TimeSkipper(place.client).fast_forward(handle, timedelta(minutes=2))
    await until(place, other_id, "registered")


async def test_a_document_in_its_last_week_is_shown_to_a_person(place: Shop) -> None:
    _, invoice_id = await sold(place, gstin())
    await place.rows(
        "UPDATE finance.einvoices SET report_by = report_by - 25 WHERE invoice_id = %s RETURNING 1",
        invoice_id,
    )
    await absent(place)
    await sweep(place)
    handle = await away(place, invoice_id)
    described = await handle.describe()
    found = described.typed_search_attributes
    assert found.get(Attribute.NEEDS_ATTENTION.value) is True
    due = found.get(Attribute.DUE.value)
    assert due is not None
    assert due - datetime.now(UTC) < timedelta(days=6)
    await handle.execute_update("retry", asked(place, invoice_id, "retry"))
    await until(place, invoice_id, "registered")


async def _notes(place: Shop, refund_id: str) -> list[dict[str, Any]]:
    return await place.rows("SELECT * FROM finance.invoices WHERE refund_id = %s", refund_id)


async def _state(handle: WorkflowHandle[Any, Any]) -> str | None:
    try:
        return (await handle.describe()).typed_search_attributes.get(Attribute.STATE.value)
    except RPCError:
        return None


async def test_a_dear_invoice_names_the_address_that_kyc_holds(place: Shop) -> None:
    """Rule 46(e): from ₹50,000 an unregistered buyer's too; below, only one that was given for it."""
    address = onboarding_submissions.Address(**MUMBAI)
    shown = []
    for amount in (49_999_00, 50_000_00):
        one = await place.purchase(amount=amount)
        await place.rows(
            "UPDATE user_management.kyc_status SET tier = 'advanced' WHERE user_id = %s RETURNING 1",
            one.user_id,
        )
        facts = onboarding_submissions.Facts(
            full_name="Asha Verma", date_of_birth=date(1990, 1, 1), pan="AAAPL1234C", address=address,
            share_code="1234",
        )  # fmt: skip
        async with place.database.transaction() as connection:
            await onboarding_submissions.write(
                connection, place.vault, submission_id=mint(Prefix.ONBOARDING), user_id=one.user_id,
                tier=Tier.BASIC, facts=facts, aadhaar_file=b"", documents=[], consent_version="1",
                now=datetime.now(UTC),
            )  # fmt: skip
        await place.confirm(await place.open(one), await place.pay(one))
        [document] = await place.documents(one)
        async with place.database.transaction() as connection:
            billed = await invoices.recipient(connection, place.vault, document)
        shown.append(billed.address and billed.address["line1"])
    assert shown == [None, "1 Marine Drive"]


async def test_a_refund_after_the_buyer_was_erased_still_has_its_note(place: Shop) -> None:
    """Who is billed stays on the documents (CGST s.36) when the person's own key is gone."""
    one = await place.bought()
    async with place.database.transaction() as connection:
        await place.vault.forget(connection, one.user_id)
    refund_id, _ = await place.refund(one, "finance", "usr_finance")
    await place.refund_row(refund_id, "processed")
    [note] = await _notes(place, refund_id)
    async with place.database.transaction() as connection:
        billed = await invoices.recipient(connection, place.vault, note)
    assert billed.name == "Asha Verma"
    assert note["total"] == (await place.payment(one))["amount"]
