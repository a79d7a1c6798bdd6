"""A closed month stays as it was: nothing is dated into it, and what comes late lands in the open one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import psycopg
import pytest

from cli.embedded import EmbeddedEngines
from domain.closing import Missing, month
from domain.ledger import Account, Entry, credit, debit
from store import closing, ledger, periods, recognition_runs
from store.database import Connection, Database
from store.vault import Vault
from tests.store.book import Book, noon

JANUARY, FEBRUARY = month("2019-01")
TODAY = date(2019, 2, 20)


@pytest.fixture
async def book(engines: EmbeddedEngines) -> AsyncIterator[Book]:
    dsn = engines.fresh_database()
    async with Database(dsn) as opened:
        yield Book(opened, Vault(engines.settings))
    engines.drop_database(dsn)


async def _lacks(book: Book, period: str = "2019-01", today: date = TODAY) -> dict[Missing, list[str]]:
    async with book.database.reading() as connection:
        return {lack.code: lack.about for lack in await closing.missing(connection, period, today)}


async def _close(book: Book, period: str = "2019-01") -> dict:
    first, following = month(period)
    async with book.database.transaction() as connection:
        await periods.hold(connection)
        return await periods.close(connection, period, first, following, "usr_finance", noon(TODAY))


async def _reconciled(connection: Connection, first: date, last: date) -> None:
    await connection.execute(
        """INSERT INTO finance.reconciliations (date, status, reading, lines, matched, bank, started_at,
               finished_at, version)
           SELECT day, 'balanced', 1, 0, 0, 0, day, day, 1
           FROM generate_series(%s::date, %s::date, interval '1 day') AS day""",
        (first, last),
    )


def _entry(key: str, day: date) -> Entry:
    lines = debit(Account.BANK, 100) + credit(Account.GATEWAY_CLEARING, 100)
    return Entry(business_key=key, date=day, lines=lines)


async def test_a_month_says_what_it_lacks_until_it_lacks_nothing(book: Book) -> None:
    sold_on = date(2019, 1, 20)
    await book.planned(sold_on, 30)
    assert await _lacks(book, today=date(2019, 1, 31)) == {Missing.PERIOD_NOT_OVER: ["2019-01-31"]}
    found = await _lacks(book)
    assert set(found) == {Missing.DAYS_NOT_RECONCILED, Missing.REVENUE_NOT_RECOGNISED}
    assert found[Missing.DAYS_NOT_RECONCILED] == [f"2019-01-{day}" for day in range(20, 32)]
    async with book.database.transaction() as connection:
        await _reconciled(connection, sold_on, date(2019, 1, 31))
        await connection.execute(
            """INSERT INTO finance.breaks (break_id, date, seen_date, kind, reference, about, expected, found,
                   difference, difference_tax, status, opened_at, version)
               VALUES ('brk_x', '2019-01-25', '2019-01-25', 'missing_line', 'pay_x', 'pay_x', 1, 0,
                   1, 0, 'open', %s, 1)""",
            (noon(TODAY),),
        )
    assert (await _lacks(book))[Missing.BREAKS_OPEN] == ["brk_x"]
    async with book.database.transaction() as connection:
        await connection.execute("UPDATE finance.breaks SET status = 'resolved', ended = 'mended'")
        await recognition_runs.recognise_through(connection, date(2019, 1, 31), noon(TODAY))
    assert await _lacks(book) == {}
    assert (await _lacks(book, "2019-02", date(2019, 3, 2)))[Missing.EARLIER_PERIOD_OPEN] == ["2019-01"]


async def test_tax_without_a_document_and_a_number_without_one_stand_in_the_way(book: Book) -> None:
    await book.captured(date(2019, 1, 20))
    stray = Entry(
        business_key="stray",
        date=date(2019, 1, 21),
        lines=debit(Account.BANK, 5) + credit(Account.OUTPUT_CGST, 5),
    )
    async with book.database.transaction() as connection:
        await ledger.post(connection, stray, noon(TODAY))
        await connection.execute("UPDATE finance.number_series SET last = last + 1")
    found = await _lacks(book)
    assert found[Missing.TAX_DIFFERS] == ["cgst: -5"]
    assert found[Missing.SERIES_BROKEN] == ["invoice/2018: 1"]


async def test_what_comes_late_lands_on_the_first_open_day(book: Book) -> None:
    sold = await book.planned(date(2019, 1, 5), 60)
    async with book.database.transaction() as connection:
        await recognition_runs.recognise_through(connection, date(2019, 1, 31), noon(TODAY))
    closed = await _close(book)
    # A capture that the gateway made on the last evening, and a refund, are booked after the close.
    late = await book.captured(date(2019, 1, 31), 590_00)
    await book.refunded(sold, 590_00, date(2019, 1, 31))
    async with book.database.reading() as connection:
        cursor = await connection.execute(
            """SELECT i.kind, i.issued_on, (i.tax_point AT TIME ZONE 'Asia/Kolkata')::date AS taxed_on, e.date
               FROM finance.invoices i JOIN finance.journal_entries e
                   ON e.business_key IN ('capture:' || i.payment_id, 'refund:' || i.refund_id)
               WHERE i.payment_id = %s AND i.kind = 'invoice' OR i.kind <> 'invoice' AND i.payment_id = %s
                   AND e.business_key LIKE 'refund:%%'""",
            (late, sold),
        )
        rows = {row.pop("kind"): set(row.values()) for row in await cursor.fetchall()}
        assert rows == {"invoice": {FEBRUARY}, "credit_note": {FEBRUARY}}
        held = await periods.figures(connection, JANUARY, FEBRUARY)
    assert held["book_hash"] == closed["book_hash"]
    assert held["documents_hash"] == closed["documents_hash"]
    assert (held["entries"], held["documents"]) == (closed["entries"], closed["documents"])


async def test_two_closed_months_are_skipped_together(book: Book) -> None:
    await _close(book)
    await _close(book, "2019-02")
    async with book.database.transaction() as connection:
        assert await periods.open_day(connection, date(2019, 1, 15)) == date(2019, 3, 1)
        assert await periods.open_day(connection, date(2018, 12, 31)) == date(2018, 12, 31)


@pytest.mark.parametrize("table", ["journal_entries", "invoices"])
async def test_the_database_refuses_what_is_dated_into_a_closed_month(book: Book, table: str) -> None:
    await book.captured(date(2019, 1, 5))
    await _close(book)
    day = "date" if table == "journal_entries" else "issued_on"
    with pytest.raises(psycopg.errors.CheckViolation, match="closed period"):
        async with book.database.transaction() as connection:
            await connection.execute(
                f"""INSERT INTO finance.{table}
                    SELECT (jsonb_populate_record(NULL::finance.{table}, to_jsonb(t)
                        || '{{"{day}": "2019-01-09"}}')).* FROM finance.{table} t LIMIT 1"""
            )


async def test_a_closed_month_cannot_be_opened_or_closed_again(book: Book) -> None:
    first = await _close(book)
    assert (await _close(book))["closed_at"] == first["closed_at"]
    for change in ("DELETE FROM finance.periods", "UPDATE finance.periods SET entries = 0"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            async with book.database.transaction() as connection:
                await connection.execute(change)


async def test_an_entry_that_races_the_close_is_in_it_or_after_it(book: Book) -> None:
    async def post(number: int) -> None:
        async with book.database.transaction() as connection:
            await ledger.post(connection, _entry(f"race-{number}", date(2019, 1, 9)), noon(TODAY))

    before = [post(number) for number in range(15)]
    after = [post(number) for number in range(15, 30)]
    results = await asyncio.gather(*before, _close(book), *after)
    closed = results[15]
    async with book.database.reading() as connection:
        held = await periods.figures(connection, JANUARY, FEBRUARY)
        moved = await periods.figures(connection, FEBRUARY, date(2019, 3, 1))
    assert (held["entries"], held["book_hash"]) == (closed["entries"], closed["book_hash"])
    assert held["entries"] + moved["entries"] == 30


async def test_a_changed_line_changes_the_hash(book: Book) -> None:
    async with book.database.transaction() as connection:
        await ledger.post(connection, _entry("one", date(2019, 1, 9)), noon(TODAY))
    closed = await _close(book)
    async with book.database.transaction() as connection:
        for table in ("journal_lines", "journal_entries"):
            await connection.execute(f"ALTER TABLE finance.{table} DISABLE TRIGGER USER")
        await connection.execute("UPDATE finance.journal_lines SET debit = debit * 2, credit = credit * 2")
        held = await periods.figures(connection, JANUARY, FEBRUARY)
    assert held["book_hash"] != closed["book_hash"]
