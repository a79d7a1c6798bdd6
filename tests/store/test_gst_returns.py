"""The returns of a month against documents that were written down by hand."""

from collections.abc import AsyncIterator
from datetime import date

import pytest

from cli.embedded import EmbeddedEngines
from domain.closing import Missing, month
from domain.ledger import Account, Entry, credit, debit
from store import closing, gst_returns, ledger
from store.database import Database
from store.vault import Vault
from tests.store.book import Book, noon

FIRST, NEXT = month("2026-05")
GSTIN = "27AAPFU0939F1ZV"


@pytest.fixture(scope="module")
async def book(engines: EmbeddedEngines) -> AsyncIterator[Book]:
    dsn = engines.fresh_database()
    async with Database(dsn) as opened:
        yield Book(opened, Vault(engines.settings))
    engines.drop_database(dsn)


async def _registered(book: Book, day: date, amount: int) -> str:
    """A capture whose buyer has a GSTIN of Maharashtra."""
    return await book.captured(day, amount, place="MH", gstin=GSTIN, sac="998311")


async def test_every_document_stands_in_its_table_and_ties_to_ledger_and_series(book: Book) -> None:
    home = await book.captured(date(2026, 5, 3), 1_180_00, place="KA")
    away = await book.captured(date(2026, 5, 4), 2_360_00, place="DL")
    large = await book.captured(date(2026, 5, 5), 1_18_000_00, place="DL")
    firm = await _registered(book, date(2026, 5, 6), 5_900_00)
    old = await book.captured(date(2024, 5, 6), 1_180_00, place="KA")
    await book.captured(date(2026, 6, 1), 1_180_00, place="KA")
    await book.refunded(home, 118_00, date(2026, 5, 20))
    await book.refunded(away, 236_00, date(2026, 5, 20))
    await book.refunded(large, 11_800_00, date(2026, 5, 21))
    await book.refunded(firm, 590_00, date(2026, 5, 22))
    # Past the limit of s.34(2): money goes back, tax stays.
    await book.refunded(old, 118_00, date(2026, 5, 23))
    fees = Entry(
        business_key="settlement:x",
        date=date(2026, 5, 9),
        lines=debit(Account.INPUT_GST, 3_61) + credit(Account.GATEWAY_CLEARING, 3_61),
    )
    async with book.database.transaction() as connection:
        await ledger.post(connection, fees, noon(date(2026, 5, 9)))
        await connection.execute(
            """INSERT INTO finance.settlements (settlement_id, date) VALUES ('x', '2026-04-30');
               INSERT INTO finance.settlement_bookings
               VALUES ('x', '2026-04-30', 1, '2026-05-09', 0, 0, 361)"""
        )
    async with book.database.reading() as connection:
        found = await gst_returns.month(connection, FIRST, NEXT, "KA")
    one, three = found["gstr1"], found["gstr3b"]
    assert [(row["gstin"], row["value"], row["igst"]) for row in one["b2b"]] == [(GSTIN, 5_900_00, 900_00)]
    assert [(row["place"], row["value"], row["igst"]) for row in one["b2cl"]] == [
        ("DL", 1_18_000_00, 18_000_00)
    ]
    assert one["b2cs"] == [
        {"place": "DL", "rate": 18, "taxable": 1_800_00, "igst": 324_00, "cgst": 0, "sgst": 0},
        {"place": "KA", "rate": 18, "taxable": 900_00, "igst": 0, "cgst": 81_00, "sgst": 81_00},
    ]
    assert [(row["gstin"], row["igst"]) for row in one["cdnr"]] == [(GSTIN, 90_00)]
    assert [(row["original_number"], row["igst"]) for row in one["cdnur"]] == [
        (one["b2cl"][0]["number"], 1_800_00)
    ]
    assert {(row["sac"], row["taxable"]) for row in one["hsn"]["b2b"]} == {("998311", 4_500_00)}
    assert {(row["sac"], row["taxable"]) for row in one["hsn"]["b2c"]} == {("999293", 92_700_00)}
    assert [(row["kind"], row["documents"], row["cancelled"]) for row in one["documents"]] == [
        ("credit_note", 4, 0),
        ("invoice", 4, 0),
    ]
    assert [row["documents"] for row in one["other_documents"]] == [1]
    assert three["3.1a"] == {"taxable": 97_200_00, "igst": 17_334_00, "cgst": 81_00, "sgst": 81_00}
    assert three["3.2"] == [{"place": "DL", "taxable": 91_800_00, "igst": 16_524_00, "cgst": 0, "sgst": 0}]
    assert three["4a5"] == {"igst": 0, "cgst": 1_80, "sgst": 1_81}
    assert found["ties"] == {
        "ledger": {"igst": 0, "cgst": 0, "sgst": 0, "value": 0},
        "input": {"gst": 0},
        "series": {"credit_note/2026": 0, "financial_credit_note/2026": 0, "invoice/2026": 0},
    }


async def test_numbers_follow_one_another_as_numbers(book: Book) -> None:
    for _ in range(12):
        await book.captured(date(2026, 7, 1), 118_00)
    first, following = month("2026-07")
    async with book.database.reading() as connection:
        [run] = await gst_returns.series(connection, first, following)
    assert run["documents"] == 12
    assert int(run["last_number"][-6:]) - int(run["first_number"][-6:]) == 11


async def test_a_tax_entry_without_a_document_shows_as_a_difference(book: Book) -> None:
    stray = Entry(
        business_key="stray",
        date=date(2026, 9, 9),
        lines=debit(Account.BANK, 7) + credit(Account.OUTPUT_IGST, 7),
    )
    fee = Entry(
        business_key="settlement:stray",
        date=date(2026, 9, 9),
        lines=debit(Account.INPUT_GST, 5) + credit(Account.BANK, 5),
    )
    paid = Entry(
        business_key="voucher:tax",
        date=date(2026, 9, 20),
        lines=debit(Account.OUTPUT_IGST, 7) + credit(Account.BANK, 7),
    )
    async with book.database.transaction() as connection:
        await ledger.post(connection, stray, noon(date(2026, 9, 9)))
        await ledger.post(connection, fee, noon(date(2026, 9, 9)))
        await ledger.post(connection, paid, noon(date(2026, 9, 20)))
    async with book.database.reading() as connection:
        ties = await gst_returns.ties(connection, *month("2026-09"))
        lacks = await closing.missing(connection, "2026-09", date(2026, 10, 1))
    assert ties["ledger"] == {"igst": -7, "cgst": 0, "sgst": 0, "value": 0}
    assert ties["input"] == {"gst": -5}
    [differs] = [lack.about for lack in lacks if lack.code is Missing.TAX_DIFFERS]
    assert differs == ["igst: -7", "input_gst: -5"]
