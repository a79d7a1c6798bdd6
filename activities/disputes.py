"""What the dispute process does to our books and asks of the gateway."""

from datetime import datetime
from functools import partial
from typing import Any

from temporalio import activity

from activities.beating import in_thread
from domain.disputes import DISPUTE_LIVE, DisputeStatus, ended_entry, lost_amount, opened_entry
from domain.errors import Rejected, Unknown
from domain.gst import india_date
from domain.payments import PaymentStatus, Purpose
from domain.refunds import TWO_PEOPLE_ABOVE
from models.messages.disputes import (
    ApproveAcceptance,
    DisputeState,
    FindUntold,
    GatewayDispute,
    ReadDispute,
    SendAcceptance,
    TakeDispute,
    TakenDispute,
    Untold,
)
from providers.razorpay_disputes import RazorpayDisputes
from store import attempts, disputes, ledger, payments, periods
from store.database import Connection, Database
from store.references import reference_of
from workflows.ports.disputes import DisputeGatewayPort, DisputePort

AWAITING_PAYMENT = "awaiting_payment"
"""State of an enrollment or a subscription that has not heard of its money yet."""


class DisputeActivities(DisputePort):
    """Transactions of our own, each idempotent by the dispute's id and state."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="disputes.take")
    async def take(self, command: TakeDispute) -> TakenDispute:
        """Records what the gateway says, and in the same transaction books it and moves the payment.

        Opened: the amount is held, the payment `disputed`. Ended: what was lost is bad debt, the rest goes
        back, and so does the payment's state. Each posting has its business key: a repeat books nothing.
        Nothing is recorded before the payment is booked and what it bought has taken it up: a hold must
        not overtake the access that it takes away.
        """
        said, now = command.dispute, command.at
        async with self._database.transaction() as connection:
            payment_id = await disputes.payment_of(connection, said.payment_id)
            payment = await payments.find(connection, payment_id, lock=True) if payment_id else None
            if payment is None:
                return TakenDispute(ready=False)
            reference = await reference_of(connection, Purpose(payment["purpose"]), payment["reference_id"])
            if reference is not None and reference.status == AWAITING_PAYMENT:
                return TakenDispute(ready=False)
            await self._open(connection, said, payment, now)
            row = await disputes.find(connection, said.id, lock=True)
            if row is None:
                raise Rejected("dispute_unknown")
            row = await self._advance(connection, row, said, now)
            waiting = await disputes.waiting_refunds(connection, payment["payment_id"])
        return TakenDispute(
            status=row["status"],
            user_id=row["user_id"],
            payment_id=row["payment_id"],
            amount=row["amount"],
            approvals_due=row["approvals_due"],
            reference_id=payment["reference_id"],
            reference_workflow=reference.workflow_id if reference else "",
            waiting_refunds=waiting,
        )

    async def _open(
        self, connection: Connection, said: GatewayDispute, payment: dict[str, Any], now: datetime
    ) -> None:
        due = 2 if said.amount > TWO_PEOPLE_ABOVE else 1
        if not await disputes.open_dispute(connection, said, payment, due, now):
            return
        known = (payment["payment_id"], said.payment_id)
        day = await periods.open_day(connection, india_date(now))
        await ledger.post(connection, opened_entry(said.id, day, said.amount, known), now)
        await payments.advance(connection, payment["payment_id"], PaymentStatus.DISPUTED, "dispute", now)

    async def _advance(
        self, connection: Connection, row: dict[str, Any], said: GatewayDispute, now: datetime
    ) -> dict[str, Any]:
        before = DisputeStatus(row["status"])
        lost = lost_amount(said.status, row["amount"], said.amount_deducted)
        row = await disputes.advance(connection, row, said, lost, now)
        if before not in DISPUTE_LIVE or row["status"] in DISPUTE_LIVE:
            return row
        await attempts.sent(connection, "acceptance", said.id, now)
        known = (row["payment_id"], said.payment_id)
        day = await periods.open_day(connection, india_date(now))
        entry = ended_entry(said.id, day, row["amount"], row["lost"], known)
        await ledger.post(connection, entry, now)
        await payments.end_dispute(connection, row["payment_id"], row["lost"], now)
        return row

    @activity.defn(name="disputes.approve")
    async def approve(self, command: ApproveAcceptance) -> DisputeState:
        """Counts a person's word to give in; a repeat counts once.

        Raises:
            Rejected: the dispute is decided already.
        """
        async with self._database.transaction() as connection:
            row = await disputes.find(connection, command.dispute_id, lock=True)
            if row is None or row["status"] not in DISPUTE_LIVE:
                raise Rejected("dispute_decided")
            row = await disputes.approve(connection, row, command.subject, command.note_id, command.at)
        return DisputeState(
            dispute_id=row["dispute_id"],
            status=row["status"],
            approvals=len(row["approvers"]),
            approvals_due=row["approvals_due"],
        )


class DisputeGatewayActivities(DisputeGatewayPort):
    """Calls to the gateway for disputes."""

    def __init__(self, database: Database, gateway: RazorpayDisputes) -> None:
        self._database = database
        self._gateway = gateway

    @activity.defn(name="disputes.read")
    async def read(self, command: ReadDispute) -> GatewayDispute:
        """The dispute as the gateway knows it now."""
        return await in_thread(lambda: self._gateway.dispute(command.dispute_id))

    @activity.defn(name="disputes.untold")
    async def untold(self, command: FindUntold) -> Untold:
        """Disputes at the gateway of which nothing is on record here."""
        found: list[str] = []
        while page := await in_thread(partial(self._gateway.disputes, command.since, len(found))):
            found += page
        async with self._database.reading() as connection:
            known = await disputes.known(connection, found)
        return Untold(dispute_ids=sorted(set(found) - known))

    @activity.defn(name="disputes.accept")
    async def accept(self, command: SendAcceptance) -> GatewayDispute:
        """Gives the dispute up, once: the attempt's row is `sending` before the socket. Never retried by
        itself.

        Raises:
            Unknown: it may have happened (also where this attempt, or another, is live already).
            Rejected, Unavailable, RateLimited: this call changed nothing.
        """
        async with self._database.transaction() as connection:
            begun = await attempts.begin(
                connection, "acceptance", command.dispute_id, command.attempt, command.at
            )
        if not begun:
            raise Unknown("attempt_live")
        return await in_thread(lambda: self._gateway.accept_dispute(command.dispute_id))
