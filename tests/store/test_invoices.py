"""Numbers without a gap under concurrent writers; one invoice a payment; refunds within the payment."""

import asyncio
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from cli.embedded import EmbeddedEngines
from domain import gst
from domain.einvoices import CRORE
from domain.gst import DocumentKind
from domain.payments import Purpose, RefundStatus
from models.contracts.identifiers import Prefix, mint
from store import einvoices, invoices, payments, refunds
from store.database import Database
from store.vault import PersonForgotten, Vault

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
SUPPLIER = invoices.Supplier("Treum Technologies Private Limited", "29AABCT3518Q1ZS", "KA")


@pytest.fixture(scope="module")
async def books(database: str) -> AsyncIterator[Database]:
    async with Database(database) as opened:
        yield opened


@pytest.fixture(scope="module")
def vault(engines: EmbeddedEngines) -> Vault:
    return Vault(engines.settings)


async def _payment(books: Database, amount: int = 118_00, *, captured: bool = True) -> str:
    payment_id = mint(Prefix.PAYMENT)
    new = payments.NewPayment(
        payment_id=payment_id,
        user_id="usr_test",
        purpose=Purpose.COURSE,
        reference_id=mint(Prefix.ENROLLMENT),
        process=f"payment:{payment_id}",
        title="A course",
        sac="999293",
        amount=amount,
        currency="INR",
        place_of_supply="KA",
    )
    async with books.transaction() as connection:
        assert await payments.open_payment(connection, new, NOW, "test")
        if captured:
            told = {"id": f"pay_{payment_id[-14:]}", "method": "upi", "fee": 1, "tax": 0}
            told |= {"token_id": None, "customer_id": None}
            await payments.set_captured(connection, payment_id, told, "test", NOW)
    return payment_id


def _sale(payment_id: str, amount: int = 118_00, place: str = "KA") -> invoices.Sale:
    return invoices.Sale("usr_test", payment_id, amount, "A course", "999293", place, "Asha Verma")


async def _issue(books: Database, vault: Vault, payment_id: str, *, fails: bool = False) -> str | None:
    try:
        async with books.transaction() as connection:
            issued = await invoices.issue(connection, vault, SUPPLIER, _sale(payment_id), NOW)
            if fails:
                raise RuntimeError("the rest of the transaction failed")
    except RuntimeError:
        return None
    return issued.number


def test_eight_threads_leave_no_gap_even_where_some_roll_back(database: str, vault: Vault) -> None:
    """Each thread with connections and a loop of its own, as processes have."""
    seeded = random.Random(7)
    fates = [[seeded.random() < 0.3 for _ in range(15)] for _ in range(8)]

    async def write(fails: list[bool]) -> list[str]:
        async with Database(database, max_size=2) as own:
            ids = [await _payment(own) for _ in fails]
            numbers = [
                await _issue(own, vault, one, fails=fate) for one, fate in zip(ids, fails, strict=True)
            ]
        return [number for number in numbers if number]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda fails: asyncio.run(write(fails)), fates))
    issued = sorted(number for numbers in found for number in numbers)
    kept = sum(not fails for row in fates for fails in row)
    assert 0 < kept < 8 * 15
    assert issued == [f"TR/2627/{n:06d}" for n in range(1, kept + 1)]


async def test_a_payment_has_one_invoice_however_often_it_is_issued(books: Database, vault: Vault) -> None:
    payment_id = await _payment(books)
    first = await _issue(books, vault, payment_id)
    assert await _issue(books, vault, payment_id) == first


async def test_two_at_once_for_one_payment_give_one(books: Database, vault: Vault) -> None:
    payment_id = await _payment(books)
    found = await asyncio.gather(
        *(_issue(books, vault, payment_id) for _ in range(4)), return_exceptions=True
    )
    numbers = {number for number in found if isinstance(number, str)}
    assert len(numbers) == 1
    assert all(isinstance(other, str | psycopg.errors.UniqueViolation) for other in found)


async def test_the_year_of_a_number_is_indias(books: Database) -> None:
    new_year_in_india = datetime(2027, 3, 31, 18, 30, tzinfo=UTC)
    async with books.transaction() as connection:
        year, sequence, number = await invoices.draw(
            connection, DocumentKind.CREDIT_NOTE, invoices.india_date(new_year_in_india)
        )
    assert (year, sequence, number) == (2027, 1, "CN/2728/000001")


async def test_same_state_pays_cgst_and_sgst(books: Database, vault: Vault) -> None:
    payment_id = await _payment(books)
    async with books.transaction() as connection:
        issued = await invoices.issue(connection, vault, SUPPLIER, _sale(payment_id), NOW)
    assert (issued.price.taxable, issued.price.cgst, issued.price.sgst) == (100_00, 9_00, 9_00)


async def _refund(books: Database, payment_id: str, amount: int) -> bool:
    new = refunds.NewRefund(
        mint(Prefix.REFUND), payment_id, "usr_test", amount, "INR", "normal", RefundStatus.APPROVED,
        "usr_finance", "finance", 0, None, "test",
    )  # fmt: skip
    async with books.transaction() as connection:
        return await refunds.open_refund(connection, new, NOW)


async def test_refunds_of_concurrent_writers_stay_within_the_payment(books: Database) -> None:
    payment_id = await _payment(books, 1_000_00)
    granted = await asyncio.gather(*(_refund(books, payment_id, 300_00) for _ in range(8)))
    assert sum(granted) == 3
    assert await _refund(books, payment_id, 100_01) is False
    assert await _refund(books, payment_id, 100_00) is True


async def test_what_was_not_captured_cannot_be_refunded(books: Database) -> None:
    assert await _refund(books, await _payment(books, captured=False), 1_00) is False


async def test_one_checkout_a_reference_is_open(books: Database) -> None:
    payment_id = await _payment(books, captured=False)
    async with books.transaction() as connection:
        row = await payments.find(connection, payment_id)
        assert row is not None
        again = payments.NewPayment(
            mint(Prefix.PAYMENT), "usr_test", Purpose.COURSE, row["reference_id"], "payment:x", "A course",
            "999293", 118_00, "INR", "KA",
        )  # fmt: skip
        assert await payments.open_payment(connection, again, NOW, "test") is False
        assert await payments.attempt_of(connection, Purpose.COURSE, row["reference_id"]) == 0


async def _row(books: Database, invoice_id: str) -> dict[str, Any]:
    async with books.reading() as connection:
        row = await invoices.find(connection, invoice_id)
    assert row is not None
    return row


async def _refunded(
    books: Database,
    vault: Vault,
    payment_id: str,
    amount: int,
    now: datetime,
    by: invoices.Supplier = SUPPLIER,
) -> invoices.Issued:
    refund_id = mint(Prefix.REFUND)
    new = refunds.NewRefund(
        refund_id, payment_id, "usr_test", amount, "INR", "normal", RefundStatus.APPROVED,
        "usr_finance", "finance", 0, None, "test",
    )  # fmt: skip
    async with books.transaction() as connection:
        assert await refunds.open_refund(connection, new, NOW)
        await payments.find(connection, payment_id, lock=True)
        return await invoices.credit(connection, vault, by, refund_id, payment_id, amount, now)


@pytest.mark.parametrize(
    ("at", "number"),
    [
        (datetime(2031, 3, 31, 18, 29, 59, 999_999, tzinfo=UTC), "TR/3031/000001"),
        (datetime(2031, 3, 31, 18, 30, tzinfo=UTC), "TR/3132/000001"),
    ],
    ids=["31 March 23:59 in India", "1 April 00:00 in India"],
)
async def test_a_financial_year_ends_at_midnight_in_india(
    books: Database, vault: Vault, at: datetime, number: str
) -> None:
    payment_id = await _payment(books)
    async with books.transaction() as connection:
        issued = await invoices.issue(connection, vault, SUPPLIER, _sale(payment_id), at)
    assert issued.number == number
    assert (await _row(books, issued.invoice_id))["issued_on"] == invoices.india_date(at)


async def test_a_refund_after_the_buyer_was_erased_has_its_note_with_the_buyers_name(
    books: Database, vault: Vault
) -> None:
    payment_id, erased = await _payment(books), mint(Prefix.USER)
    sale = replace(_sale(payment_id), user_id=erased, buyer_address={"line1": "1 MG Road", "state": "KA"})
    async with books.transaction() as connection:
        await vault.person(connection, erased)
        await invoices.issue(connection, vault, SUPPLIER, sale, NOW)
        await vault.forget(connection, erased)
    note = await _refunded(books, vault, payment_id, 118_00, NOW)
    row = await _row(books, note.invoice_id)
    assert b"Asha" not in bytes(row["recipient"])
    async with books.transaction() as connection:
        with pytest.raises(PersonForgotten):
            await vault.person(connection, erased)
        billed = await invoices.recipient(connection, vault, row)
    assert billed == invoices.Recipient("Asha Verma", {"line1": "1 MG Road", "state": "KA"})


async def test_a_document_from_before_it_had_a_key_opens_by_the_persons(
    books: Database, vault: Vault
) -> None:
    async with books.transaction() as connection:
        ring = await vault.person(connection, "usr_before")
        row = {"invoice_id": "inv_before", "user_id": "usr_before", "recipient_key": b""}
        row["recipient"] = ring.seal(b"Asha Verma", "buyer:inv_before")
        assert await invoices.recipient(connection, vault, row) == invoices.Recipient("Asha Verma")


async def test_the_annual_return_ends_the_time_of_credit_notes_before_november_does(
    books: Database, vault: Vault
) -> None:
    filed = replace(SUPPLIER, annual_returns={2026: date(2027, 9, 10)})
    payment_id = await _payment(books, 300_00)
    async with books.transaction() as connection:
        await invoices.issue(connection, vault, filed, _sale(payment_id, 300_00), NOW)
    last_day = datetime(2027, 9, 10, 12, tzinfo=UTC)
    in_time = await _refunded(books, vault, payment_id, 100_00, last_day, filed)
    late = await _refunded(books, vault, payment_id, 100_00, datetime(2027, 9, 11, 12, tzinfo=UTC), filed)
    assert in_time.kind is DocumentKind.CREDIT_NOTE
    assert in_time.price.taxable < 100_00
    assert (late.kind, late.price.taxable) == (DocumentKind.FINANCIAL_CREDIT_NOTE, 100_00)
    assert (in_time.number[:8], late.number) == ("CN/2728/", "FC/2728/000001")


async def test_a_new_rate_holds_from_its_day_on_and_a_note_keeps_its_invoices(
    books: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day in India decides: 28 per cent from a first of April on; a later note takes 18 back."""
    monkeypatch.setattr(gst, "RATES", (*gst.RATES, (date(2034, 4, 1), 28)))
    midnight = datetime(2034, 3, 31, 18, 30, tzinfo=UTC)
    found = []
    for at in (midnight - timedelta(seconds=1), midnight):
        payment_id = await _payment(books, 1_000_00)
        async with books.transaction() as connection:
            issued = await invoices.issue(connection, vault, SUPPLIER, _sale(payment_id, 1_000_00), at)
        noted = await _refunded(books, vault, payment_id, 500_00, midnight + timedelta(days=9))
        rest = await _refunded(books, vault, payment_id, 500_00, midnight + timedelta(days=9))
        assert noted.price.cgst + rest.price.cgst == issued.price.cgst
        assert noted.kind is DocumentKind.CREDIT_NOTE
        rates = {(await _row(books, each.invoice_id))["rate"] for each in (issued, noted, rest)}
        found.append((issued.price.taxable, issued.price.cgst, rates))
    assert found == [(847_46, 76_27, {18}), (781_24, 109_38, {28})]


async def test_a_financial_note_has_no_rate(books: Database, vault: Vault) -> None:
    payment_id = await _payment(books, 300_00)
    async with books.transaction() as connection:
        await invoices.issue(connection, vault, SUPPLIER, _sale(payment_id, 300_00), NOW)
    late = await _refunded(books, vault, payment_id, 100_00, datetime(2028, 1, 1, tzinfo=UTC))
    row = await _row(books, late.invoice_id)
    assert (row["kind"], row["rate"], row["taxable"]) == ("financial_credit_note", 0, 100_00)


GSTIN = "29AAPFU0939F1ZR"
LARGE = replace(SUPPLIER, turnover=12 * 1_00_00_000)


async def _registration(books: Database, invoice_id: str) -> dict[str, Any] | None:
    async with books.reading() as connection:
        return await einvoices.find(connection, invoice_id)


async def test_a_registered_buyers_documents_wait_for_their_irn(books: Database, vault: Vault) -> None:
    """The invoice and its note, not a financial note; nobody's below the turnover."""
    payment_id = await _payment(books, 300_00)
    sale = replace(_sale(payment_id, 300_00), buyer_gstin=GSTIN)
    async with books.transaction() as connection:
        issued = await invoices.issue(connection, vault, LARGE, sale, NOW)
    note = await _refunded(books, vault, payment_id, 100_00, NOW, LARGE)
    late = await _refunded(books, vault, payment_id, 100_00, datetime(2028, 1, 1, tzinfo=UTC), LARGE)
    for document in (issued, note):
        found = await _registration(books, document.invoice_id)
        assert found is not None
        assert (found["status"], found["report_by"]) == ("pending", date(2026, 12, 23))
    assert await _registration(books, late.invoice_id) is None
    other = await _payment(books)
    async with books.transaction() as connection:
        small = await invoices.issue(
            connection, vault, SUPPLIER, replace(_sale(other), buyer_gstin=GSTIN), NOW
        )
    assert await _registration(books, small.invoice_id) is None


VERY_LARGE = replace(SUPPLIER, turnover=500 * CRORE + 1, upi="treum.fees@hdfcbank")


async def test_only_a_private_buyers_invoice_above_five_hundred_crore_has_the_dynamic_qr(
    books: Database, vault: Vault
) -> None:
    """Decided when it is issued: a turnover that grows later changes no document."""
    found = []
    for supplier, gstin in (
        (VERY_LARGE, None),
        (VERY_LARGE, GSTIN),
        (replace(VERY_LARGE, turnover=500 * CRORE), None),
    ):
        payment_id = await _payment(books, 300_00)
        sale = replace(_sale(payment_id, 300_00), buyer_gstin=gstin)
        async with books.transaction() as connection:
            issued = await invoices.issue(connection, vault, supplier, sale, NOW)
        note = await _refunded(books, vault, payment_id, 100_00, NOW, supplier)
        kept = [(await _row(books, each.invoice_id))["supplier"] for each in (issued, note)]
        found.append([each.get("upi") for each in kept])
    assert found == [["treum.fees@hdfcbank", None], [None, None], [None, None]]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE finance.invoices SET status = 'void'",
        "UPDATE finance.invoices SET description = 'another'",
        "UPDATE finance.invoices SET total = total",
        "DELETE FROM finance.invoices",
        "DELETE FROM finance.voids",
        "TRUNCATE finance.voids",
    ],
)
async def test_a_document_is_not_changed_and_not_void_without_a_reason(
    books: Database, vault: Vault, change: str
) -> None:
    await _issue(books, vault, await _payment(books))
    with pytest.raises(psycopg.errors.RestrictViolation):
        async with books.transaction() as connection:
            await connection.execute(change)
