"""What is promised back of a payment, under concurrent writers: never more than it has left."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from domain.disputes import DisputeStatus
from domain.payments import PaymentStatus, RefundStatus
from models.contracts.identifiers import Prefix, mint
from models.messages.disputes import GatewayDispute
from store import disputes, payments, refunds
from store.database import Database

AMOUNT = 100_000
WRITERS = 12


@pytest.fixture
async def record(database: str) -> AsyncIterator[Database]:
    async with Database(database, max_size=WRITERS) as opened:
        yield opened


async def captured(record: Database) -> str:
    """A captured payment of `AMOUNT`."""
    payment_id = mint(Prefix.PAYMENT)
    async with record.transaction() as connection:
        await connection.execute(
            """INSERT INTO finance.payments (payment_id, user_id, purpose, reference_id, process, title, sac,
                   status, amount, currency, place_of_supply, gateway_payment_id, created_at, captured_at,
                   updated_at)
               VALUES (%(id)s, 'usr_1', 'course', %(id)s, 'x', 'A course', '999293', 'captured', %(amount)s,
                   'INR', 'KA', %(gateway)s, now(), now(), now())""",
            {"id": payment_id, "amount": AMOUNT, "gateway": f"pay_{secrets.token_hex(7)}"},
        )
    return payment_id


async def ask(record: Database, payment_id: str, amount: int) -> str | None:
    """The refund's id, or None where it was one too many."""
    new = refunds.NewRefund(
        refund_id=mint(Prefix.REFUND),
        payment_id=payment_id,
        user_id="usr_1",
        amount=amount,
        currency="INR",
        speed="normal",
        status=RefundStatus.APPROVED,
        requested_by="usr_2",
        authority="finance",
        approvals_due=0,
        note_id=None,
        reason_code="requested",
    )
    async with record.transaction() as connection:
        opened = await refunds.open_refund(connection, new, datetime.now(UTC))
    return new.refund_id if opened else None


async def dispute(record: Database, payment_id: str, amount: int) -> GatewayDispute:
    async with record.transaction() as connection:
        payment = await payments.find(connection, payment_id, lock=True)
        assert payment is not None
        said = GatewayDispute(
            id=f"disp_{secrets.token_hex(7)}",
            payment_id=payment["gateway_payment_id"],
            amount=amount,
            status=DisputeStatus.OPEN,
            phase="chargeback",
            reason_code="chargeback",
        )
        now = datetime.now(UTC)
        assert await disputes.open_dispute(connection, said, payment, 1, now)
        assert not await disputes.open_dispute(connection, said, payment, 1, now)
        await payments.advance(connection, payment_id, PaymentStatus.DISPUTED, "dispute", now)
    return said


async def end(record: Database, said: GatewayDispute, status: str, lost: int) -> None:
    async with record.transaction() as connection:
        row = await disputes.find(connection, said.id, lock=True)
        assert row is not None
        word = said.model_validate({**said.model_dump(), "status": status})
        await disputes.advance(connection, row, word, lost, datetime.now(UTC))
        await payments.end_dispute(connection, row["payment_id"], lost, datetime.now(UTC))


async def payment(record: Database, payment_id: str) -> dict:
    async with record.reading() as connection:
        return await payments.find(connection, payment_id) or {}


async def test_writers_at_once_promise_no_more_than_was_captured(record: Database) -> None:
    payment_id = await captured(record)
    asked = await asyncio.gather(*(ask(record, payment_id, 30_000) for _ in range(WRITERS)))
    assert len([refund for refund in asked if refund]) == AMOUNT // 30_000
    assert (await payment(record, payment_id))["amount_refunding"] == 90_000
    assert await ask(record, payment_id, 10_001) is None
    assert await ask(record, payment_id, 10_000) is not None


async def test_nothing_is_promised_while_a_dispute_is_open_nor_what_it_has_cost(record: Database) -> None:
    payment_id = await captured(record)
    said = await dispute(record, payment_id, 40_000)
    assert (await payment(record, payment_id))["status"] == "disputed"
    assert await ask(record, payment_id, 100) is None
    await end(record, said, "lost", 40_000)
    assert (await payment(record, payment_id))["amount_lost"] == 40_000
    assert await ask(record, payment_id, 60_001) is None
    assert await ask(record, payment_id, 60_000) is not None


async def test_the_payment_gets_its_state_back_with_the_last_of_its_disputes(record: Database) -> None:
    payment_id = await captured(record)
    first, second = [await dispute(record, payment_id, 20_000) for _ in range(2)]
    await end(record, first, "won", 0)
    assert (await payment(record, payment_id))["status"] == "disputed"
    await end(record, second, "closed", 0)
    assert (await payment(record, payment_id))["status"] == "captured"
