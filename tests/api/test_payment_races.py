"""Requests at once under one idempotency key do one thing."""

import asyncio
from typing import Any

import httpx

from tests.api.till import Counter, key
from tests.workflows.shop import AMOUNT

AT_ONCE = 12


async def answered(send: Any) -> list[dict[str, Any]]:
    """The same request many times at once, each asked again while the first one runs; their answers."""

    async def one() -> dict[str, Any]:
        while True:
            answer: httpx.Response = await send()
            if answer.status_code != 409 or answer.json()["code"] != "idempotency_in_progress":
                assert answer.status_code in (201, 202), answer.text
                return dict(answer.json())
            assert answer.headers["Retry-After"] == "1"
            await asyncio.sleep(0.05)

    return await asyncio.gather(*(one() for _ in range(AT_ONCE)))


async def test_one_key_creates_one_payment(till: Counter) -> None:
    person, reference_id = await till.customer()
    given = key()
    answers = await answered(lambda: till.create(person, reference_id, **given))
    assert all(answer == answers[0] for answer in answers)
    rows = await till.shop.rows("SELECT * FROM finance.payments WHERE reference_id = %s", reference_id)
    assert [row["payment_id"] for row in rows] == [answers[0]["payment_id"]]
    refusals = "SELECT FROM finance.payment_refusals WHERE reference_id = %s"
    assert await till.shop.rows(refusals, reference_id) == []
    orders = await till.shop.effects("order_id", answers[0]["gateway_order_id"])
    assert len([effect for effect in orders if "payment_id" not in effect]) == 1


async def test_one_key_asks_for_one_refund(till: Counter) -> None:
    _, paid = await till.bought()
    finance, given = await till.api.staff("finance"), key()
    body = {"payment_id": paid["payment_id"], "amount": 500_00, "reason": "a partial good will"}

    async def send() -> httpx.Response:
        headers = {**finance.headers, **given}
        return await till.api.post("/v1/payments/refund", json=body, headers=headers)

    answers = await answered(send)
    assert {answer["refund_id"] for answer in answers} == {answers[0]["refund_id"]}
    row = await till.shop.refund_row(answers[0]["refund_id"], "processed")
    rows = await till.shop.rows("SELECT FROM finance.refunds WHERE payment_id = %s", paid["payment_id"])
    assert len(rows) == 1
    assert len(await till.shop.effects("refund_id", row["gateway_refund_id"])) == 1
    payment = await till.shop.rows(
        "SELECT amount_refunded, amount FROM finance.payments WHERE payment_id = %s", paid["payment_id"]
    )
    assert [(each["amount_refunded"], each["amount"]) for each in payment] == [(500_00, AMOUNT)]


async def test_the_same_key_with_another_body_is_refused_also_at_once(till: Counter) -> None:
    _, paid = await till.bought()
    finance, given = await till.api.staff("finance"), key()

    async def send(amount: int) -> httpx.Response:
        body = {"payment_id": paid["payment_id"], "amount": amount, "reason": "good will"}
        headers = {**finance.headers, **given}
        return await till.api.post("/v1/payments/refund", json=body, headers=headers)

    answers = await asyncio.gather(send(100_00), send(200_00))
    assert sorted(answer.status_code for answer in answers) == [202, 422]
    assert {a.json()["code"] for a in answers if a.status_code == 422} == {"idempotency_key_reused"}
    assert (
        len(await till.shop.rows("SELECT FROM finance.refunds WHERE payment_id = %s", paid["payment_id"]))
        == 1
    )
