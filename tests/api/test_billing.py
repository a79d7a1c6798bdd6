"""Payments, invoices and refunds over HTTP, with the gateway's own webhooks coming in."""

import asyncio
import csv
import io
from typing import Any

import pytest

from models.contracts.identifiers import Prefix, mint
from tests.api.till import Counter, key
from tests.workflows.shop import AMOUNT, eventually


async def test_a_checkout_is_paid_told_by_webhook_and_invoiced(till: Counter) -> None:
    person, reference_id = await till.customer()
    created = await till.create(person, reference_id)
    assert created.status_code == 201, created.text
    checkout = created.json()
    assert {name: checkout[name] for name in ("gateway", "amount", "currency", "payment_status")} == {
        "gateway": "razorpay",
        "amount": AMOUNT,
        "currency": "INR",
        "payment_status": "created",
    }
    assert checkout["key_id"]
    assert checkout["mandate"] == {"max_amount": 15_000_00}
    again = await till.create(person, reference_id)
    assert again.json()["gateway_order_id"] == checkout["gateway_order_id"]

    await till.pay(checkout)
    status = await till.settled(person, checkout["payment_id"])
    assert [step["status"] for step in status["timeline"]] == ["created", "authorized", "captured"]
    assert "webhook" in {step["source"] for step in status["timeline"]}
    listed = (await till.api.get("/v1/payments", headers=person.headers)).json()
    assert [item["payment_id"] for item in listed["items"]] == [checkout["payment_id"]]

    invoice = (
        await till.api.get(f"/v1/billing/invoices/{status['invoice_id']}", headers=person.headers)
    ).json()
    assert invoice["number"].startswith("TR/")
    assert (invoice["taxable"], invoice["cgst"], invoice["sgst"], invoice["igst"]) == (
        169_406,
        15_247,
        15_247,
        0,
    )
    assert (invoice["total"], invoice["place_of_supply"], invoice["rate"]) == (AMOUNT, "KA", 18)
    pdf = await till.api.get(f"/v1/billing/invoices/{status['invoice_id']}.pdf", headers=person.headers)
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF")
    items = (await till.api.get("/v1/billing/invoices", headers=person.headers)).json()["items"]
    assert [item["invoice_id"] for item in items] == [status["invoice_id"]]


async def test_a_key_gets_its_first_answer_however_far_the_payment_went(till: Counter) -> None:
    person, reference_id = await till.customer()
    first, second = key(), key()
    checkout = await till.create(person, reference_id, **first)
    joined = await till.create(person, reference_id, **second)
    assert joined.json() == checkout.json()
    await till.pay(checkout.json())
    await till.settled(person, checkout.json()["payment_id"])
    for given in (first, second):
        again = await till.create(person, reference_id, **given)
        assert (again.status_code, again.json()) == (201, checkout.json())
        assert again.headers["Idempotency-Replayed"] == "true"
    # A request of its own finds the reference paid, though its process has not moved on yet.
    assert (await till.create(person, reference_id)).status_code == 409


async def test_a_genuine_callback_is_answered_before_and_after_the_end(till: Counter) -> None:
    person, reference_id = await till.customer()
    checkout = (await till.create(person, reference_id)).json()
    brought = await till.pay(checkout)
    first = await till.confirm(person, checkout, brought)
    assert (first.status_code, first.json()["status"]) == (200, "captured")
    later = await till.confirm(person, checkout, brought)
    assert (later.status_code, later.json()["status"]) == (200, "captured")
    forged = await till.confirm(person, checkout, {**brought, "razorpay_signature": "0" * 64})
    assert (forged.status_code, forged.json()["code"]) == (422, "signature_invalid")
    other_order = await till.confirm(
        person, checkout, {**brought, "razorpay_order_id": "order_00000000000000"}
    )
    assert other_order.json()["code"] == "signature_invalid"


async def test_a_forged_callback_changes_nothing(till: Counter) -> None:
    person, reference_id = await till.customer()
    checkout = (await till.create(person, reference_id)).json()
    forged = {
        "razorpay_payment_id": "pay_00000000000000",
        "razorpay_order_id": checkout["gateway_order_id"],
        "razorpay_signature": "0" * 64,
    }
    answer = await till.confirm(person, checkout, forged)
    assert (answer.status_code, answer.json()["code"]) == (422, "signature_invalid")
    status = await till.settled(person, checkout["payment_id"], "created")
    assert status["invoice_id"] is None


@pytest.mark.parametrize("fault", ["duplicate_webhook", "reorder_webhooks", "tampered_webhook"])
async def test_webhooks_that_misbehave_still_give_one_capture(till: Counter, fault: str) -> None:
    person, reference_id = await till.customer()
    checkout = (await till.create(person, reference_id)).json()
    await till.shop.control("/faults", target="razorpay", match="payment.", fault=fault, times=2, seconds=0.2)
    brought = await till.pay(checkout)
    status = await till.settled(person, checkout["payment_id"])
    assert status["invoice_id"]
    assert len(await till.shop.effects("captured", brought["razorpay_payment_id"])) == 1


async def test_two_requests_at_once_open_one_payment(till: Counter) -> None:
    person, reference_id = await till.customer()
    answers = await asyncio.gather(*(till.create(person, reference_id) for _ in range(4)))
    made = {answer.json()["gateway_order_id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert all(answer.status_code in (201, 409) for answer in answers)
    rows = await till.shop.rows("SELECT 1 FROM finance.payments WHERE reference_id = %s", reference_id)
    assert len(rows) == 1


async def test_without_kyc_no_payment_and_with_it_one(till: Counter) -> None:
    person, reference_id = await till.customer(kyc=False)
    refused = await till.create(person, reference_id)
    assert (refused.status_code, refused.json()["code"]) == (403, "kyc_tier_required")
    await till.verify(person)
    assert (await till.create(person, reference_id)).status_code == 201


async def test_a_large_payment_needs_a_fresh_second_factor(till: Counter) -> None:
    person, reference_id = await till.customer()
    await till.shop.rows(
        "UPDATE finance.user_subscriptions SET amount = 5000001 WHERE subscription_id = %s RETURNING 1",
        reference_id,
    )
    asked = await till.create(person, reference_id)
    assert (asked.status_code, asked.json()["code"]) == (403, "step_up_required")
    asked = await till.create(person, reference_id, **await till.api.stepped_up(person))
    assert (asked.status_code, asked.json()["code"]) == (403, "kyc_tier_required")


async def test_without_a_billing_state_no_payment(till: Counter) -> None:
    person = await till.api.signed_in()
    await till.verify(person)
    refused = await till.create(person, await till.wants(person))
    assert (refused.status_code, refused.json()["code"]) == (422, "billing_state_required")


async def test_others_see_nothing_and_nobody_pays_for_anothers(till: Counter) -> None:
    _, paid = await till.bought()
    stranger, _ = await till.customer()
    for path in (f"payments/{paid['payment_id']}/status", f"billing/invoices/{paid['invoice_id']}",
                 f"billing/invoices/{paid['invoice_id']}.pdf"):  # fmt: skip
        assert (await till.api.get(f"/v1/{path}", headers=stranger.headers)).status_code == 404
        assert (await till.api.get(f"/v1/{path}")).status_code == 401
    assert (await till.create(stranger, paid["reference_id"])).status_code == 404
    unknown = mint(Prefix.PAYMENT)
    assert (await till.api.get(f"/v1/payments/{unknown}/status", headers=stranger.headers)).status_code == 404
    body = {"payment_id": paid["payment_id"], "reason": "mine"}
    asked = await till.api.post("/v1/payments/refund", json=body, headers={**stranger.headers, **key()})
    assert asked.status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"purpose": "gift", "reference_id": "sub_1"}, 422),
        ({"purpose": "course"}, 422),
        ({"purpose": "course", "reference_id": "enr_1", "amount": 1}, 422),
        ({"purpose": "course", "reference_id": 5}, 422),
        ([], 422),
    ],
)
async def test_what_is_no_payment_is_refused(till: Counter, body: Any, status: int) -> None:
    person = await till.api.signed_in()
    answer = await till.api.post("/v1/payments/create", json=body, headers={**person.headers, **key()})
    assert answer.status_code == status
    without = await till.api.post("/v1/payments/create", json=body, headers=person.headers)
    assert (without.status_code, without.json()["code"]) == (400, "idempotency_key_required")


# Refunds and finance


async def test_support_asks_finance_agrees_and_the_money_is_back(till: Counter) -> None:
    person, paid = await till.bought()
    support, finance = await till.api.staff("support"), await till.api.staff("finance")
    body = {"payment_id": paid["payment_id"], "reason": "the customer was charged by mistake"}
    mine = await till.api.post("/v1/payments/refund", json=body, headers={**person.headers, **key()})
    assert (mine.status_code, mine.json()["code"]) == (403, "refund_not_granted")
    given = key()
    asked = await till.api.post("/v1/payments/refund", json=body, headers={**support.headers, **given})
    assert (asked.status_code, asked.json()["status"]) == (202, "requested")
    repeat = await till.api.post("/v1/payments/refund", json=body, headers={**support.headers, **given})
    assert repeat.json() == asked.json()
    assert repeat.headers["Idempotency-Replayed"] == "true"
    unkeyed = await till.api.post("/v1/payments/refund", json=body, headers=support.headers)
    assert (unkeyed.status_code, unkeyed.json()["code"]) == (400, "idempotency_key_required")
    notes = await till.shop.rows("SELECT note_id FROM platform.notes WHERE author = %s", support.user_id)
    row = await till.shop.refund_row(asked.json()["refund_id"], "requested")
    assert [note["note_id"] for note in notes] == [row["note_id"]]

    approve = f"/v1/finance/refunds/{asked.json()['refund_id']}/approve"
    assert (await till.api.post(approve, json={}, headers=support.headers)).status_code == 403
    for action in ("approve", "reject"):
        for path in (f"finance/refunds/{row['refund_id']}/{action}", f"staff/runs/refund:{row['refund_id']}/actions/{action}"):  # fmt: skip # noqa: E501
            # Told before the body is looked at.
            unkeyed = await till.api.post(f"/v1/{path}", json={"more": 1}, headers=finance.headers)
            assert (unkeyed.status_code, unkeyed.json()["code"]) == (400, "idempotency_key_required"), path
    given = key()
    agreed = await till.api.post(approve, json={}, headers={**finance.headers, **given})
    assert agreed.status_code == 200, agreed.text
    again = await till.api.post(approve, json={}, headers={**finance.headers, **given})
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (agreed.json(), "true")

    async def read() -> dict[str, Any]:
        path = f"/v1/payments/refunds/{asked.json()['refund_id']}?wait=5"
        return (await till.api.get(path, headers=person.headers)).json()

    refund = await eventually(read, lambda found: found["status"] == "processed")
    assert refund["amount"] == AMOUNT
    status = await till.settled(person, paid["payment_id"], "refunded")
    assert status["amount_refunded"] == AMOUNT
    documents = (await till.api.get("/v1/billing/invoices", headers=person.headers)).json()["items"]
    assert [item["kind"] for item in documents] == ["credit_note", "invoice"]
    assert documents[0]["original_invoice_id"] == documents[1]["invoice_id"]
    pdf = await till.api.get(f"/v1/billing/invoices/{documents[0]['invoice_id']}.pdf", headers=person.headers)
    assert pdf.content.startswith(b"%PDF")
    stranger, _ = await till.customer()
    path = f"/v1/payments/refunds/{asked.json()['refund_id']}"
    assert (await till.api.get(path, headers=stranger.headers)).status_code == 404


async def test_finance_reads_a_book_that_balances(till: Counter) -> None:
    _, paid = await till.bought()
    finance, customer = await till.api.staff("finance"), await till.api.signed_in()
    balance = (await till.api.get("/v1/finance/trial-balance", headers=finance.headers)).json()
    assert balance["total_debit"] == balance["total_credit"] > 0
    assert sum(item["debit"] for item in balance["items"]) == balance["total_debit"]
    query = {"reference": paid["payment_id"]}
    lines = (await till.api.get("/v1/finance/ledger", params=query, headers=finance.headers)).json()["items"]
    assert {(line["account"], line["debit"], line["credit"]) for line in lines} == {
        ("gateway_clearing", AMOUNT, 0),
        ("deferred_revenue", 0, 169_406),
        ("output_cgst", 0, 15_247),
        ("output_sgst", 0, 15_247),
    }
    unknown = await till.api.get("/v1/finance/ledger?account=nowhere", headers=finance.headers)
    assert unknown.status_code == 422
    for path in ("trial-balance", "ledger", "payments", "refunds", "payouts", "gst?period=2026-11"):
        assert (await till.api.get(f"/v1/finance/{path}", headers=finance.headers)).status_code == 200
        assert (await till.api.get(f"/v1/finance/{path}", headers=customer.headers)).status_code == 403
        assert (await till.api.get(f"/v1/finance/{path}")).status_code == 401
        as_csv = await till.api.get(f"/v1/finance/{path}", headers={**finance.headers, "Accept": "text/csv"})
        assert as_csv.headers["content-type"].startswith("text/csv")
        rows = list(csv.reader(io.StringIO(as_csv.text)))
        assert all(len(row) == len(rows[0]) for row in rows)


async def test_the_months_tax_ties_to_the_ledger(till: Counter) -> None:
    await till.bought()
    finance = await till.api.staff("finance")
    rows = await till.shop.rows(
        "SELECT DISTINCT to_char(issued_on, 'YYYY-MM') AS month FROM finance.invoices"
    )
    due = dict.fromkeys(("cgst", "sgst", "igst"), 0)
    for row in rows:
        answer = await till.api.get(f"/v1/finance/gst?period={row['month']}", headers=finance.headers)
        for tax in due:
            due[tax] += answer.json()[tax]
    balance = (await till.api.get("/v1/finance/trial-balance", headers=finance.headers)).json()
    booked = {item["account"]: item["credit"] - item["debit"] for item in balance["items"]}
    assert due == {tax: booked[f"output_{tax}"] for tax in due}
