"""The book over HTTP: statements that add up, a day's revenue, the month's returns, and its close."""

import asyncio
import csv
import io
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.pages import encode
from cli.embedded import EmbeddedEngines
from domain.ledger import Account, Entry, credit, debit
from store import ledger
from tests.api.conftest import Api, Person, eventually
from tests.store.book import Book, noon
from tests.workflows.shop import shop

SOLD = date(2019, 1, 10)


@dataclass
class Office:
    """Finance at work on a book of its own."""

    api: Api
    book: Book
    finance: Person

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.api.get(f"/v1/finance/{path}", headers={**self.finance.headers, **headers})

    async def post(self, path: str, person: Person | None = None, **body: Any) -> httpx.Response:
        headers = {**(person or self.finance).headers, "Idempotency-Key": secrets.token_hex(8)}
        return await self.api.post(f"/v1/finance/{path}", json=body, headers=headers)

    async def read(self, path: str) -> dict[str, Any]:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def lines(self, path: str) -> list[dict[str, str]]:
        answer = await self.get(path, Accept="text/csv")
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.fixture(scope="module")
async def office(engines: EmbeddedEngines) -> AsyncIterator[Office]:
    dsn = engines.fresh_database()
    app = create_app(engines.settings.model_copy(update={"limit_factor": 1000.0, "postgres": dsn}))
    async with shop(engines, dsn) as serving, app.router.lifespan_context(app), Api(app) as api:
        yield Office(api, Book(serving.database, serving.vault), await api.staff("finance"))
    engines.drop_database(dsn)


async def test_the_chart_says_what_stands_on_each_account(office: Office) -> None:
    items = (await office.read("accounts"))["items"]
    assert [item["account"] for item in items] == list(Account)
    assert all(len(item["meaning"]) > 20 for item in items)
    assert len(await office.lines("accounts")) == len(items)


async def test_a_statement_runs_from_its_opening_to_its_closing_balance(office: Office) -> None:
    async with office.book.database.transaction() as connection:
        for number in range(1, 8):
            sides = (debit, credit) if number % 3 else (credit, debit)
            lines = sides[0](Account.BANK, 100 * number) + sides[1](Account.TDS_RECEIVABLE, 100 * number)
            day = date(2018, 5, number)
            entry = Entry(business_key=f"statement:{number}", date=day, lines=lines)
            await ledger.post(connection, entry, noon(day))
    path = "ledger?account=bank&from=2018-05-03&to=2018-05-06&limit=2"
    first = await office.read(path)
    second = await office.read(f"{path}&cursor={first['next_cursor']}")
    assert [item["balance"] for item in first["items"] + second["items"]] == [300, 900, 400, 0]
    for part in (first, second):
        assert (part["opening_balance"], part["closing_balance"]) == (300, 300)
    assert second["next_cursor"] is None
    [empty] = [await office.read("ledger?account=bank&from=2018-06-01&to=2018-06-30")]
    assert (empty["items"], empty["opening_balance"], empty["closing_balance"]) == ([], 1000, 1000)
    rows = await office.lines("ledger?account=bank&from=2018-05-03&to=2018-05-06")
    assert [row["balance"] for row in rows] == ["300", "900", "400", "0"]
    as_of = await office.read("trial-balance?as_of=2018-05-04")
    assert {item["account"]: item["balance"] for item in as_of["items"] if item["balance"]} == {
        "bank": 400,
        "tds_receivable": -400,
    }


async def test_a_cursor_of_no_line_is_taken_for_one(office: Office) -> None:
    for text in ("2018-05-03/jrn_x/99999999999999999999", "2018-05-03/jrn_x/-99999999999", "99-99/x", "/"):
        answer = await office.get(f"ledger?account=bank&cursor={encode(text)}")
        assert answer.status_code == 200, answer.text


async def test_a_day_is_recognised_over_http_and_told_by_payment(office: Office) -> None:
    payment_id = await office.book.planned(SOLD, 20)
    ahead = await office.post("revenue", date=(date.today() + timedelta(days=2)).isoformat())
    assert (ahead.status_code, ahead.json()["errors"][0]["code"]) == (422, "date_ahead")
    for _ in range(2):
        asked = await office.post("revenue", date="2019-01-31")
        assert asked.status_code == 202, asked.text
        done = await eventually(lambda: office.read("revenue/2019-01-31"), lambda found: found["items"])
        assert [run["subscriptions"] for run in done["items"]] == [0]
    runs = (await office.read("revenue/2019-01-29"))["items"]
    assert [run["subscriptions"] for run in runs] == [50_00]
    [row] = await office.lines("revenue/2019-01-29")
    assert (row["payment_id"], row["amount"]) == (payment_id, "5000")
    assert await office.book.balance(Account.REVENUE_SUBSCRIPTIONS) == -1_000_00


async def test_a_month_closes_when_nothing_is_missing_and_for_good(office: Office) -> None:
    await office.book.planned(date(2017, 9, 6), 10)
    refused = await office.post("periods/2017-09/close")
    assert (refused.status_code, refused.json()["code"]) == (409, "period_not_ready")
    lacking = {lack["code"]: lack["about"] for lack in refused.json()["missing"]}
    assert lacking.keys() == {"days_not_reconciled", "revenue_not_recognised"}
    assert (await office.read("periods/2017-09"))["missing"] == refused.json()["missing"]
    async with office.book.database.transaction() as connection:
        await connection.execute(
            """INSERT INTO finance.reconciliations (date, status, reading, lines, matched, bank, started_at,
                   finished_at, version)
               SELECT day, 'balanced', 1, 0, 0, 0, day, day, 1
               FROM generate_series('2017-09-06'::date, '2017-09-30', interval '1 day') AS day"""
        )
    assert (await office.post("revenue", date="2017-09-30")).status_code == 202
    await eventually(lambda: office.read("revenue/2017-09-30"), lambda found: found["items"])
    answers = await asyncio.gather(*(office.post("periods/2017-09/close") for _ in range(3)))
    for answer in answers:
        assert (answer.status_code, answer.json()["status"]) == (200, "closed"), answer.text
        assert answer.json()["closed_by"] == office.finance.user_id
    closed = await office.read("periods/2017-09")
    assert (closed["status"], closed["documents"], closed["missing"]) == ("closed", 1, [])
    late = Entry(
        business_key="late",
        date=date(2017, 9, 9),
        lines=debit(Account.BANK, 1) + credit(Account.TDS_RECEIVABLE, 1),
    )
    async with office.book.database.transaction() as connection:
        await ledger.post(connection, late, noon(SOLD))
    found = (await office.read("ledger?account=bank&from=2017-09-01&to=2017-10-30"))["items"]
    assert [line["date"] for line in found] == ["2017-10-01"]
    listed = (await office.read("periods"))["items"]
    assert {row["period"]: row["status"] for row in listed}["2017-09"] == "closed"


async def test_the_month_over_http_ties_and_comes_as_csv(office: Office) -> None:
    await office.book.captured(date(2019, 3, 5), 1_180_00, place="KA")
    found = await office.read("gst?period=2019-03")
    assert found["ties"]["ledger"] == {"igst": 0, "cgst": 0, "sgst": 0, "value": 0}
    assert not any(found["ties"]["series"].values())
    assert (found["taxable"], found["cgst"], found["sgst"]) == (1_000_00, 90_00, 90_00)
    tables = {row["table"] for row in await office.lines("gst?period=2019-03")}
    assert {"gstr1/b2cs", "gstr1/hsn/b2c", "gstr1/documents", "gstr3b/3.1a", "gstr3b/4a5"} <= tables


async def test_a_month_that_is_not_over_or_is_none_is_not_closed(office: Office) -> None:
    today = date.today()
    now = await office.post(f"periods/{today:%Y-%m}/close")
    assert [lack["code"] for lack in now.json()["missing"]] == ["period_not_over"]
    assert (await office.post("periods/2019-13/close")).status_code in (404, 422)


async def test_only_finance_closes(office: Office) -> None:
    for roles in (("support",), ("compliance",)):
        person = await office.api.staff(*roles)
        assert (await office.post("periods/2017-02/close", person)).status_code == 403
        assert (await office.post("revenue", person, date="2017-02-01")).status_code == 403


def _voucher(amount: int, account: str = "tds_receivable", day: str = "2019-06-03") -> dict[str, Any]:
    lines = [{"account": account, "debit": amount}, {"account": "bank", "credit": amount}]
    return {"date": day, "lines": lines, "note": "income tax withheld, certificate 16A of 3 June"}


async def test_a_small_voucher_is_posted_by_one_person_and_a_large_one_by_two(office: Office) -> None:
    small = await office.post("vouchers", **_voucher(50_000_00))
    assert (small.status_code, small.json()["status"]) == (201, "posted")
    large = await office.post("vouchers", **_voucher(50_000_01))
    assert (large.status_code, large.json()["status"]) == (202, "awaiting_second")
    path = f"vouchers/{large.json()['voucher_id']}/approve"
    assert (await office.post(path)).json()["code"] == "same_person"
    second = await office.api.staff("finance")
    for _ in range(2):
        agreed = await office.post(path, second)
        assert agreed.status_code in (200, 409)
    listed = (await office.read("vouchers"))["items"]
    assert [(row["status"], row["amount"], row["second_by"]) for row in listed] == [
        ("posted", 50_000_01, second.user_id),
        ("posted", 50_000_00, None),
    ]
    assert listed[0]["note"].endswith("16A of 3 June")
    statement = await office.read("ledger?account=tds_receivable&from=2019-06-01&to=2019-06-30")
    assert sorted(line["debit"] for line in statement["items"]) == [50_000_00, 50_000_01]
    assert len(await office.lines("vouchers")) == 2


async def test_a_voucher_that_is_rejected_posts_nothing(office: Office) -> None:
    asked = (await office.post("vouchers", **_voucher(90_000_00))).json()
    rejected = await office.post(f"vouchers/{asked['voucher_id']}/reject")
    assert (rejected.status_code, rejected.json()["status"]) == (200, "rejected")
    assert (await office.read(f"ledger?reference={asked['voucher_id']}"))["items"] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"lines": [{"account": "bank", "debit": 5}, {"account": "deferred_revenue", "credit": 5}]},
         "account_not_by_hand"),
        ({"lines": [{"account": "bank", "debit": 5}, {"account": "gateway_claims", "credit": 5}]},
         "account_not_by_hand"),
        ({"lines": [{"account": "bank", "debit": 5}, {"account": "bad_debt", "credit": 4}]}, "unbalanced"),
        ({"lines": [{"account": "bank", "debit": 5, "credit": 5}, {"account": "bank"}]}, "one_side"),
        ({"date": "2099-01-01"}, "date_ahead"),
    ],
)  # fmt: skip
async def test_a_voucher_keeps_to_its_accounts_and_balances(
    office: Office, change: dict[str, Any], code: str
) -> None:
    refused = await office.post("vouchers", **{**_voucher(100), **change})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, code)


async def test_a_voucher_of_a_closed_month_is_dated_in_the_open_one(office: Office) -> None:
    assert (await office.post("periods/2017-07/close")).status_code == 200
    answer = await office.post("vouchers", **_voucher(100, day="2017-07-04"))
    assert answer.json()["date"] == "2017-08-01"


async def test_each_signed_word_is_kept_for_its_own_command(office: Office) -> None:
    assert (await office.post("periods/2017-07/close")).status_code == 200
    large = (await office.post("vouchers", **_voucher(80_000_00))).json()
    assert (await office.post(f"vouchers/{large['voucher_id']}/reject")).status_code == 200
    words = await office.api.words()
    assert {("close", True), ("post", True), ("reject", True)} <= words
    assert all(bound for _, bound in words)
