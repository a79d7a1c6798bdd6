"""The book's promises are Postgres's own: balance, append-only, one posting a business key."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import psycopg
import pytest

from domain.ledger import NATURES, Account, Entry, Line, credit, debit
from store import ledger
from store.database import Connection, Database

DAY, NOW = date(2026, 11, 23), datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
async def books(database: str) -> AsyncIterator[Database]:
    async with Database(database) as opened:
        yield opened


def _entry(key: str, amount: int = 1_000, *references: str) -> Entry:
    lines = debit(Account.BANK, amount) + credit(Account.GATEWAY_CLEARING, amount)
    return Entry(business_key=key, date=DAY, lines=lines, references=references)


async def _raw(connection: Connection, key: str, *lines: tuple[str, int, int]) -> None:
    await connection.execute(
        """INSERT INTO finance.journal_entries (entry_id, business_key, date, refs, made_at)
           VALUES (%s, %s, %s, '{}', %s)""",
        (key, key, DAY, NOW),
    )
    for number, line in enumerate(lines, 1):
        await connection.execute(
            "INSERT INTO finance.journal_lines VALUES (%s, %s, %s, %s, %s)", (key, number, *line)
        )


async def test_a_posting_stands_once_however_often_it_is_made(books: Database) -> None:
    async def once() -> str:
        async with books.transaction() as connection:
            return await ledger.post(connection, _entry("twice", 700, "ref_twice"), NOW)

    assert len(set(await asyncio.gather(*(once() for _ in range(6))))) == 1
    async with books.reading() as connection:
        lines = await ledger.statement(
            connection, account=None, reference="ref_twice", after=None, start=None, end=None, limit=10
        )
    assert [(line["account"], line["debit"], line["credit"]) for line in lines] == [
        ("gateway_clearing", 0, 700),
        ("bank", 700, 0),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (("bank", 100, 0),),
        (("bank", 100, 0), ("gateway_clearing", 0, 99)),
        (("bank", 100, 0), ("gateway_clearing", 0, 100), ("bank", 1, 0)),
    ],
)
async def test_what_does_not_balance_is_refused_at_commit(books: Database, lines: tuple) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="does not balance"):
        async with books.transaction() as connection:
            await _raw(connection, f"unbalanced-{len(lines)}", *lines)
    async with books.reading() as connection:
        assert not await ledger.posted(connection, f"unbalanced-{len(lines)}")


@pytest.mark.parametrize("line", [("bank", 0, 0), ("bank", 1, 1), ("bank", -1, 0), ("nowhere", 1, 0)])
async def test_a_line_has_one_positive_side_of_a_known_account(books: Database, line: tuple) -> None:
    with pytest.raises(psycopg.errors.IntegrityError):
        async with books.transaction() as connection:
            await _raw(connection, "bad-line", line)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE finance.journal_lines SET debit = debit + 1",
        "DELETE FROM finance.journal_lines",
        "TRUNCATE finance.journal_lines",
        "UPDATE finance.journal_entries SET date = date + 1",
        "DELETE FROM finance.journal_entries",
        "TRUNCATE finance.journal_entries CASCADE",
        "UPDATE finance.invoices SET total = 1",
        "DELETE FROM finance.invoices",
    ],
)
async def test_the_book_is_append_only(books: Database, change: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        async with books.transaction() as connection:
            await connection.execute(change)


async def test_an_entry_of_another_transaction_takes_no_more_lines(books: Database) -> None:
    async with books.transaction() as connection:
        entry_id = await ledger.post(connection, _entry("closed"), NOW)
    with pytest.raises(psycopg.errors.CheckViolation, match="closed"):
        async with books.transaction() as connection:
            await connection.execute(
                "INSERT INTO finance.journal_lines VALUES (%s, 3, 'bank', 1, 0)", (entry_id,)
            )


async def test_the_trial_balance_has_the_whole_chart_and_two_equal_sides(books: Database) -> None:
    async with books.transaction() as connection:
        await ledger.post(connection, _entry("balance", 123_45), NOW)
    async with books.reading() as connection:
        balance = await ledger.trial_balance(connection)
        before = await ledger.trial_balance(connection, date(2026, 11, 22))
    assert {line.account for line in balance} == set(Account)
    assert sum(line.debit for line in balance) == sum(line.credit for line in balance) >= 123_45
    assert {(line.debit, line.credit) for line in before} == {(0, 0)}


async def test_the_chart_in_the_database_is_the_chart_in_the_code(books: Database) -> None:
    async with books.reading() as connection:
        cursor = await connection.execute("SELECT account, nature FROM finance.accounts")
        stored = {row["account"]: row["nature"] for row in await cursor.fetchall()}
    assert stored == {account.value: nature.value for account, nature in NATURES.items()}


async def test_a_statement_goes_on_where_the_page_ended(books: Database) -> None:
    async with books.transaction() as connection:
        for number in range(5):
            await ledger.post(connection, _entry(f"page-{number}", 100 + number, "ref_pages"), NOW)
    seen: list[str] = []
    after: str | None = None
    async with books.reading() as connection:
        while lines := await ledger.statement(
            connection, account=None, reference="ref_pages", after=after, start=None, end=None, limit=3
        ):
            seen += [line["line_id"] for line in lines]
            after = lines[-1]["line_id"]
    assert len(seen) == len(set(seen)) == 10


def test_a_line_is_one_sided() -> None:
    with pytest.raises(ValueError, match="positive"):
        Line(account=Account.BANK)
