"""What `Subscription` does to the world: its rows, the notices, the debits and their booking."""

from datetime import UTC, datetime
from functools import partial

from temporalio import activity

from activities.beating import in_thread
from domain.billing_calendar import IST
from domain.errors import RateLimited, Rejected, Unavailable, Unknown
from domain.money import rupees
from domain.payments import PaymentStatus, Purpose
from domain.subscriptions import debit_payment_id, notice_message_id
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import GatewayPayment
from models.messages.subscription_state import Debit, PlanTerms, SubscriptionState
from models.messages.subscriptions import (
    Begun,
    Collect,
    DebitResult,
    DebitStatus,
    Late,
    LateDebit,
    Miss,
    Notice,
    Opened,
    Renew,
    Save,
    Start,
    SubscriptionInput,
    Withdraw,
)
from providers.razorpay_mandates import RazorpayMandates
from store import (
    captures,
    identity_consents,
    identity_users,
    messages,
    payments,
    plans,
    references,
    subscriptions,
)
from store.database import Connection, Database
from store.invoices import Supplier
from store.vault import Vault
from workflows.ports.subscriptions import SubscriptionsPort


class SubscriptionActivities(SubscriptionsPort):
    def __init__(
        self, database: Database, vault: Vault, gateway: RazorpayMandates, supplier: Supplier
    ) -> None:
        self._database = database
        self._vault = vault
        self._gateway = gateway
        self._supplier = supplier

    @activity.defn(name="subscriptions.open")
    async def open(self, given: SubscriptionInput) -> Opened:
        """Once a subscription id; the plan's terms are those of the first opening."""
        async with self._database.transaction() as connection:
            plan = await plans.find(connection, given.plan_id)
            if plan is None:
                raise Rejected("plan_unknown")
            consented = await identity_consents.holds(connection, given.user_id, "research_services", "mitc")
            if plan.research_services and not consented:
                raise Rejected("consent_required")
            version = await subscriptions.open_row(
                connection, given.subscription_id, given.user_id, plan, datetime.now(UTC)
            )
        if version is None:
            raise Rejected("already_subscribed")
        return Opened(plan=plan, version=version)

    @activity.defn(name="subscriptions.plan")
    async def plan(self, plan_id: str) -> PlanTerms:
        async with self._database.reading() as connection:
            plan = await plans.find(connection, plan_id)
        if plan is None:
            raise Rejected("plan_unknown")
        return plan

    @activity.defn(name="subscriptions.save")
    async def save(self, save: Save) -> int:
        """Repeatable: the same state gives the same row, but for its version."""
        async with self._database.transaction() as connection:
            return await subscriptions.save(connection, save.state, save.next_debit_at, save.as_of)

    @activity.defn(name="subscriptions.begin")
    async def begin(self, start: Start) -> Begun:
        """Repeatable as `save` is; the payment itself was booked by its own process."""
        async with self._database.transaction() as connection:
            most = await subscriptions.mandate_max(connection, start.payment_id)
            if start.state.mandate is not None:
                start.state.mandate.max_amount = most
            version = await subscriptions.save(connection, start.state, start.next_debit_at, start.as_of)
        return Begun(version=version, mandate_max=most)

    @activity.defn(name="subscriptions.notify")
    async def notify(self, notice: Notice) -> Debit:
        """Repeatable by the derived payment id: it is the order's receipt and the row's key.

        Raises:
            Rejected: the gateway does not take a notice for this mandate.
        """
        state, mandate = notice.state, notice.state.mandate
        if mandate is None:
            raise Rejected("mandate_missing")
        payment_id = debit_payment_id(state.subscription_id, notice.period, notice.attempt)
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
            await subscriptions.announce(connection, state.subscription_id, debit, message_id, notice.as_of)
            await self._tell(connection, state, message_id, *_notice_text(notice))
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
        """Sent at most once: the row goes from `noticed` to `sending` before the socket is opened."""
        earlier = await self._earlier_success(collect)
        if earlier is not None:
            return earlier
        async with self._database.transaction() as connection:
            person = await identity_users.contact_of(connection, self._vault, collect.user_id)
            if not await subscriptions.shift_debit(
                connection, collect.debit.payment_id, ("noticed",), "sending", sent_at=collect.as_of
            ):
                return await self._not_ours(connection, collect)
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

    @activity.defn(name="subscriptions.look")
    async def look(self, collect: Collect) -> DebitResult:
        """A read; an undecided debit gets its payment row, so that webhooks about it find this process."""
        found = await in_thread(
            lambda: self._gateway.debits_of(collect.debit.gateway_order_id, collect.as_of)
        )
        result = _judged(collect, found)
        if result.status is DebitStatus.PENDING:
            debit = collect.debit
            async with self._database.transaction() as connection:
                await self._payment_row(
                    connection, collect.terms, collect, debit.payment_id, debit.gateway_order_id, debit.amount
                )
                await payments.advance(
                    connection, debit.payment_id, PaymentStatus.ACTION_REQUIRED, "renewal", collect.as_of
                )
        return result

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

    @activity.defn(name="subscriptions.renew")
    async def renew(self, renew: Renew) -> int:
        """One transaction, once a debit: a repeat finds it captured and gives the row's version."""
        state, result = renew.state, renew.result
        if result.gateway is None:
            raise Rejected("gateway_payment_missing")
        async with self._database.transaction() as connection:
            fresh = await subscriptions.shift_debit(
                connection,
                result.payment_id,
                ("noticed", "sending", "sent", "failed", "void", "withdrawn"),
                "captured" if renew.wanted else "returned",
                gateway_payment_id=result.gateway.id,
            )
            if not fresh:
                row = await subscriptions.find(connection, state.subscription_id)
                return int(row["version"]) if row else state.version
            debit = await subscriptions.debit_of(connection, result.payment_id)
            if debit is None:
                raise Rejected("debit_unknown")
            await self._payment_row(
                connection, state.terms(), renew, result.payment_id, debit["gateway_order_id"], renew.amount
            )
            await captures.book(
                connection, self._vault, self._supplier, result.payment_id, result.gateway, "renewal",
                result.at, attempt_kind="debit",
            )  # fmt: skip
            return await subscriptions.save(connection, state, renew.next_debit_at, renew.as_of)

    @activity.defn(name="subscriptions.miss")
    async def miss(self, miss: Miss) -> int:
        """Repeatable: the attempt is settled once, the row and payment say the same each time."""
        state, result = miss.state, miss.result
        ended = "void" if result.status is DebitStatus.ABSENT else "failed"
        async with self._database.transaction() as connection:
            debit = await subscriptions.debit_of(connection, result.payment_id)
            if debit is not None:
                await subscriptions.shift_debit(
                    connection,
                    result.payment_id,
                    ("noticed", "sending", "sent"),
                    ended,
                    failure_code=result.failure_code,
                )
                await self._payment_row(
                    connection,
                    state.renewal_terms(),
                    miss,
                    result.payment_id,
                    debit["gateway_order_id"],
                    debit["amount"],
                )
                await payments.advance(
                    connection,
                    result.payment_id,
                    PaymentStatus.FAILED,
                    "renewal",
                    miss.as_of,
                    gateway_payment_id=result.gateway.id if result.gateway else None,
                    failure_code=result.failure_code,
                )
            return await subscriptions.save(connection, state, miss.next_debit_at, miss.as_of)

    # --- parts ---------------------------------------------------------------------------------------

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

    async def _not_ours(self, connection: Connection, collect: Collect) -> DebitResult:
        row = await subscriptions.debit_of(connection, collect.debit.payment_id)
        if row is not None and row["state"] == "withdrawn":
            return DebitResult(
                status=DebitStatus.WITHDRAWN, payment_id=collect.debit.payment_id, at=collect.as_of
            )
        raise Unknown("debit_sent_before")

    async def _shift(
        self, payment_id: str, before: tuple[str, ...], after: str, gateway_payment_id: str | None = None
    ) -> None:
        async with self._database.transaction() as connection:
            await subscriptions.shift_debit(
                connection, payment_id, before, after, gateway_payment_id=gateway_payment_id
            )

    async def _payment_row(
        self,
        connection: Connection,
        terms: PlanTerms,
        about: Collect | Renew | Miss,
        payment_id: str,
        gateway_order_id: str,
        amount: int,
    ) -> None:
        """The renewal's row among the payments, once; its process is the subscription."""
        subject = about if isinstance(about, Collect) else about.state
        new = payments.NewPayment(
            payment_id=payment_id,
            user_id=subject.user_id,
            purpose=Purpose.SUBSCRIPTION,
            reference_id=subject.subscription_id,
            process=workflow_id(Kind.SUBSCRIPTION, subject.subscription_id),
            title=terms.name,
            sac=terms.sac,
            amount=amount,
            currency=terms.currency,
            place_of_supply=await self._place(connection, subject.user_id, subject.subscription_id),
            renewal=True,
            gateway_customer_id=subject.mandate.gateway_customer_id if subject.mandate else None,
            token_id=subject.mandate.token_id if subject.mandate else None,
        )
        await payments.open_payment(connection, new, about.as_of, "renewal")
        await payments.set_order(connection, payment_id, gateway_order_id, None)

    async def _place(self, connection: Connection, user_id: str, subscription_id: str) -> str:
        """The buyer's state on record now, else the one of the subscription's first payment."""
        buyer = await references.buyer_of(connection, self._vault, user_id)
        return buyer.state if buyer else await subscriptions.first_place(connection, subscription_id)

    async def _tell(
        self, connection: Connection, state: SubscriptionState, message_id: str, subject: str, text: str
    ) -> None:
        """Writes a mail to the customer, due at once: what it tells of may lie in business time to come."""
        person = await identity_users.contact_of(connection, self._vault, state.user_id)
        if person is not None:
            await messages.enqueue(
                connection,
                self._vault,
                message_id=message_id,
                to=person.email,
                channel="email",
                subject=subject,
                text=text,
                person_id=state.user_id,
                now=datetime.now(UTC),
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


def _notice_text(notice: Notice) -> tuple[str, str]:
    day = notice.due_at.astimezone(IST)
    name = notice.state.renewal_terms().name
    return (
        f"Your {name} plan renews on {day:%d %B %Y}",
        f"On {day:%d %B %Y} at {day:%H:%M} (India) we will debit Rs {rupees(notice.amount)} (GST included) "
        f"for your plan {name} under the mandate that you gave. To stop it, cancel or pause the plan in "
        "your account before then: a cancel that reaches us before the debit leaves always wins.",
    )
