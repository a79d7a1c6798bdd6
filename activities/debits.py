"""What a renewal asks of the gateway: its notice, its debit, and what became of it."""

import asyncio
from datetime import datetime
from functools import partial

from temporalio import activity

from activities import renewal_payments
from activities.beating import in_thread
from activities.subscription_mails import notice_mail, tell
from domain.billing_calendar import needs_approval
from domain.errors import RateLimited, Rejected, Unavailable, Unknown
from domain.fee_cap import applies_to
from domain.monitoring import Assessment, assess
from domain.payments import PaymentStatus
from domain.subscriptions import debit_payment_id, notice_message_id
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import GatewayPayment
from models.messages.subscription_state import Debit
from models.messages.subscriptions import (
    Collect,
    DebitResult,
    DebitStatus,
    EndMandate,
    Late,
    LateDebit,
    Notice,
    Withdraw,
)
from providers.razorpay_mandates import RazorpayMandates
from store import fees, identity_consents, identity_users, monitoring, payments, references, subscriptions
from store.database import Connection, Database
from store.vault import Vault
from workflows.ports.subscriptions import DebitsPort

SENDERS = 6
"""Debits on their way at once: each holds a connection for its lock, and needs another to write what came."""


class DebitActivities(DebitsPort):
    def __init__(self, database: Database, vault: Vault, gateway: RazorpayMandates) -> None:
        self._database = database
        self._vault = vault
        self._gateway = gateway
        self._senders = asyncio.Semaphore(SENDERS)

    @activity.defn(name="subscriptions.notify")
    async def notify(self, notice: Notice) -> Debit:
        """Repeatable by the derived payment id: it is the order's receipt and the row's key.

        Raises:
            Rejected: the gateway does not take a notice for this mandate; a `domain.subscriptions.Reason`.
        """
        state, mandate = notice.state, notice.state.mandate
        if mandate is None:
            raise Rejected("mandate_missing")
        payment_id = debit_payment_id(state.subscription_id, notice.period, notice.attempt)
        async with self._database.transaction() as connection:
            await self._may_charge(connection, notice)
            # Money moves on the day that the debit is due: its limits are held against that day.
            seen = await _assessed(connection, state.user_id, payment_id, notice.amount, notice.due_at)
            await monitoring.raise_alerts(
                connection, payment_id, state.user_id, "create", seen.findings, notice.as_of,
                workflow_id(Kind.SUBSCRIPTION, state.subscription_id),
            )  # fmt: skip
        if seen.code is not None:
            # The alerts stand, whatever becomes of this.
            raise Rejected(seen.code)
        order_id = await in_thread(
            lambda: self._gateway.announce(
                payment_id,
                notice.amount,
                state.terms().currency,
                customer_id=mandate.gateway_customer_id,
                token_id=mandate.token_id,
                due_at=notice.due_at,
                as_of=notice.as_of,
            )
        )
        debit = Debit(
            payment_id=payment_id,
            period=notice.period,
            attempt=notice.attempt,
            amount=notice.amount,
            due_at=notice.due_at,
            gateway_order_id=order_id,
        )
        message_id = notice_message_id(state.subscription_id, notice.period, notice.attempt)
        async with self._database.transaction() as connection:
            # Again, now that others of the family see this one: of two at once the second is refused.
            await self._may_charge(connection, notice)
            await subscriptions.announce(connection, state.subscription_id, debit, message_id, notice.as_of)
            await tell(connection, self._vault, state.user_id, message_id, notice_mail(notice))
        return debit

    @activity.defn(name="subscriptions.withdraw")
    async def withdraw(self, withdraw: Withdraw) -> bool:
        """Compare-and-set: either this or the send is first, never both. True again for a repeat."""
        async with self._database.transaction() as connection:
            return await subscriptions.shift_debit(
                connection, withdraw.payment_id, ("noticed", "withdrawn"), "withdrawn"
            )

    @activity.defn(name="subscriptions.debit")
    async def debit(self, collect: Collect) -> DebitResult:
        """Sent at most once: the row goes from `noticed` to `sending` before the socket is opened, under a
        lock that is free again when nothing more can leave: this call has come back, or its process is gone.
        """
        earlier = await self._earlier_success(collect)
        if earlier is not None:
            return earlier
        async with self._senders, self._database.transaction() as sender:
            await subscriptions.hold_sender(sender, collect.debit.payment_id)
            return await self._send(collect)

    async def _send(self, collect: Collect) -> DebitResult:
        async with self._database.transaction() as connection:
            person = await identity_users.contact_of(connection, self._vault, collect.user_id)
            blocked = await self._claim(connection, collect)
        if blocked is not None:
            return blocked
        try:
            gateway_payment_id = await in_thread(
                lambda: self._gateway.debit(
                    collect.debit.payment_id,
                    collect.debit.amount,
                    collect.terms.currency,
                    order_id=collect.debit.gateway_order_id,
                    customer_id=collect.mandate.gateway_customer_id,
                    token_id=collect.mandate.token_id,
                    email=person.email if person else "",
                    contact=person.phone if person else "",
                    as_of=collect.as_of,
                )
            )
        except (Unavailable, RateLimited):
            # Nothing happened: the attempt is as it was, and a cancel may still take it back.
            await self._shift(collect.debit.payment_id, ("sending",), "noticed")
            raise Unavailable("gateway_unavailable") from None
        except Rejected as refusal:
            return _failed(collect, refusal.detail or refusal.code)
        await self._shift(
            collect.debit.payment_id, ("sending",), "sent", gateway_payment_id=gateway_payment_id
        )
        try:
            return await self.look(collect)
        except Unavailable:
            raise Unknown("gateway_unknown") from None

    async def _claim(self, connection: Connection, collect: Collect) -> DebitResult | None:
        """Takes the debit for sending, or says why it does not leave: it was withdrawn, or monitoring, which
        looks once more before money moves, blocks it."""
        debit, user_id = collect.debit, collect.user_id
        seen = await _assessed(connection, user_id, debit.payment_id, debit.amount, collect.as_of)
        if not await subscriptions.shift_debit(
            connection,
            debit.payment_id,
            ("noticed",),
            "sending" if seen.code is None else "withdrawn",
            sent_at=collect.as_of if seen.code is None else None,
            failure_code=seen.code,
        ):
            return await self._not_ours(connection, collect)
        await monitoring.raise_alerts(
            connection, debit.payment_id, user_id, "capture", seen.findings, collect.as_of,
            workflow_id(Kind.SUBSCRIPTION, collect.subscription_id),
        )  # fmt: skip
        return None if seen.code is None else _withdrawn(collect, seen.code)

    @activity.defn(name="subscriptions.look")
    async def look(self, collect: Collect) -> DebitResult:
        """A read; an undecided debit gets its payment row, so that webhooks about it find this process."""
        found = await in_thread(
            lambda: self._gateway.debits_of(collect.debit.gateway_order_id, collect.as_of)
        )
        result = _judged(collect, found)
        if result.status is DebitStatus.ABSENT:
            result = await self._missing(collect, result)
        if result.status is DebitStatus.PENDING:
            asked = needs_approval(collect.debit.amount, collect.mandate.method)
            await self._show(collect, PaymentStatus.ACTION_REQUIRED if asked else PaymentStatus.CREATED)
        return result

    @activity.defn(name="subscriptions.unsure")
    async def unsure(self, collect: Collect) -> None:
        """Repeatable by the payment's id. Raises Rejected `gateway_payment_taken`: what a person names is
        another payment's."""
        if collect.gateway_payment_id:
            async with self._database.reading() as connection:
                owner = await payments.by_gateway_payment(connection, collect.gateway_payment_id)
            if owner not in (None, collect.debit.payment_id):
                raise Rejected("gateway_payment_taken")
        await self._show(collect, PaymentStatus.UNKNOWN)

    @activity.defn(name="subscriptions.late")
    async def late(self, late: Late) -> LateDebit:
        """A read: of our row, then of the gateway."""
        async with self._database.reading() as connection:
            row = await subscriptions.debit_of_order(connection, late.subscription_id, late.gateway_order_id)
        if row is None or row["state"] not in ("failed", "void", "withdrawn"):
            return LateDebit()
        found = await in_thread(partial(self._gateway.debits_of, late.gateway_order_id, late.as_of))
        captured = next((payment for payment in found if payment.captured), None)
        if captured is None:
            return LateDebit()
        return LateDebit(
            debit=Debit.model_validate({name: row[name] for name in Debit.model_fields}),
            result=DebitResult(
                status=DebitStatus.CAPTURED, payment_id=row["payment_id"], gateway=captured, at=late.as_of
            ),
        )

    @activity.defn(name="subscriptions.end_mandate")
    async def end_mandate(self, ending: EndMandate) -> None:
        """Safe to repeat: a mandate that is ended stays so. One that the gateway no longer knows is ended."""
        mandate = ending.mandate
        await in_thread(
            lambda: self._gateway.end_mandate(
                mandate.gateway_customer_id, mandate.token_id, as_of=ending.as_of
            )
        )

    # --- parts ---------------------------------------------------------------------------------------

    async def _may_charge(self, connection: Connection, notice: Notice) -> None:
        state, terms = notice.state, notice.state.renewal_terms()
        if not terms.research_services:
            return
        if not await identity_consents.holds(connection, state.user_id, "research_services", "mitc"):
            raise Rejected("consent_required")
        buyer = await references.buyer_of(connection, self._vault, state.user_id)
        if applies_to(buyer.gstin if buyer else None) and not await fees.within_cap(
            connection, state.user_id, state.subscription_id, notice.amount, notice.due_at
        ):
            raise Rejected("fee_cap_reached")

    async def _show(self, collect: Collect, status: PaymentStatus) -> None:
        """The debit's row among the payments, in that state if it may follow."""
        debit = collect.debit
        async with self._database.transaction() as connection:
            await renewal_payments.open_row(
                connection, self._vault, collect.terms, collect.user_id, collect.subscription_id,
                collect.mandate, debit.payment_id, debit.gateway_order_id, debit.amount, collect.as_of,
            )  # fmt: skip
            await payments.advance(connection, debit.payment_id, status, "renewal", collect.as_of)

    async def _earlier_success(self, collect: Collect) -> DebitResult | None:
        """A bank may say yes to an attempt that it had refused; then nothing more is asked of it."""
        async with self._database.reading() as connection:
            rows = await subscriptions.earlier_debits(connection, collect.debit.payment_id)
        for row in rows:
            order_id = row["gateway_order_id"]
            found = await in_thread(partial(self._gateway.debits_of, order_id, collect.as_of))
            captured = next((payment for payment in found if payment.captured), None)
            if captured is not None:
                await self._shift(collect.debit.payment_id, ("noticed",), "withdrawn")
                return DebitResult(
                    status=DebitStatus.CAPTURED,
                    payment_id=row["payment_id"],
                    gateway=captured,
                    at=collect.as_of,
                )
        return None

    async def _missing(self, collect: Collect, absent: DebitResult) -> DebitResult:
        """What is known of a debit that the gateway does not have: its row is `sending` before the socket.

        Raises:
            Unavailable: its sender lives, and may yet send.
        """
        async with self._database.transaction() as connection:
            if not await subscriptions.sender_gone(connection, collect.debit.payment_id):
                raise Unavailable("debit_on_its_way")
            row = await subscriptions.debit_of(connection, collect.debit.payment_id)
        if row is not None and row["state"] == "withdrawn":
            return _withdrawn(collect, row["failure_code"])
        unsent = row is not None and row["state"] == "noticed"
        return absent.model_copy(update={"status": DebitStatus.UNSENT}) if unsent else absent

    async def _not_ours(self, connection: Connection, collect: Collect) -> DebitResult:
        row = await subscriptions.debit_of(connection, collect.debit.payment_id)
        if row is not None and row["state"] == "withdrawn":
            return _withdrawn(collect, row["failure_code"])
        raise Unknown("debit_sent_before")

    async def _shift(
        self, payment_id: str, before: tuple[str, ...], after: str, gateway_payment_id: str | None = None
    ) -> None:
        async with self._database.transaction() as connection:
            await subscriptions.shift_debit(
                connection, payment_id, before, after, gateway_payment_id=gateway_payment_id
            )


async def _assessed(
    connection: Connection, user_id: str, payment_id: str, amount: int, at: datetime
) -> Assessment:
    """What monitoring makes of a debit that is made at `at`, as of every payment."""
    # Two payments at once would not see each other, and both fit into what is left of a limit.
    await payments.hold_turnover(connection, user_id)
    return assess(await monitoring.facts_of(connection, user_id, payment_id, amount, at))


def _withdrawn(collect: Collect, code: str | None) -> DebitResult:
    return DebitResult(
        status=DebitStatus.WITHDRAWN,
        payment_id=collect.debit.payment_id,
        at=collect.as_of,
        failure_code=code,
    )


def _judged(collect: Collect, found: list[GatewayPayment]) -> DebitResult:
    """What the payments on the debit's order say: a success counts whatever else was tried."""
    captured = next((payment for payment in found if payment.captured), None)
    newest = captured or (found[0] if found else None)
    if newest is None:
        status = DebitStatus.ABSENT
    elif captured is not None:
        status = DebitStatus.CAPTURED
    elif newest.status == "failed":
        status = DebitStatus.FAILED
    else:
        status = DebitStatus.PENDING
    return DebitResult(
        status=status,
        payment_id=collect.debit.payment_id,
        gateway=newest,
        at=collect.as_of,
        failure_code=newest.error_code if newest and status is DebitStatus.FAILED else None,
    )


def _failed(collect: Collect, code: str) -> DebitResult:
    return DebitResult(
        status=DebitStatus.FAILED,
        payment_id=collect.debit.payment_id,
        at=collect.as_of,
        failure_code=code,
    )
