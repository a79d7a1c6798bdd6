"""A settlement day over HTTP: what is known of each break, who acts, and the day as CSV and as PDF."""

import csv
import io
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from cli.embedded import EmbeddedEngines
from domain.reconciliation import decide_by
from tests.api.conftest import Api, Person
from tests.workflows.settlements import SettlementDay, decide, served
from tests.workflows.subscribers import refusal, town


@pytest.fixture(scope="module")
async def buyer(api: Api) -> Person:
    """Of finance, and a customer too."""
    return await api.staff("finance")


@pytest.fixture(scope="module")
async def day(engines: EmbeddedEngines, buyer: Person) -> AsyncIterator[SettlementDay]:
    """Three payments and a refund settled; one fee wrong, the buyer's, one line missing and claimed."""
    async with town(engines, engines.settings.postgres, serve=False) as place, served(place):
        made = SettlementDay(place)
        # A day looks for what came late to the day compared before it: here an empty one, not one of others.
        await SettlementDay(place, made.date - timedelta(days=3)).reconcile()
        await made.begin()
        paid = [await made.paid(1_999_00, buyer.user_id)]
        paid += [await made.paid(amount) for amount in (60_000_00, 7_000_00)]
        await made.refunded(paid[2], 500_00)
        await made.settle()
        await made.plant("wrong_fee", payment_id=paid[0].id, amount=99_00)
        await made.plant("missing_line", payment_id=paid[2].id)
        missing = next(one for one in (await made.reconcile()).breaks if one.kind == "missing_line")
        await decide(made, missing, "claim_gateway")
        yield made


@pytest.fixture(scope="module")
async def finance(api: Api) -> Person:
    return await api.staff("finance")


async def test_a_break_says_what_is_known_how_old_it_is_and_who_acts(
    api: Api, day: SettlementDay, finance: Person
) -> None:
    url = f"/v1/finance/breaks?date={day.date.isoformat()}"
    items = (await api.get(url, headers=finance.headers)).json()["items"]
    assert {item["kind"] for item in items} == {"wrong_fee", "missing_line"}
    fee = next(item for item in items if item["kind"] == "wrong_fee")
    assert (fee["status"], fee["who_acts"], fee["two_people"]) == ("open", "finance", False)
    assert (fee["age_days"], fee["overdue"]) == (0, False)
    opened = datetime.fromisoformat(fee["opened_at"])
    assert datetime.fromisoformat(fee["due_at"]) == decide_by(opened) > datetime.now(UTC)
    assert fee["resolve"] == f"POST /v1/finance/breaks/{fee['break_id']}/resolve"
    known = fee["known"]
    assert (known["line_kind"], known["line_fee"], known["line_amount"]) == ("payment", 99_00, 1_999_00)
    assert known["agreed_fee"] == fee["expected"]
    assert (fee["difference_tax"], known["agreed_tax"]) == (0, known["line_tax"])
    assert known["gateway_order_id"].startswith("order_")
    assert fee["utr"]
    assert fee["settlement_id"].startswith("setl_")
    claimed = (await api.get(f"{url}&claim=open", headers=finance.headers)).json()["items"]
    assert [(item["kind"], item["who_acts"], item["claim"]) for item in claimed] == [
        ("missing_line", "the gateway", "open")
    ]
    assert (await api.get(f"{url}&claim=settled", headers=finance.headers)).json()["items"] == []
    assert (await api.get(f"{url}&claim=never", headers=finance.headers)).status_code == 422


async def test_the_day_names_what_reached_the_bank_under_which_utr(
    api: Api, day: SettlementDay, finance: Person
) -> None:
    path = f"/v1/finance/reconciliations/{day.date.isoformat()}"
    seen = (await api.get(path, headers=finance.headers)).json()
    [settlement] = seen["settlements"]
    assert settlement["lines"] == seen["bank"] == settlement["amount"] - settlement["unexplained"]
    # What the gateway paid and its report does not show: the missing payment, less its fee.
    assert settlement["unexplained"] > 6_800_00
    assert settlement["residual"] == 0
    assert [one["kind"] for one in seen["breaks"]] == ["wrong_fee", "missing_line"]
    runs = [one["workflow_id"] for one in await _found(api, settlement["utr"])]
    assert f"reconciliation:{day.date.isoformat()}" in runs


async def _found(api: Api, quoted: str) -> list[dict]:
    support = await api.staff("support")
    answer = await api.get("/v1/staff/search", params={"q": quoted}, headers=support.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["runs"]


async def test_the_lines_come_as_csv_and_the_day_as_pdf(
    api: Api, day: SettlementDay, finance: Person
) -> None:
    path = f"/v1/finance/reconciliations/{day.date.isoformat()}"
    sheet = await api.get(path, headers={**finance.headers, "Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(sheet.text)))
    assert sorted(row["verdict"] for row in rows) == ["matched", "matched", "wrong_fee"]
    wrong = next(row for row in rows if row["verdict"] == "wrong_fee")
    assert int(wrong["difference"]) == int(wrong["fee"]) - int(wrong["expected_fee"])
    assert all(row["matches"] and row["difference"] == "0" for row in rows if row["verdict"] == "matched")
    for url, accept in ((f"{path}.pdf", "*/*"), (path, "application/pdf")):
        paper = await api.get(url, headers={**finance.headers, "Accept": accept})
        assert (paper.status_code, paper.headers["content-type"]) == (200, "application/pdf")
        assert paper.content.startswith(b"%PDF-")
    for never in ("1999-01-01", "1999-01-01.pdf"):
        missing = await api.get(f"/v1/finance/reconciliations/{never}", headers=finance.headers)
        assert missing.status_code == 404
    customer = await api.signed_in()
    assert (await api.get(f"{path}.pdf", headers=customer.headers)).status_code == 403


async def test_nobody_decides_a_break_about_their_own_payment(
    api: Api, day: SettlementDay, buyer: Person, finance: Person
) -> None:
    listed = await api.get(f"/v1/finance/breaks?date={day.date.isoformat()}", headers=finance.headers)
    own = next(item for item in listed.json()["items"] if item["kind"] == "wrong_fee")
    run_id = f"break:{own['date']}:wrong_fee:{own['reference']}"
    body = {"resolution": "write_off", "note": "it is small"}
    for path in (f"/v1/finance/breaks/{own['break_id']}/resolve", f"/v1/staff/runs/{run_id}/actions/resolve"):
        headers = {**buyer.headers, "Idempotency-Key": secrets.token_hex(8)}
        answer = await api.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "own_case"), path
        unkeyed = await api.post(path, json={"more": 1}, headers=finance.headers)
        assert (unkeyed.status_code, unkeyed.json()["code"]) == (400, "idempotency_key_required"), path
    run = day.town.client.get_workflow_handle(run_id)
    signed = day.decision(run_id, "write_off", buyer.user_id)
    assert await refusal(run.execute_update("resolve", signed)) == "own_case"


async def test_what_was_written_at_a_decision_is_read_with_the_break(
    api: Api, day: SettlementDay, finance: Person
) -> None:
    url = f"/v1/finance/breaks?date={day.date.isoformat()}"
    for item in (await api.get(url, headers=finance.headers)).json()["items"]:
        body = {"resolution": "write_off", "note": f"the gateway's word about {item['kind']}"}
        headers = {**finance.headers, "Idempotency-Key": secrets.token_hex(8)}
        path = f"/v1/finance/breaks/{item['break_id']}/resolve"
        assert (await api.post(path, json=body, headers=headers)).status_code == 200
    day_read = await api.get(f"/v1/finance/reconciliations/{day.date.isoformat()}", headers=finance.headers)
    for seen in ((await api.get(url, headers=finance.headers)).json()["items"], day_read.json()["breaks"]):
        notes = {item["kind"]: (item["note"], item["claim_note"]) for item in seen}
        assert notes == {
            "wrong_fee": ("the gateway's word about wrong_fee", None),
            "missing_line": (None, "the gateway's word about missing_line"),
        }
        assert {item["kind"]: (len(item["notes"]), len(item["claim_notes"])) for item in seen} == {
            "wrong_fee": (1, 0),
            "missing_line": (0, 1),
        }
