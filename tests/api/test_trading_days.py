"""A customer's day over HTTP: compared on request, its statement, holdings; and its breaks for staff."""

import csv
import io
import secrets
from typing import Any

import httpx
import pytest

from tests.api.conftest import Person
from tests.api.test_trading import Desk
from tests.api.test_trading import desk as desk  # the fixture
from tests.workflows.traders import TRADING_MORNING, eventually

DAY = TRADING_MORNING[:10]


async def statement(desk: Desk, person: Person, account_id: str, **more: Any) -> httpx.Response:
    query = {"account_id": account_id, "date": DAY}
    headers = {**person.headers, **more}
    return await desk.api.get("/v1/trading/statement", params=query, headers=headers)


async def compare(desk: Desk, person: Person, account_id: str, day: str = DAY) -> httpx.Response:
    headers = {**person.headers, "Idempotency-Key": secrets.token_hex(8)}
    path = f"/v1/trading/accounts/{account_id}/reconciliation"
    return await desk.api.post(path, json={"date": day}, headers=headers)


async def test_a_day_is_compared_on_request_and_stated_with_its_charges(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    placed = await desk.place(person, account_id)
    await desk.reaches(person, placed.json()["order_id"], "filled")
    before = (await statement(desk, person, account_id)).json()
    assert (before["status"], before["totals"]["charges"], before["totals"]["net"]) == (None, None, None)

    asked = await compare(desk, person, account_id)
    assert asked.status_code == 202, asked.text

    async def settled() -> dict[str, Any] | None:
        found = (await statement(desk, person, account_id)).json()
        return found if found["status"] == "balanced" else None

    found = await eventually(settled, "the day to be compared")
    (line,) = found["positions"]
    assert (line["bought"], line["closing_quantity"], line["opening_quantity"]) == (2, 2, 0)
    (charge,) = found["charges"]
    parts = ("brokerage", "transaction_tax", "exchange_fee", "regulator_fee", "stamp_duty", "gst")
    assert charge["total"] > 0
    # Each figure is rounded by itself: the total is the broker's own.
    assert abs(sum(charge[name] for name in parts) - charge["total"]) <= len(parts)
    assert found["totals"]["net"] == -charge["total"]
    positions = (await desk.api.get("/v1/trading/positions", headers=person.headers)).json()["items"]
    assert [item["charges"] for item in positions] == [charge["total"]]

    told = await statement(desk, person, account_id, Accept="text/csv")
    assert told.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(told.text))
    assert (row["symbol"], row["closing_quantity"], row["charges"]) == ("TCS", "2", str(charge["total"]))
    assert (await desk.api.get("/v1/trading/holdings", headers=person.headers)).json()["items"] == []


async def test_another_persons_day_is_not_found_and_breaks_are_for_staff(desk: Desk) -> None:
    _, account_id, _ = await desk.trader()
    stranger = await desk.customer()
    assert (await statement(desk, stranger, account_id)).status_code == 404
    assert (await compare(desk, stranger, account_id)).status_code == 404
    assert (await desk.api.get("/v1/trading/breaks", headers=stranger.headers)).status_code == 403
    support = await desk.api.staff("support")
    assert (await desk.api.get("/v1/trading/breaks", headers=support.headers)).status_code == 200
    assert (await statement(desk, support, account_id)).status_code == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [({"date": DAY}, 422), ({"account_id": "acc"}, 422), ({"account_id": "acc", "date": "23-11-2026"}, 422)],
)
async def test_a_statement_needs_an_account_and_a_day(desk: Desk, query: dict[str, str], status: int) -> None:
    person = await desk.customer()
    answer = await desk.api.get("/v1/trading/statement", params=query, headers=person.headers)
    assert answer.status_code == status


async def test_a_day_that_has_not_come_is_not_compared(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    answer = await compare(desk, person, account_id, "2999-01-01")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "date_ahead")


async def test_a_customer_sets_limits_below_the_firms_and_reminders(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    path = f"/v1/trading/accounts/{account_id}"
    answer = await desk.api.put(path, json={"max_order_value": 5_000_00}, headers=person.headers)
    assert (answer.status_code, answer.json()["max_order_value"]) == (200, 5_000_00), answer.text
    (shown,) = (await desk.api.get("/v1/trading/accounts", headers=person.headers)).json()["items"]
    assert (shown["max_order_value"], shown["session_reminders"]) == (5_000_00, False)
    refused = await desk.place(person, account_id)
    assert refused.json()["reason_code"] == "order_value_limit"
    for body in ({"max_order_value": 10**12}, {"max_open_positions": 0}, {"unknown": 1}):
        assert (await desk.api.put(path, json=body, headers=person.headers)).status_code == 422
    stranger = await desk.customer()
    assert (await desk.api.put(path, json={}, headers=stranger.headers)).status_code == 404
