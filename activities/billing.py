"""What the payment process does to our books and asks of the gateway."""

from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.beating import in_thread
from domain.errors import Rejected, Unavailable, Unknown
from domain.gst import place_of_supply
from domain.monitoring import Assessment, assess, needs_second_factor
from domain.payments import PaymentStatus, Purpose
from models.messages.billing import (
    Advance,
    Advanced,
    BookCapture,
    BookedCapture,
    CaptureCommand,
    Checkout,
    CreateOrder,
    Forestall,
    GatewayPayment,
    Mandate,
    OpenedPayment,
    Opening,
    OrderAnswer,
    ReadOrder,
    VerifyCheckout,
    VoidAttempt,
)
from models.messages.monitoring import EscalateReview
from providers.razorpay import Razorpay
from store import attempts, captures, monitoring, payments
from store.database import Connection, Database
from store.identity_users import contact_of
from store.invoices import Supplier
from store.references import Reference, buyer_of, reference_of
from store.vault import Vault
from workflows.ports.billing import BillingPort, GatewayPort

DECISIONS = {
    PaymentStatus.AUTHORIZED: "released",
    PaymentStatus.BLOCKED: "blocked",
    PaymentStatus.REFUND_PENDING: "lapsed",
}
"""What a decided review is called, by the state that it leads to."""


class BillingActivities(BillingPort):
    """Transactions of our own, each idempotent by the payment's id."""

    def __init__(self, database: Database, vault: Vault, supplier: Supplier, gateway: Razorpay) -> None:
        self._database = database
        self._vault = vault
        self._supplier = supplier
        self._gateway = gateway

    @activity.defn(name="billing.open_payment")
    async def open_payment(self, command: Opening) -> OpenedPayment:
        """Checks reference, buyer and limits and inserts the row, or records the refusal.

        Repeatable: a payment that is open already is answered as it stands.
        """
        asked = command.payment
        async with self._database.transaction() as connection:
            reference = await reference_of(connection, asked.purpose, asked.reference_id)
            stored = await payments.find(connection, asked.payment_id)
            if stored is not None and reference is not None:
                return _opened(reference, stored["created_at"])
            code, seen = await self._open(connection, command, reference)
            if code == "payment_already_open":
                return await self._join(connection, asked.purpose, asked.reference_id)
            if code is not None or reference is None:
                code = code or "not_found"
                await payments.refuse(
                    connection,
                    asked.payment_id,
                    asked.user_id,
                    asked.purpose,
                    asked.reference_id,
                    code,
                    command.at,
                )
            await monitoring.raise_alerts(
                connection, asked.payment_id, asked.user_id, "create", seen.findings, command.at
            )
            if code is not None or reference is None:
                return OpenedPayment(refused=code)
            return _opened(reference, command.at)

    async def _join(self, connection: Connection, purpose: Purpose, reference_id: str) -> OpenedPayment:
        row = await payments.open_of(connection, purpose, reference_id)
        if row is None or row["gateway_order_id"] is None:
            # It has just ended, or is just being opened: the next look tells which.
            raise Unavailable("payment_opening")
        return OpenedPayment(joined=_checkout(row, self._gateway.key_id, row["status"]))

    async def _open(
        self, connection: Connection, command: Opening, reference: Reference | None
    ) -> tuple[str | None, Assessment]:
        """The code by which the payment is refused, or None once its row stands; what monitoring saw."""
        asked, unseen = command.payment, Assessment()
        if reference is None or reference.user_id != asked.user_id:
            return "not_found", unseen
        if not await _wanted(connection, reference, asked.purpose, asked.reference_id, asked.payment_id):
            return "not_payable", unseen
        buyer = await buyer_of(connection, self._vault, asked.user_id)
        if buyer is None:
            return "billing_state_required", unseen
        if needs_second_factor(reference.amount, command.at) and not asked.second_factor:
            return "step_up_required", unseen
        facts = await monitoring.facts_of(
            connection, asked.user_id, asked.payment_id, reference.amount, command.at
        )
        seen = assess(facts)
        if seen.code is not None:
            return seen.code, seen
        new = payments.NewPayment(
            payment_id=asked.payment_id,
            user_id=asked.user_id,
            purpose=asked.purpose,
            reference_id=asked.reference_id,
            process=command.process,
            title=reference.title,
            sac=reference.sac,
            amount=reference.amount,
            currency=reference.currency,
            place_of_supply=place_of_supply(buyer.state, buyer.gstin),
            mandate_max=reference.mandate_max if reference.recurring else None,
        )
        is_ours = await payments.open_payment(connection, new, command.at, "checkout")
        return (None, seen) if is_ours else ("payment_already_open", unseen)

    @activity.defn(name="billing.advance")
    async def advance(self, command: Advance) -> Advanced:
        """Moves the payment forward; what may not follow changes nothing.

        Before a capture (`authorized`) it also says whether the thing is still wanted and what monitoring
        makes of it. Repeatable: an alert stands once a payment and flag, a decision once a payment.
        """
        async with self._database.transaction() as connection:
            row = await payments.advance(
                connection,
                command.payment_id,
                command.status,
                command.source,
                command.at,
                gateway_payment_id=command.gateway_payment_id,
                failure_code=command.failure_code,
                process=command.process,
            )
            wanted, seen = False, Assessment()
            if command.status is PaymentStatus.AUTHORIZED:
                wanted = await _still_wanted(connection, row)
                seen = await self._look(connection, row, command.at)
            if command.decided_by is not None:
                await monitoring.decide(
                    connection,
                    command.payment_id,
                    DECISIONS[command.status],
                    command.decided_by,
                    command.note_id,
                    command.at,
                )
        released = command.decided_by is not None
        return Advanced(
            status=row["status"],
            wanted=wanted,
            refused=seen.code,
            review=not released and seen.reviewed(row["flags"]),
        )

    async def _look(self, connection: Connection, row: dict[str, Any], now: datetime) -> Assessment:
        """What monitoring makes of a payment whose money is held."""
        # Two payments at once would not see each other, and both fit into what is left of a limit.
        await payments.hold_turnover(connection, row["user_id"])
        facts = await monitoring.facts_of(connection, row["user_id"], row["payment_id"], row["amount"], now)
        seen = assess(facts)
        await monitoring.raise_alerts(
            connection, row["payment_id"], row["user_id"], "capture", seen.findings, now
        )
        return seen

    @activity.defn(name="billing.escalate_review")
    async def escalate_review(self, command: EscalateReview) -> None:
        """Tells all of compliance that a review is overdue, once a payment."""
        async with self._database.transaction() as connection:
            await monitoring.escalate(connection, command.payment_id, command.at)

    @activity.defn(name="billing.verify_checkout")
    async def verify_checkout(self, command: VerifyCheckout) -> bool:
        """Whether the gateway signed this callback for our order; reads nothing."""
        return self._gateway.checkout_signed(command.gateway_order_id, command.callback)

    @activity.defn(name="billing.forestall")
    async def forestall(self, command: Forestall) -> bool:
        """Takes the number of an attempt that has not begun. A repeat finds the row that it made itself and
        says False, which only costs the time of a search at the gateway."""
        async with self._database.transaction() as connection:
            return await attempts.forestall(
                connection, command.kind, command.object_id, command.number, command.at
            )

    @activity.defn(name="billing.void_attempt")
    async def void_attempt(self, command: VoidAttempt) -> None:
        """Marks an attempt as not having happened; repeatable."""
        async with self._database.transaction() as connection:
            await attempts.void(
                connection, command.kind, command.object_id, command.number, command.code, command.at
            )

    @activity.defn(name="billing.book_capture")
    async def book_capture(self, command: BookCapture) -> BookedCapture:
        """Row, journal, invoice and event of a capture in one transaction; a repeat gives what stands."""
        async with self._database.transaction() as connection:
            row = await payments.find(connection, command.payment_id)
            if row is None:
                raise Rejected("payment_unknown")
            wanted = await _still_wanted(connection, row)
            booked = await captures.book(
                connection,
                self._vault,
                self._supplier,
                command.payment_id,
                command.gateway,
                command.source,
                command.at,
            )
        return BookedCapture(
            payment_id=command.payment_id,
            status=booked.status,
            captured_at=booked.captured_at,
            invoice_id=booked.invoice_id,
            invoice_number=booked.invoice_number,
            wanted=wanted,
        )


async def _still_wanted(connection: Connection, row: dict[str, Any]) -> bool:
    """Whether the stored payment's reference awaits its money, and no other payment has brought it."""
    purpose, reference_id = Purpose(row["purpose"]), row["reference_id"]
    reference = await reference_of(connection, purpose, reference_id)
    return await _wanted(connection, reference, purpose, reference_id, row["payment_id"])


async def _wanted(
    connection: Connection,
    reference: Reference | None,
    purpose: Purpose,
    reference_id: str,
    payment_id: str,
) -> bool:
    if reference is None or not reference.wanted:
        return False
    return not await payments.paid_by_another(connection, purpose, reference_id, payment_id)


def _opened(reference: Reference, created_at: datetime) -> OpenedPayment:
    return OpenedPayment(
        amount=reference.amount,
        currency=reference.currency,
        recurring=reference.recurring,
        mandate_max=reference.mandate_max if reference.recurring else None,
        reference_workflow=reference.workflow_id,
        created_at=created_at,
    )


def _checkout(row: dict[str, Any], key_id: str, status: PaymentStatus = PaymentStatus.CREATED) -> Checkout:
    return Checkout(
        payment_id=row["payment_id"],
        gateway_order_id=row["gateway_order_id"],
        key_id=key_id,
        amount=row["amount"],
        currency=row["currency"],
        payment_status=status,
        customer_id=row["gateway_customer_id"],
        mandate=Mandate(max_amount=row["mandate_max"]) if row["mandate_max"] else None,
    )


class GatewayActivities(GatewayPort):
    """Calls to the gateway for checkouts."""

    def __init__(self, database: Database, vault: Vault, gateway: Razorpay) -> None:
        self._database = database
        self._vault = vault
        self._gateway = gateway

    @activity.defn(name="billing.create_order")
    async def create_order(self, command: CreateOrder) -> Checkout:
        """The payment's order at the gateway, made or found.

        Repeatable: the order's receipt is the payment's id; after a lost answer it is searched for before
        another is made, and the first one remembered counts.
        """
        async with self._database.reading() as connection:
            row = await payments.find(connection, command.payment_id)
            if row is None:
                raise Rejected("payment_unknown")
        order_id, customer_id = row["gateway_order_id"], row["gateway_customer_id"]
        if order_id is None:
            if command.mandate_max:
                customer_id = await self._customer(command.user_id)
            if activity.info().attempt > 1:
                order_id = await in_thread(lambda: self._gateway.find_order(command.payment_id))
            if order_id is None:
                order_id = await in_thread(lambda: self._create(command, customer_id))
            async with self._database.transaction() as connection:
                row = await payments.set_order(connection, command.payment_id, order_id, customer_id) or row
        return _checkout(row, self._gateway.key_id)

    def _create(self, command: CreateOrder, customer_id: str | None) -> str:
        return self._gateway.create_order(
            command.payment_id,
            command.amount,
            command.currency,
            reference_id=command.reference_id,
            customer_id=customer_id,
            mandate_max=command.mandate_max,
        )

    async def _customer(self, user_id: str) -> str:
        async with self._database.reading() as connection:
            known = await payments.gateway_customer(connection, user_id)
            contact = None if known else await contact_of(connection, self._vault, user_id)
        if known is not None:
            return known
        if contact is None:
            raise Rejected("contact_unknown")
        made = await in_thread(lambda: self._gateway.customer(contact.email, contact.phone, user_id))
        async with self._database.transaction() as connection:
            await payments.keep_gateway_customer(connection, user_id, made, datetime.now(UTC))
        return made

    @activity.defn(name="billing.read_order")
    async def read_order(self, command: ReadOrder) -> OrderAnswer:
        """Every payment tried on the order, as the gateway knows them now."""
        found = await in_thread(lambda: self._gateway.payments_of(command.gateway_order_id))
        return OrderAnswer(payments=found)

    @activity.defn(name="billing.capture")
    async def capture(self, command: CaptureCommand) -> GatewayPayment:
        """Captures, once: the attempt's row is `sending` before the socket. Never retried by itself.

        Raises:
            Unknown: it may have happened (also where this attempt, or another, is live already).
            Rejected, Unavailable, RateLimited: this call changed nothing.
        """
        async with self._database.transaction() as connection:
            begun = await attempts.begin(
                connection, "capture", command.payment_id, command.attempt, command.at
            )
        if not begun:
            raise Unknown("attempt_live")
        return await in_thread(
            lambda: self._gateway.capture(command.gateway_payment_id, command.amount, command.currency)
        )
