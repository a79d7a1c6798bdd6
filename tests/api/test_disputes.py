"""Disputes over HTTP: told by the gateway's own webhooks, read and given up by finance; a refund's trail."""

from datetime import timedelta
from typing import Any

import pytest

from api.billing import refunds as refunding
from tests.api.till import Counter, key
from tests.workflows.shop import AMOUNT, eventually


async def _bought(till: Counter) -> tuple[Any, dict[str, Any]]:
    person, paid = await till.bought()
    await till.shop.rows(
        """UPDATE finance.user_subscriptions SET status = 'active' WHERE subscription_id =
               (SELECT reference_id FROM finance.payments WHERE payment_id = %s) RETURNING 1""",
        paid["payment_id"],
    )
    return person, paid


async def _disputed(till: Counter, payment_id: str) -> str:
    rows = await till.shop.rows("SELECT * FROM finance.payments WHERE payment_id = %s", payment_id)
    given = {"payment_id": rows[0]["gateway_payment_id"], "phase": "created"}
    return str((await till.shop.control("/razorpay/dispute", **given))["id"])


async def _read(till: Counter, path: str, who: Any, status: str) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        return (await till.api.get(path, headers=who.headers)).json()

    return await eventually(read, lambda found: found.get("status") == status)


async def test_a_dispute_is_told_by_webhook_and_given_up_by_finance(till: Counter) -> None:
    person, paid = await _bought(till)
    dispute_id = await _disputed(till, paid["payment_id"])
    finance, support = await till.api.staff("finance"), await till.api.staff("support")
    path = f"/v1/finance/disputes/{dispute_id}"
    found = await _read(till, path, finance, "open")
    assert (found["payment_id"], found["amount"], found["lost"]) == (paid["payment_id"], AMOUNT, 0)
    assert found["respond_by"]
    assert found["approvals_due"] == 1
    assert (await till.settled(person, paid["payment_id"], "disputed"))["status"] == "disputed"
    for who, status in ((person, 403), (support, 403)):
        assert (await till.api.get("/v1/finance/disputes", headers=who.headers)).status_code == status
    listed = await till.api.get("/v1/finance/disputes?status=open", headers=finance.headers)
    assert dispute_id in [item["dispute_id"] for item in listed.json()["items"]]
    as_csv = await till.api.get("/v1/finance/disputes", headers={**finance.headers, "Accept": "text/csv"})
    assert dispute_id in as_csv.text

    refund = {"payment_id": paid["payment_id"], "reason": "a chargeback is open"}
    asked = await till.api.post("/v1/payments/refund", json=refund, headers={**finance.headers, **key()})
    assert (asked.status_code, asked.json()["code"]) == (409, "payment_disputed")

    for unkeyed in (f"{path}/accept", f"/v1/staff/runs/dispute:{dispute_id}/actions/accept"):
        answer = await till.api.post(unkeyed, json={"more": 1}, headers=finance.headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required"), unkeyed
    body, given = {"reason": "the customer is right"}, key()
    accepted = await till.api.post(f"{path}/accept", json=body, headers={**finance.headers, **given})
    assert accepted.status_code == 200, accepted.text
    again = await till.api.post(f"{path}/accept", json=body, headers={**finance.headers, **given})
    assert again.json() == accepted.json()
    lost = await _read(till, path, finance, "lost")
    assert (lost["lost"], lost["approvals"], lost["notes"]) == (AMOUNT, 1, [body["reason"]])
    late = await till.api.post(f"{path}/accept", json=body, headers={**finance.headers, **key()})
    assert late.status_code == 409
    missing = await till.api.get("/v1/finance/disputes/disp_none", headers=finance.headers)
    assert missing.status_code == 404


async def test_a_refund_tells_its_whole_way_and_its_return(
    till: Counter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person, paid = await _bought(till)
    support, finance = await till.api.staff("support"), await till.api.staff("finance")
    body = {"payment_id": paid["payment_id"], "reason": "charged by mistake", "speed": "instant"}
    asked = await till.api.post("/v1/payments/refund", json=body, headers={**support.headers, **key()})
    refund_id = asked.json()["refund_id"]
    # The engines were down for long after the API had signed: what it signed for holds for its command.
    monkeypatch.setattr(refunding, "LIFETIME", timedelta(days=-1))
    approve = f"/v1/finance/refunds/{refund_id}/approve"
    agreed = await till.api.post(approve, json={"reason": "checked"}, headers={**finance.headers, **key()})
    assert agreed.status_code == 200, agreed.text
    path = f"/v1/payments/refunds/{refund_id}"
    refund = await _read(till, path, person, "processed")
    assert refund["reason_code"] == "requested"
    assert refund["credit_note_id"]
    assert refund["arn"]
    steps = [(step["status"], step["source"], step["actor"]) for step in refund["timeline"]]
    assert steps == [
        ("requested", "support", None),
        ("approved", "finance", None),
        ("pending", "gateway", None),
        ("processed", "gateway", None),
    ]
    assert {refund["note"], *(step["note"] for step in refund["timeline"])} == {None}
    for_staff = (await till.api.get(path, headers=finance.headers)).json()
    assert for_staff["note"] == "charged by mistake"
    assert [(step["actor"], step["note"]) for step in for_staff["timeline"]] == [
        (support.user_id, "charged by mistake"),
        (finance.user_id, "checked"),
        (None, None),
        (None, None),
    ]

    row = await till.shop.refund_row(refund_id, "processed")
    await till.shop.control("/razorpay/refund", refund_id=row["gateway_refund_id"], outcome="failed")
    await _read(till, path, finance, "manual_payout")
    payouts = "/v1/finance/payouts?by=bank&status=manual_payout"
    owed = (await till.api.get(payouts, headers=finance.headers)).json()["items"]
    assert refund_id in [item["refund_id"] for item in owed]
    by_gateway = (await till.api.get("/v1/finance/payouts?by=gateway", headers=finance.headers)).json()
    assert refund_id not in [item["refund_id"] for item in by_gateway["items"]]
    utr = f"HDFC{refund_id[-16:].upper()}"
    action = f"/v1/staff/runs/refund:{refund_id}/actions/paid_out"
    sent = {"utr": utr, "note": "by the afternoon's run"}
    paid_out = await till.api.post(action, json=sent, headers={**finance.headers, **key()})
    assert paid_out.status_code == 200, paid_out.text
    assert (await _read(till, path, person, "processed"))["utr"] == utr
    found = (await till.api.get(f"/v1/finance/payouts?utr={utr}", headers=finance.headers)).json()["items"]
    assert [item["refund_id"] for item in found] == [refund_id]
    last = (await till.api.get(path, headers=finance.headers)).json()["timeline"][-1]
    assert (last["actor"], last["note"]) == (finance.user_id, sent["note"])
    of_payment = f"/v1/finance/refunds?payment_id={paid['payment_id']}"
    assert len((await till.api.get(of_payment, headers=finance.headers)).json()["items"]) == 1


async def test_support_reads_why_finance_said_no_and_its_owner_does_not(till: Counter) -> None:
    _, paid = await _bought(till)
    support, finance = await till.api.staff("support"), await till.api.staff("finance")
    body = {"payment_id": paid["payment_id"], "reason": "a goodwill gesture"}
    asked = await till.api.post("/v1/payments/refund", json=body, headers={**support.headers, **key()})
    refund_id, reason = asked.json()["refund_id"], {"reason": "nothing was wrong"}
    path, reject = f"/v1/payments/refunds/{refund_id}", f"/v1/finance/refunds/{refund_id}/reject"
    said = await till.api.post(reject, json=reason, headers={**finance.headers, **key()})
    assert said.json()["status"] == "rejected"
    seen = await _read(till, path, support, "rejected")
    assert [step["note"] for step in seen["timeline"]] == [body["reason"], reason["reason"]]
    # Staff whose own purchase it is are customers there.
    await till.shop.rows(
        "UPDATE finance.refunds SET user_id = %s WHERE refund_id = %s RETURNING 1", support.user_id, refund_id
    )
    own = await _read(till, path, support, "rejected")
    assert {own["note"], *(step[name] for step in own["timeline"] for name in ("note", "actor"))} == {None}
