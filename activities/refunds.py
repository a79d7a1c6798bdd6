"""What the refund process does to our books and asks of the gateway."""

from datetime import date, datetime
from typing import Any

from temporalio import activity

from activities.beating import in_thread
from domain.errors import Rejected, Unavailable, Unknown
from domain.gst import india_date
from domain.ledger import Account, Entry, payout_entry, refund_entry
from domain.money import MIN_PAISE
from domain.payments import PaymentStatus, Purpose, RefundStatus
from domain.refunds import (
    Authority,
    approvals_due,
    forfeited_entry,
    grant,
    returned_entry,
    second_payout_entry,
)
from models.messages.billing import (
    AdvancedRefund,
    AdvanceRefund,
    FindRefund,
    FoundRefund,
    GatewayRefund,
    OpenedRefund,
    RefundOpening,
    SendRefund,
)
from providers.razorpay import Razorpay
from store import attempts, disputes, invoices, ledger, payments, periods, recognition, refunds
from store.database import Connection, Database
from store.references import Reference, reference_of
from store.vault import Vault
from workflows.ports.billing import RefundGatewayPort, RefundPort

OWED = frozenset({RefundStatus.PENDING, RefundStatus.PROCESSED, RefundStatus.MANUAL_PAYOUT})
"""States in which the money is owed to the customer or has been paid: the credit note stands."""


LOST = "dispute_lost"
SETTLED = "already_refunded"


class RefundActivities(RefundPort):
    """Transactions of our own, each idempotent by the refund's id."""

    def __init__(self, database: Database, vault: Vault, supplier: invoices.Supplier) -> None:
        self._database = database
        self._vault = vault
        self._supplier = supplier

    @activity.defn(name="refunds.open_refund")
    async def open_refund(self, command: RefundOpening) -> OpenedRefund:
        """Applies the policy and reserves the amount, or says why not; a repeat answers what stands."""
        asked = command.refund
        async with self._database.transaction() as connection:
            payment = await payments.find(connection, asked.payment_id, lock=True)
            if payment is None or (
                asked.authority == Authority.CUSTOMER and payment["user_id"] != asked.requested_by
            ):
                return OpenedRefund(refused="not_found")
            reference = await reference_of(connection, Purpose(payment["purpose"]), payment["reference_id"])
            stored = await refunds.find(connection, asked.refund_id)
            if stored is None:
                code = await self._open(connection, command, payment, reference)
                if code is not None:
                    return OpenedRefund(refused=code)
                stored = await refunds.find(connection, asked.refund_id)
        if stored is None:
            raise Rejected("refund_unknown")
        return OpenedRefund(
            status=stored["status"],
            user_id=stored["user_id"],
            amount=stored["amount"],
            currency=stored["currency"],
            approvals_due=stored["approvals_due"],
            gateway_payment_id=payment["gateway_payment_id"] or "",
            reference_id=payment["reference_id"],
            reference_workflow=reference.workflow_id if reference else "",
        )

    async def _open(
        self,
        connection: Connection,
        command: RefundOpening,
        payment: dict[str, Any],
        reference: Reference | None,
    ) -> str | None:
        asked = command.refund
        if payment["captured_at"] is None:
            return "payment_not_captured"
        if await disputes.live_of(connection, asked.payment_id) is not None:
            return "payment_disputed"
        left = payment["amount"] - payment["amount_refunding"] - payment["amount_lost"]
        if asked.authority == Authority.SYSTEM and left < MIN_PAISE:
            return LOST if payment["amount_lost"] else SETTLED
        granted = _granted(asked.authority, payment, reference, left, command.at)
        if granted <= 0 and asked.authority == Authority.CUSTOMER:
            return "refund_not_granted"
        amount = granted if asked.amount is None else asked.amount
        if asked.authority == Authority.CUSTOMER and granted < amount <= left:
            return "refund_not_granted"
        if not MIN_PAISE <= amount <= left:
            return "refund_exceeds_payment"
        # The parts of one payment count together, or large ones would be asked for in small ones.
        before = await refunds.asked_before(connection, asked.payment_id)
        due = approvals_due(Authority(asked.authority), before + amount)
        new = refunds.NewRefund(
            refund_id=asked.refund_id,
            payment_id=asked.payment_id,
            user_id=payment["user_id"],
            amount=amount,
            currency=payment["currency"],
            speed=asked.speed,
            status=RefundStatus.REQUESTED if due else RefundStatus.APPROVED,
            requested_by=asked.requested_by,
            authority=asked.authority,
            approvals_due=due,
            note_id=asked.note_id,
            reason_code=asked.reason_code,
        )
        fits = await refunds.open_refund(connection, new, command.at)
        return None if fits else "refund_exceeds_payment"

    @activity.defn(name="refunds.advance")
    async def advance(self, command: AdvanceRefund) -> AdvancedRefund:
        """Moves the refund and, in the same transaction, books what its new state means.

        Owed (accepted, or refused by the gateway and so paid by bank): credit note and reversal of revenue
        and tax. Processed: the debt to the customer is paid, from clearing or from the bank. Each posting
        and note has its business key, so a repeat books nothing.

        What finance owes and a lost dispute has paid is forfeited: `rejected`, or less is left to pay.

        Raises:
            Rejected: nothing is booked: `utr_already_used`, it is another refund's; `payment_disputed`, the
                customer's bank has yet to decide; `dispute_lost`, it has paid the customer.
        """
        async with self._database.transaction() as connection:
            row = await refunds.find(connection, command.refund_id, lock=True)
            if row is None:
                raise Rejected("refund_unknown")
            if command.utr:
                await _may_pay(connection, row, command.utr)
            row = await self._move(connection, row, command)
            note = await self._owe(connection, row, command.at) if row["status"] in OWED else None
            full = await self._pay(connection, row, command.at)
            row = await self._forfeit(connection, row, command.at)
        return AdvancedRefund(
            status=row["status"],
            user_id=row["user_id"],
            approvals=len(row["approvers"]),
            full=full,
            credit_note_id=note.invoice_id if note else None,
            credit_note_number=note.number if note else None,
        )

    async def _move(
        self, connection: Connection, row: dict[str, Any], command: AdvanceRefund
    ) -> dict[str, Any]:
        if row["status"] == RefundStatus.MANUAL_PAYOUT and command.status is RefundStatus.REJECTED:
            # The customer is owed it, whoever says otherwise: only what a dispute paid is forfeited.
            return row
        return await refunds.advance(
            connection,
            row,
            command.status,
            command.at,
            source=_source(command),
            approver=command.approver,
            note_id=command.note_id,
            gateway_refund_id=command.gateway.id if command.gateway else None,
            arn=command.gateway.arn if command.gateway else None,
            utr=command.utr,
            failure_code=command.failure_code,
        )

    async def _forfeit(self, connection: Connection, row: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Takes off what finance owes by bank what a lost dispute has paid the customer. The credit note
        stands: the sale is taken back, and its money is back with the customer."""
        if row["status"] != RefundStatus.MANUAL_PAYOUT:
            return row
        payment = await payments.find(connection, row["payment_id"])
        if payment is None or await refunds.held(connection, row["refund_id"]) != "dispute_lost":
            return row
        twice = payment["amount_refunding"] + payment["amount_lost"] - payment["amount"]
        left = row["amount"] - twice
        if left < MIN_PAISE:
            # No transfer is that small.
            left = 0
        day = await periods.open_day(connection, india_date(now))
        known = (row["payment_id"],)
        entry = forfeited_entry(row["refund_id"], day, row["amount"] - left, left, known)
        await ledger.post(connection, entry, now)
        if left:
            return await refunds.reduce(connection, row, left, now, refunds.Step("dispute", None, LOST))
        return await refunds.advance(
            connection, row, RefundStatus.REJECTED, now, source="dispute", failure_code=LOST
        )

    async def _owe(self, connection: Connection, row: dict[str, Any], now: datetime) -> invoices.Issued:
        note = await invoices.credit(
            connection, self._vault, self._supplier, row["refund_id"], row["payment_id"], row["amount"], now
        )
        await attempts.sent(connection, "refund", row["refund_id"], now)
        await self._reverse(connection, row, note, now)
        payment = await payments.find(connection, row["payment_id"])
        disputed = payment is not None and payment["status"] == PaymentStatus.DISPUTED
        if row["status"] != RefundStatus.PROCESSED and not disputed:
            await payments.advance(connection, row["payment_id"], PaymentStatus.REFUND_PENDING, "refund", now)
        return note

    async def _reverse(
        self, connection: Connection, row: dict[str, Any], note: invoices.Issued, now: datetime
    ) -> None:
        """Takes the note's price and tax back, once: first what was not earned yet, then revenue."""
        if await ledger.posted(connection, f"refund:{row['refund_id']}"):
            return
        day = await periods.open_day(connection, india_date(now))
        deferred = await recognition.give_back(connection, row["payment_id"], note.price.taxable, day)
        revenue = await recognition.revenue_of(connection, row["payment_id"])
        references = (row["payment_id"], note.number)
        entry = refund_entry(
            row["refund_id"], day, note.price, references, deferred=deferred, revenue=revenue
        )
        await ledger.post(connection, entry, now)

    async def _pay(self, connection: Connection, row: dict[str, Any], now: datetime) -> bool:
        """Books the payout of a processed refund once, and once its return; whether nothing of the payment
        is left."""
        payment = await payments.find(connection, row["payment_id"])
        if payment is None:
            raise Rejected("payment_unknown")
        paid = row["status"] == RefundStatus.PROCESSED
        if paid or row["returned_at"]:
            entry = _payout(row, await periods.open_day(connection, india_date(now)))
            if not await ledger.posted(connection, entry.business_key):
                await ledger.post(connection, entry, now)
                count = payments.count_refund if paid else payments.uncount_refund
                await count(connection, row["payment_id"], row["amount"], now)
                payment = await payments.find(connection, row["payment_id"]) or payment
        return payment["amount_refunded" if paid else "amount_refunding"] == payment["amount"]


async def _may_pay(connection: Connection, row: dict[str, Any], utr: str) -> None:
    if await refunds.utr_spent(connection, utr, row["refund_id"]):
        raise Rejected("utr_already_used")
    # A repeat finds what it has booked, whatever was disputed since.
    held = await refunds.held(connection, row["refund_id"]) if row["utr"] != utr else None
    if held is not None:
        raise Rejected(held)


def _payout(row: dict[str, Any], day: date) -> Entry:
    """The entry of money that left, by the gateway or by bank, or that came back."""
    known = tuple(key for key in (row["payment_id"], row["gateway_refund_id"], row["utr"]) if key)
    refund_id, amount = row["refund_id"], row["amount"]
    if row["status"] != RefundStatus.PROCESSED:
        return returned_entry(refund_id, day, amount, known)
    if row["returned_at"]:
        return second_payout_entry(refund_id, day, amount, known)
    source = Account.BANK if row["utr"] else Account.GATEWAY_CLEARING
    return payout_entry(refund_id, day, amount, source, known)


def _source(command: AdvanceRefund) -> str:
    """What brings a refund to a state, as its timeline says."""
    if command.approver:
        return "finance"
    match command.failure_code:
        case "returned_by_bank":
            return "bank"
        case code if code == LOST:
            return "dispute"
        case _:
            return "gateway"


def _granted(
    authority: str, payment: dict[str, Any], reference: Reference | None, left: int, now: datetime
) -> int:
    if authority != Authority.CUSTOMER:
        return left
    if reference is None:
        return 0
    return grant(
        Purpose(payment["purpose"]),
        amount=payment["amount"],
        left=left,
        captured_at=payment["captured_at"],
        status=reference.status,
        period_start=reference.period_start,
        period_end=reference.period_end,
        now=now,
    )


class RefundGatewayActivities(RefundGatewayPort):
    """Calls to the gateway for refunds."""

    def __init__(self, database: Database, gateway: Razorpay) -> None:
        self._database = database
        self._gateway = gateway

    @activity.defn(name="refunds.send")
    async def send(self, command: SendRefund) -> GatewayRefund:
        """Gives money back, once: the attempt's row is `sending` before the socket, and the refund's id is
        the gateway's idempotency key. Never retried by itself.

        Raises:
            Unknown: it may have happened (also where this attempt, or another, is live already).
            Unavailable: nothing left; `payment_disputed` while the customer's bank has yet to decide.
            Rejected: nothing left, and nothing will; `dispute_lost` where the bank gave it back already.
            RateLimited: this call changed nothing.
        """
        async with self._database.transaction() as connection:
            held = await refunds.held(connection, command.refund_id)
            if held == "payment_disputed":
                raise Unavailable(held)
            if held is not None:
                raise Rejected(held)
            begun = await attempts.begin(connection, "refund", command.refund_id, command.attempt, command.at)
        if not begun:
            raise Unknown("attempt_live")
        speed = "optimum" if command.speed == "instant" else "normal"
        return await in_thread(
            lambda: self._gateway.refund(command.gateway_payment_id, command.refund_id, command.amount, speed)
        )

    @activity.defn(name="refunds.find")
    async def find(self, command: FindRefund) -> FoundRefund:
        """Our refund as the gateway knows it now, found by the receipt that we sent."""
        found = await in_thread(
            lambda: self._gateway.find_refund(command.gateway_payment_id, command.refund_id)
        )
        return FoundRefund(refund=found)
