"""What `Subscription` does to our books: its row, its periods with their booking, what its customer is told.

Notices and debits at the gateway are in `activities/debits.py`.
"""

from datetime import datetime

from temporalio import activity

from activities import renewal_payments
from activities.subscription_mails import mail_of, missed_mail, tell
from domain.billing_calendar import ist_date
from domain.errors import Rejected
from domain.fee_cap import applies_to
from domain.money import MIN_PAISE
from domain.payments import PaymentStatus, Purpose
from domain.proration import owed_back
from domain.subscriptions import outcome_message_id
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.subscription_state import Cut, PlanTerms, SubscriptionState
from models.messages.subscriptions import (
    Begun,
    DebitResult,
    DebitStatus,
    Miss,
    Open,
    Opened,
    Quote,
    Renew,
    Renewed,
    Save,
    Saved,
    Start,
    Tell,
)
from store import (
    audit,
    captures,
    fees,
    identity_consents,
    payments,
    plans,
    recognition,
    references,
    subscriptions,
)
from store.database import Connection, Database
from store.invoices import Supplier
from store.vault import Vault
from workflows.ports.subscriptions import SubscriptionsPort


class SubscriptionActivities(SubscriptionsPort):
    def __init__(self, database: Database, vault: Vault, supplier: Supplier) -> None:
        self._database = database
        self._vault = vault
        self._supplier = supplier

    @activity.defn(name="subscriptions.open")
    async def open(self, asked: Open) -> Opened:
        """Once a subscription id; the plan's terms are those of the first opening."""
        given, now = asked.given, asked.as_of
        async with self._database.transaction() as connection:
            plan = await plans.find(connection, given.plan_id)
            if plan is None:
                raise Rejected("plan_unknown")
            if given.trial and not plan.trial_days:
                raise Rejected("trial_not_offered")
            await self._must_be_allowed(connection, given.user_id, given.subscription_id, plan, 0, now)
            version = await subscriptions.open_row(
                connection, given.subscription_id, given.user_id, plan, now
            )
            if version is None:
                raise Rejected("already_subscribed")
            if given.trial and not await subscriptions.claim_trial(
                connection, given.user_id, plan.family or plan.tier, given.subscription_id, now
            ):
                raise Rejected("trial_used")
        return Opened(plan=plan, version=version, trial=given.trial)

    @activity.defn(name="subscriptions.quote")
    async def quote(self, asked: Quote) -> PlanTerms:
        """Reads only."""
        state = asked.state
        async with self._database.transaction() as connection:
            plan = await plans.find(connection, asked.plan_id)
            if plan is None:
                raise Rejected("plan_unknown")
            if not state.needs_checkout(plan):
                # A renewal at its price is held against the cap when it is announced.
                await self._must_have_consented(connection, state.user_id, plan)
                return plan
            await self._may_change(connection, state, plan, asked.as_of)
            standing = await payments.open_of(connection, Purpose.SUBSCRIPTION, state.subscription_id)
            if standing is not None and (standing["amount"], standing["title"]) != (plan.amount, plan.name):
                raise Rejected("checkout_open")
        return plan

    @activity.defn(name="subscriptions.save")
    async def save(self, save: Save) -> Saved:
        """Repeatable: the same state gives the same row, but for its version."""
        state, change = save.state, save.state.pending
        async with self._database.transaction() as connection:
            row = await subscriptions.find(connection, state.subscription_id) if change else None
            if change and row and row["pending_plan_id"] != change.plan.plan_id:
                # Again, now that others of the family see this one: of two at once the second is refused.
                await self._may_change(connection, state, change.plan, save.as_of)
            credit = await _cut_short(connection, save.cut)
            version = await subscriptions.save(connection, state, save.next_debit_at, save.as_of)
        return Saved(version=version, credit=credit)

    @activity.defn(name="subscriptions.begin")
    async def begin(self, start: Start) -> Begun:
        """Repeatable as `save` is; the payment itself was booked by its own process."""
        async with self._database.transaction() as connection:
            most = await subscriptions.mandate_max(connection, start.payment_id)
            if start.state.mandate is not None:
                start.state.mandate.max_amount = most
            credit = await _cut_short(connection, start.cut)
            await _plan_revenue(connection, start.state, start.as_of)
            version = await subscriptions.save(connection, start.state, start.next_debit_at, start.as_of)
        return Begun(version=version, mandate_max=most, credit=credit)

    @activity.defn(name="subscriptions.renew")
    async def renew(self, renew: Renew) -> Renewed:
        """One transaction, once a debit: a repeat finds it captured and gives what stands."""
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
                return await _renewed(connection, state, result.payment_id)
            debit = await subscriptions.debit_of(connection, result.payment_id)
            if debit is None:
                raise Rejected("debit_unknown")
            await renewal_payments.open_row(
                connection, self._vault, renew.terms or state.terms(), state.user_id, state.subscription_id,
                state.mandate, result.payment_id, debit["gateway_order_id"], renew.amount, renew.as_of,
            )  # fmt: skip
            booked = await captures.book(
                connection, self._vault, self._supplier, result.payment_id, result.gateway, "renewal",
                result.at, attempt_kind="debit",
            )  # fmt: skip
            if renew.wanted:
                await _plan_revenue(connection, state, renew.as_of)
            version = await subscriptions.save(connection, state, renew.next_debit_at, renew.as_of)
            await _keep_settlement(connection, state, result, renew.as_of)
        return Renewed(version=version, invoice_number=booked.invoice_number)

    @activity.defn(name="subscriptions.miss")
    async def miss(self, miss: Miss) -> int:
        """Repeatable: the attempt is settled once, the row and payment say the same each time."""
        state, result = miss.state, miss.result
        ended = "void" if result.status is DebitStatus.ABSENT else "failed"
        async with self._database.transaction() as connection:
            debit = await subscriptions.debit_of(connection, result.payment_id)
            fresh = False
            if debit is not None:
                fresh = await subscriptions.shift_debit(
                    connection,
                    result.payment_id,
                    ("noticed", "sending", "sent"),
                    ended,
                    failure_code=result.failure_code,
                )
                await renewal_payments.open_row(
                    connection, self._vault, state.renewal_terms(), state.user_id, state.subscription_id,
                    state.mandate, result.payment_id, debit["gateway_order_id"], debit["amount"], miss.as_of,
                )  # fmt: skip
                await payments.advance(
                    connection,
                    result.payment_id,
                    PaymentStatus.FAILED,
                    "renewal",
                    miss.as_of,
                    gateway_payment_id=result.gateway.id if result.gateway else None,
                    failure_code=result.failure_code,
                )
            if miss.told:
                key = outcome_message_id(state.subscription_id, state.period + 1, state.attempt)
                await tell(connection, self._vault, state.user_id, key, missed_mail(miss))
            version = await subscriptions.save(connection, state, miss.next_debit_at, miss.as_of)
            if fresh:
                await _keep_settlement(connection, state, result, miss.as_of)
        return version

    @activity.defn(name="subscriptions.tell")
    async def tell(self, given: Tell) -> None:
        """Once a topic and occasion, by the message's derived id."""
        message_id, mail = mail_of(given)
        async with self._database.transaction() as connection:
            await tell(connection, self._vault, given.state.user_id, message_id, mail)

    # --- parts ---------------------------------------------------------------------------------------

    async def _may_change(
        self, connection: Connection, state: SubscriptionState, plan: PlanTerms, now: datetime
    ) -> None:
        """As `_must_be_allowed`, less what the present period gives back when the plan begins."""
        cut = state.cut(now, day_used=False)
        credit = await _credit(connection, cut) if cut else 0
        await self._must_be_allowed(connection, state.user_id, state.subscription_id, plan, credit, now)

    async def _must_be_allowed(
        self,
        connection: Connection,
        user_id: str,
        subscription_id: str,
        plan: PlanTerms,
        credit: int,
        now: datetime,
    ) -> None:
        """Consent before the fee, and no more fees a family and year than allowed. `credit`: paise that go
        back when the plan begins."""
        await self._must_have_consented(connection, user_id, plan)
        if not plan.research_services:
            return
        buyer = await references.buyer_of(connection, self._vault, user_id)
        if applies_to(buyer.gstin if buyer else None) and not await fees.within_cap(
            connection, user_id, subscription_id, plan.amount - credit, now
        ):
            raise Rejected("fee_cap_reached")

    async def _must_have_consented(self, connection: Connection, user_id: str, plan: PlanTerms) -> None:
        consented = await identity_consents.holds(connection, user_id, "research_services", "mitc")
        if plan.research_services and not consented:
            raise Rejected("consent_required")


async def _plan_revenue(connection: Connection, state: SubscriptionState, now: datetime) -> None:
    """The period's price is earned over its days. Once a payment."""
    if state.payment_id is None or state.period_start is None or state.period_end is None:
        raise Rejected("period_missing")
    await recognition.plan(
        connection,
        payment_id=state.payment_id,
        kind="subscription",
        reference_id=state.subscription_id,
        net=await subscriptions.taxable_of(connection, state.payment_id),
        starts_on=ist_date(state.period_start),
        ends_on=ist_date(state.period_end),
        now=now,
    )


async def _renewed(connection: Connection, state: SubscriptionState, payment_id: str) -> Renewed:
    """What stands of a renewal that was booked before."""
    row = await subscriptions.find(connection, state.subscription_id)
    payment = await payments.find(connection, payment_id)
    if row is None or payment is None:
        raise Rejected("payment_unknown")
    return Renewed(version=row["version"], invoice_number=payment["invoice_number"] or "")


async def _keep_settlement(
    connection: Connection, state: SubscriptionState, result: DebitResult, now: datetime
) -> None:
    """Who settled a debit, and by which evidence, where a person did. Last in its transaction."""
    if result.settled_by is None:
        return
    await audit.write(
        connection,
        actor=result.settled_by,
        action="subscription.debit_settled",
        subjects=[result.payment_id, state.subscription_id, state.user_id],
        run=workflow_id(Kind.SUBSCRIPTION, state.subscription_id),
        detail={"outcome": result.status, "note_id": result.note_id},
        now=now,
    )


async def _cut_short(connection: Connection, cut: Cut | None) -> int:
    """Nothing of the period is earned after the cut; paise owed for what is left of it."""
    if cut is None:
        return 0
    await recognition.stop(connection, cut.payment_id, ist_date(cut.at))
    return await _credit(connection, cut)


async def _credit(connection: Connection, cut: Cut) -> int:
    """Paise owed for the unexpired part, of what was not given back before."""
    row = await payments.find(connection, cut.payment_id)
    if row is None:
        raise Rejected("payment_unknown")
    gone_back = row["amount_refunding"] + row["amount_lost"]
    owed = owed_back(row["amount"], gone_back, cut.start, cut.end, cut.at, day_used=cut.day_used)
    return owed if owed >= MIN_PAISE else 0
