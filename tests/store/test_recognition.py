"""Revenue in the book: a day posts once, a missed day is made up, nothing that was given back is earned."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest

from cli.embedded import EmbeddedEngines
from domain.ledger import Account
from domain.recognition import Segment
from store import recognition, recognition_runs
from store.database import Database
from store.vault import Vault
from tests.store.book import Book, noon

DAY = date(2026, 1, 31)


@pytest.fixture
async def book(engines: EmbeddedEngines) -> AsyncIterator[Book]:
    dsn = engines.fresh_database()
    async with Database(dsn) as opened:
        yield Book(opened, Vault(engines.settings))
    engines.drop_database(dsn)


async def _through(book: Book, day: date) -> list[recognition_runs.Recognised]:
    async with book.database.transaction() as connection:
        return await recognition_runs.recognise_through(connection, day, noon(day))


async def test_a_day_is_posted_once_and_a_missed_one_under_its_own_date(book: Book) -> None:
    await book.planned(DAY, 30)
    first = await _through(book, DAY)
    again = await _through(book, DAY)
    later = await _through(book, DAY + timedelta(days=3))
    assert [run.day for run in later] == [DAY + timedelta(days=n) for n in (1, 2, 3)]
    assert first[0].subscriptions == 1_000_00 // 30
    assert again == [recognition_runs.Recognised(DAY)]
    async with book.database.reading() as connection:
        cursor = await connection.execute(
            """SELECT business_key, date FROM finance.journal_entries
               WHERE business_key LIKE 'revenue:%' ORDER BY 1"""
        )
        entries = [(row["business_key"], row["date"]) for row in await cursor.fetchall()]
    assert entries == [
        (f"revenue:{day}", day) for day in (DAY + timedelta(days=number) for number in range(4))
    ]


async def test_a_run_long_before_anything_was_sold_leaves_no_days_to_make_up(book: Book) -> None:
    await _through(book, date(1, 1, 1))
    await book.planned(DAY, 10)
    assert [run.day for run in await _through(book, DAY)] == [DAY]


async def test_what_is_planned_late_for_a_day_comes_with_the_next_run_or_a_run_of_the_day(book: Book) -> None:
    await book.planned(DAY, 10)
    await _through(book, DAY + timedelta(days=4))
    await book.planned(DAY, 10, 2_360_00)
    again = await _through(book, DAY + timedelta(days=4))
    assert [run.subscriptions for run in again] == [1_000_00]
    assert await book.balance(Account.REVENUE_SUBSCRIPTIONS) == -1_500_00
    await _through(book, DAY + timedelta(days=30))
    assert await book.balance(Account.DEFERRED_REVENUE) == 0
    assert await book.balance(Account.REVENUE_SUBSCRIPTIONS) == -3_000_00


async def test_a_repeated_plan_changes_nothing_and_a_refund_before_it_is_left_out(book: Book) -> None:
    payment_id = await book.captured(DAY)
    await book.refunded(payment_id, 118_00, DAY)
    for _ in range(2):
        async with book.database.transaction() as connection:
            await book.plan(connection, payment_id, DAY, 30)
    await _through(book, DAY + timedelta(days=40))
    assert await book.balance(Account.REVENUE_SUBSCRIPTIONS) == -900_00
    assert await book.balance(Account.DEFERRED_REVENUE) == 0


async def test_a_refund_of_everything_after_half_the_time_leaves_no_revenue(book: Book) -> None:
    payment_id = await book.planned(DAY, 30)
    await _through(book, DAY + timedelta(days=14))
    assert await book.balance(Account.REVENUE_SUBSCRIPTIONS) == -500_00
    await book.refunded(payment_id, 1_180_00, DAY + timedelta(days=15))
    await _through(book, DAY + timedelta(days=60))
    for account in (Account.REVENUE_SUBSCRIPTIONS, Account.DEFERRED_REVENUE, Account.REFUNDS_PAYABLE):
        assert await book.balance(account) == 0


async def test_a_course_is_earned_by_progress_and_at_the_latest_by_the_end_of_access(book: Book) -> None:
    payment_id = await book.planned(DAY, 365, kind="course")
    async with book.database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT reference_id FROM finance.payments WHERE payment_id = %s", (payment_id,)
        )
        row = await cursor.fetchone()
        assert row is not None
        for _ in range(2):
            await recognition.progress(connection, row["reference_id"], 60, DAY + timedelta(days=3))
    await _through(book, DAY + timedelta(days=3))
    half_done = -await book.balance(Account.REVENUE_COURSES)
    assert 600_00 <= half_done < 602_00
    await _through(book, DAY + timedelta(days=364))
    assert await book.balance(Account.REVENUE_COURSES) == -1_000_00


async def test_what_a_run_posted_is_told_payment_by_payment_also_after_later_changes(book: Book) -> None:
    chance = random.Random(14)
    sold = [await book.planned(DAY, chance.randint(0, 40), chance.randint(200, 9_999_00)) for _ in range(12)]
    for number in range(1, 50, 7):
        on = DAY + timedelta(days=number)
        await _through(book, on)
        async with book.database.transaction() as connection:
            await recognition.stop(connection, chance.choice(sold), on - timedelta(days=chance.randint(0, 9)))
    async with book.database.reading() as connection:
        runs = await (await connection.execute("SELECT * FROM finance.revenue_runs")).fetchall()
        for run in runs:
            detail = await recognition_runs.detail(connection, run["number"])
            assert sum(line["amount"] for line in detail) == run["subscriptions"]
            assert len(detail) == run["segments"]
    assert len(runs) == 44
    assert await book.balance(Account.DEFERRED_REVENUE) == 0


async def test_runs_and_changes_side_by_side_lose_nothing(book: Book) -> None:
    sold = [await book.planned(DAY, 30, 11_800_00 + number) for number in range(8)]

    async def change(number: int) -> None:
        on = DAY + timedelta(days=number)
        async with book.database.transaction() as connection:
            await recognition.stop(connection, sold[number], on)
        await book.planned(on, 10)

    runs = [_through(book, DAY + timedelta(days=number)) for number in range(8)]
    await asyncio.gather(*(change(number) for number in range(8)), *runs)
    await _through(book, DAY + timedelta(days=60))
    assert await book.balance(Account.DEFERRED_REVENUE) == 0


async def test_the_database_earns_as_the_rule_says(book: Book) -> None:
    chance = random.Random(7)
    payment_id = await book.planned(DAY, 1)
    async with book.database.transaction() as connection:
        for number in range(2, 300):
            starts = DAY + timedelta(days=chance.randint(-5, 40))
            ends = starts + timedelta(days=chance.choice([0, 1, 28, 30, 31, 365]))
            amount = chance.randint(0, 10**8)
            cut = chance.choice([None, starts + timedelta(days=chance.randint(-9, 40))])
            kept = chance.randint(0, amount) if cut else None
            await connection.execute(
                """INSERT INTO finance.revenue_segments (payment_id, number, kind, amount, starts_on, ends_on,
                       since_run, cut_on, kept) VALUES (%s, %s, 'course', %s, %s, %s, 0, %s, %s)""",
                (payment_id, number, amount, starts, ends, cut, kept),
            )
            through = chance.choice([None, DAY + timedelta(days=chance.randint(-9, 60))])
            cursor = await connection.execute(
                """SELECT finance.earned(s, %s) AS earned FROM finance.revenue_segments s
                   WHERE payment_id = %s AND number = %s""",
                (through, payment_id, number),
            )
            row = await cursor.fetchone()
            assert row is not None
            assert row["earned"] == Segment(number, amount, starts, ends, cut, kept).earned(through)
