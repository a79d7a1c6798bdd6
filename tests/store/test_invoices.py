"""Numbers without a gap under concurrent writers; one invoice a payment; refunds within the payment."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest

from cli.embedded import EmbeddedEngines
from domain.gst import DocumentKind
from domain.payments import Purpose, RefundStatus
from models.contracts.identifiers import Prefix, mint
from store import invoices, payments, refunds
from store.database import Database
from store.vault import Vault

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


async def test_concurrent_writers_leave_no_gap_even_where_some_roll_back(
    books: Database, vault: Vault
) -> None:
    ids = [await _payment(books) for _ in range(40)]
    seeded = random.Random(7)
    fails = {payment_id for payment_id in ids if seeded.random() < 0.3}
    assert fails
    numbers = await asyncio.gather(
        *(_issue(books, vault, payment_id, fails=payment_id in fails) for payment_id in ids)
    )
    issued = sorted(number for number in numbers if number)
    assert issued == [f"TR/2627/{n:06d}" for n in range(1, len(ids) - len(fails) + 1)]


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
