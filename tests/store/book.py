"""Captured payments with their invoices, credit notes and entries, as the activities book them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from domain.gst import IST, india_date
from domain.ledger import Account, capture_entry, payout_entry, refund_entry
from domain.payments import Purpose, RefundStatus
from models.contracts.identifiers import Prefix, mint
from store import invoices, ledger, payments, periods, recognition, refunds
from store.database import Connection, Database
from store.vault import Vault

SUPPLIER = invoices.Supplier("Treum Technologies Private Limited", "29AABCT3518Q1ZS", "KA")


def noon(day: date) -> datetime:
    """The instant at which it is noon in India."""
    return datetime.combine(day, time(12), IST).astimezone(UTC)


@dataclass
class Book:
    """A book of its own."""

    database: Database
    vault: Vault

    async def captured(
        self,
        day: date,
        amount: int = 1_180_00,
        *,
        purpose: Purpose = Purpose.SUBSCRIPTION,
        place: str = "KA",
        gstin: str | None = None,
        sac: str = "999293",
    ) -> str:
        """A payment captured at noon of a day, with its invoice and entry."""
        payment_id, now = mint(Prefix.PAYMENT), noon(day)
        new = payments.NewPayment(
            payment_id=payment_id,
            user_id="usr_test",
            purpose=purpose,
            reference_id=mint(Prefix.SUBSCRIPTION),
            process=f"payment:{payment_id}",
            title="A thing",
            sac=sac,
            amount=amount,
            currency="INR",
            place_of_supply=place,
        )
        told = {"id": f"pay_{payment_id[-14:]}", "method": "upi", "fee": 0, "tax": 0}
        told |= {"token_id": None, "customer_id": None}
        sale = invoices.Sale("usr_test", payment_id, amount, "A thing", sac, place, "Asha Verma", gstin)
        async with self.database.transaction() as connection:
            await payments.open_payment(connection, new, now, "test")
            await payments.find(connection, payment_id, lock=True)
            await payments.set_captured(connection, payment_id, told, "test", now)
            issued = await invoices.issue(connection, self.vault, SUPPLIER, sale, now)
            await ledger.post(connection, capture_entry(payment_id, day, issued.price, (issued.number,)), now)
        return payment_id

    async def planned(self, day: date, days: int, amount: int = 1_180_00, kind: str = "subscription") -> str:
        """A captured payment whose thing lasts so many days from its day on."""
        purpose = Purpose.SUBSCRIPTION if kind == "subscription" else Purpose.COURSE
        payment_id = await self.captured(day, amount, purpose=purpose)
        async with self.database.transaction() as connection:
            await self.plan(connection, payment_id, day, days, kind)
        return payment_id

    async def plan(
        self, connection: Connection, payment_id: str, day: date, days: int, kind: str = "subscription"
    ) -> None:
        net, _ = await recognition.net_of(connection, payment_id)
        row = await payments.find(connection, payment_id)
        assert row is not None
        await recognition.plan(
            connection,
            payment_id=payment_id,
            kind=kind,
            reference_id=row["reference_id"],
            net=net,
            starts_on=day,
            ends_on=day + timedelta(days=days),
            now=noon(day),
        )

    async def refunded(self, payment_id: str, amount: int, day: date) -> str:
        """A refund that was paid out at noon of a day, with credit note and entries."""
        refund_id, now = mint(Prefix.REFUND), noon(day)
        new = refunds.NewRefund(
            refund_id=refund_id,
            payment_id=payment_id,
            user_id="usr_test",
            amount=amount,
            currency="INR",
            speed="normal",
            status=RefundStatus.APPROVED,
            requested_by="usr_test",
            authority="system",
            approvals_due=0,
            note_id=None,
            reason_code="test",
        )
        async with self.database.transaction() as connection:
            assert await refunds.open_refund(connection, new, now)
            await refunds.find(connection, refund_id, lock=True)
            await connection.execute(
                "UPDATE finance.refunds SET status = 'processed' WHERE refund_id = %s", (refund_id,)
            )
            note = await invoices.credit(connection, self.vault, SUPPLIER, refund_id, payment_id, amount, now)
            on = await periods.open_day(connection, india_date(now))
            deferred = await recognition.give_back(connection, payment_id, note.price.taxable, on)
            revenue = await recognition.revenue_of(connection, payment_id)
            entry = refund_entry(refund_id, on, note.price, (payment_id,), deferred=deferred, revenue=revenue)
            await ledger.post(connection, entry, now)
            payout = payout_entry(refund_id, on, amount, Account.GATEWAY_CLEARING, (payment_id,))
            await ledger.post(connection, payout, now)
            await payments.count_refund(connection, payment_id, amount, now)
        return refund_id

    async def balance(self, account: Account, until: date | None = None) -> int:
        """Debit less credit."""
        async with self.database.reading() as connection:
            lines = await ledger.trial_balance(connection, until)
        return next(line.debit - line.credit for line in lines if line.account == account)
