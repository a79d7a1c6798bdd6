"""The proofs of the book find nothing in one that is whole, and each finds what it is there for."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date, timedelta

import pytest

from cli.embedded import EmbeddedEngines
from store import periods, proof, recognition, recognition_runs
from store.database import Database
from store.vault import Vault
from tests.store.book import Book, noon

DAY = date(2025, 5, 10)


@pytest.fixture(scope="module")
async def book(engines: EmbeddedEngines) -> AsyncIterator[Book]:
    dsn = engines.fresh_database()
    async with Database(dsn) as opened:
        made = Book(opened, Vault(engines.settings))
        await _filled(made)
        yield made
    engines.drop_database(dsn)


async def _filled(book: Book) -> None:
    """A month of sales, refunds and revenue, closed; and some of the month after."""
    sold = [await book.planned(DAY + timedelta(days=n), 30, 1_180_01 + n) for n in range(4)]
    course = await book.planned(DAY, 365, 59_000_00, kind="course")
    unplanned = await book.captured(DAY, 2_360_00, place="DL")
    async with book.database.transaction() as connection:
        await recognition_runs.recognise_through(connection, date(2025, 5, 31), noon(DAY))
        await periods.hold(connection)
        await periods.close(
            connection, "2025-05", date(2025, 5, 1), date(2025, 6, 1), "usr_finance", noon(DAY)
        )
    await book.refunded(sold[0], 1_180_01, DAY + timedelta(days=25))
    await book.refunded(sold[1], 100_00, DAY + timedelta(days=26))
    await book.refunded(unplanned, 236_00, DAY + timedelta(days=26))
    async with book.database.transaction() as connection:
        await recognition.stop(connection, sold[2], DAY + timedelta(days=27))
        await recognition.stop(connection, course, DAY + timedelta(days=28))
        await recognition_runs.recognise_through(connection, date(2025, 6, 20), noon(DAY))


async def _found(book: Book) -> dict[str, list[str]]:
    async with book.database.reading() as connection:
        found = await proof.findings(connection)
    return {name: wrong for name, wrong in found.items() if wrong}


async def test_a_whole_book_proves_itself(book: Book) -> None:
    assert await _found(book) == {}


MORE = "UPDATE finance.journal_lines SET credit = credit + 1 WHERE credit > 0 AND account = '{}'"
MOVED = "UPDATE finance.journal_lines SET account = '{}' WHERE account = 'gateway_clearing'"
SPOILT = {
    "entries balance": MORE.format("revenue_courses"),
    "business keys are unique": """
        ALTER TABLE finance.journal_entries DROP CONSTRAINT journal_entries_business_key_key;
        UPDATE finance.journal_entries SET business_key = 'the same'""",
    "the trial balance is zero": MORE.format("revenue_courses"),
    "captures are posted as invoiced": "UPDATE finance.payments SET amount = amount + 1",
    "credit notes are posted as issued": """
        UPDATE finance.invoices SET taxable = taxable + 1, total = total + 1 WHERE kind = 'credit_note'""",
    "plans are what was invoiced": "UPDATE finance.revenue_plans SET net = net + 1",
    "deferred revenue is what is unearned": "UPDATE finance.revenue_segments SET since_run = 1000",
    "revenue runs are what was earned": "UPDATE finance.revenue_segments SET amount = amount + 1",
    "revenue runs are posted": "UPDATE finance.revenue_runs SET courses = courses + 1 WHERE courses > 0",
    "output CGST is that of the documents": MORE.format("output_cgst"),
    "output SGST is that of the documents": MORE.format("output_sgst"),
    "output IGST is that of the documents": MORE.format("output_igst"),
    "refunds payable are refunds owed": "UPDATE finance.refunds SET status = 'pending'",
    "clearing is what the gateway has": "UPDATE finance.refunds SET status = 'pending'",
    "the bank is what was settled": MOVED.format("bank"),
    "disputes are what is held": MOVED.format("disputes"),
    "claims are what was claimed": MOVED.format("gateway_claims"),
    "gateway fees are what was settled": MOVED.format("gateway_fees"),
    "input GST is that of the fees": MOVED.format("input_gst"),
    "suspense is what was accepted": MOVED.format("reconciliation_suspense"),
    "gains are what was decided": MOVED.format("reconciliation_gains"),
    "losses are what was decided": MOVED.format("reconciliation_losses"),
    "bad debt is what was lost": MOVED.format("bad_debt"),
    # From one kind of income to the other: their sum stays.
    "revenue of subscriptions is what was earned": """
        UPDATE finance.journal_lines SET account = 'revenue_courses'
        WHERE account = 'revenue_subscriptions'""",
    "revenue of courses is what was earned": """
        UPDATE finance.journal_lines SET account = 'revenue_subscriptions'
        WHERE account = 'revenue_courses'""",
    "settlements are booked as reported": """
        INSERT INTO finance.settlements (settlement_id, date, booked_tax)
        VALUES ('setl_x', '2025-05-10', 1)""",
    "payouts are booked or broken": """
        INSERT INTO finance.settlements (settlement_id, date, amount)
        VALUES ('setl_x', '2025-05-10', 1)""",
    "series have no gap": "UPDATE finance.invoices SET sequence = sequence + 100 WHERE sequence = 3",
    "closed months are untouched": """
        UPDATE finance.journal_entries SET refs = '{changed}' WHERE date < '2025-06-01'""",
}
"""A way round the database's own guards that each proof finds."""
OPEN = (
    "journal_lines",
    "journal_entries",
    "invoices",
    "payments",
    "refunds",
    "revenue_runs",
    "revenue_plans",
)


class Undone(Exception):
    """Takes back what was spoilt."""


@pytest.mark.parametrize("name", [*proof.PROOFS, "closed months are untouched"])
async def test_each_proof_finds_what_was_spoilt(book: Book, name: str) -> None:
    with suppress(Undone):
        async with book.database.transaction() as connection:
            for table in OPEN:
                await connection.execute(f"ALTER TABLE finance.{table} DISABLE TRIGGER USER")
            await connection.execute(SPOILT[name])
            found = await proof.proven(connection)
            raise Undone
    assert found[name], found
