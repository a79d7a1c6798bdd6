"""What a subscription is at any moment, and how its periods follow each other. Amounts are paise.

One model carries a run's state to the next; everything here is pure and takes the time as an argument.
"""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel

from domain import billing_calendar as calendar
from domain.billing_calendar import Cycle
from domain.moves import moved
from domain.subscriptions import COLLECTING, ENDED, NEXT, Reason, Status


class PlanTerms(BaseModel):
    """A plan as it was when it was taken."""

    plan_id: str
    name: str
    tier: str
    amount: int
    currency: str
    cycle: Cycle
    research_services: bool
    sac: str
    family: str | None = None
    trial_days: int = 0


class PlanChange(BaseModel):
    """A plan that begins as soon as its checkout is paid; nothing changes if it is not."""

    plan: PlanTerms
    until: AwareDatetime


class Cut(BaseModel):
    """A paid period that ends before its time."""

    payment_id: str
    start: AwareDatetime
    end: AwareDatetime
    at: AwareDatetime
    day_used: bool = True
    """False where another plan begins on the day."""


class Mandate(BaseModel):
    """The customer's standing consent to be debited, as the gateway keeps it."""

    token_id: str
    gateway_customer_id: str
    method: str
    """`card`, `upi` or `emandate`."""
    max_amount: int | None = None
    since: AwareDatetime
    """When it was given: its cycles are counted from here."""


class Debit(BaseModel):
    """One attempt to collect a renewal; the customer has been told of it."""

    payment_id: str
    period: int
    attempt: int
    amount: int
    due_at: AwareDatetime
    gateway_order_id: str


class SubscriptionState(BaseModel):
    """All that a run carries to the next one, and what the row in Postgres shows."""

    subscription_id: str
    user_id: str
    plan: PlanTerms | None = None
    next_plan: PlanTerms | None = None
    status: Status = Status.AWAITING_PAYMENT
    opened_at: AwareDatetime | None = None
    mandate: Mandate | None = None
    anchor_at: AwareDatetime | None = None
    """Where the billing calendar starts: the moment of the first payment, or of the one after a lapse."""
    anchor_period: int = 1
    """The number of the period that starts at the anchor."""
    period: int = 0
    period_start: AwareDatetime | None = None
    period_end: AwareDatetime | None = None
    cancel_at: AwareDatetime | None = None
    lapsed: bool = False
    """The next period starts when it is paid: access had ended, and nothing is owed for the gap."""
    attempt: int = 0
    """Debits announced for the period that is due; the number in their names."""
    series_from: int = 0
    """Of those, the ones that do not count towards the halt: withdrawn, or made before a resumption."""
    first_due_at: AwareDatetime | None = None
    """When the first debit of the period that is due was due."""
    debit: Debit | None = None
    failed_at: AwareDatetime | None = None
    """When a debit failed last."""
    since: AwareDatetime | None = None
    """When the present status began."""
    trial_ends_at: AwareDatetime | None = None
    reminded: bool = False
    """The customer has been told that the trial ends."""
    pending: PlanChange | None = None
    payment_id: str | None = None
    """What paid for the present period."""
    checkouts: list[str] = []
    """Checkouts whose money was taken, oldest first."""
    replaced: list[Mandate] = []
    """Mandates that are to be ended at the gateway: another came, or nothing is debited any more."""
    disputes: list[str] = []
    """Open disputes of its payments: no access and no debit while there is one."""
    reason: Reason | None = None
    version: int = 0

    def terms(self) -> PlanTerms:
        """The plan of the present period."""
        if self.plan is None:
            raise ValueError("the subscription is not open")
        return self.plan

    def renewal_terms(self) -> PlanTerms:
        """The plan that the next period will be debited for."""
        return self.next_plan or self.terms()

    def method(self) -> str:
        return self.mandate.method if self.mandate else ""

    def needs_checkout(self, wanted: PlanTerms) -> bool:
        """Whether a change to that plan begins at once, by a new checkout.

        An upgrade is never an extra debit (RBI, e-mandates); nor can a mandate be debited beyond its maximum.
        """
        present, most = self.terms(), self.mandate.max_amount if self.mandate else None
        dearer = wanted.amount * present.cycle.months > present.amount * wanted.cycle.months
        return dearer or self.mandate is None or (most is not None and wanted.amount > most)

    def cut(self, at: datetime, *, day_used: bool = True) -> Cut | None:
        """What ending the present period at that moment leaves unused; None where nothing was paid for it or
        it is over."""
        if self.payment_id is None or self.period_start is None or self.period_end is None:
            return None
        if self.period_end <= at:
            return None
        return Cut(
            payment_id=self.payment_id, start=self.period_start, end=self.period_end, at=at, day_used=day_used
        )

    def planned_debit(self, now: datetime) -> datetime:
        """When the next debit is to be made, were its notice out in time."""
        end = self.period_end or now
        if self.lapsed:
            planned = now
        elif self.first_due_at is not None:
            # A retry of the period that is due.
            tries = self.attempt - self.series_from
            planned = calendar.retry_due(self.first_due_at, tries, now, self.method()) or now
        else:
            planned = end
        return self._debitable(planned)

    def due(self, now: datetime) -> datetime:
        """When the next debit may leave if its notice goes out now."""
        return self._debitable(calendar.due_after(self.planned_debit(now), now, self.method()))

    def _debitable(self, at: datetime) -> datetime:
        """The moment, or the first one after it, at which the bank debits by this method."""
        if self.method() == "emandate":
            return calendar.on_bank_day(at)
        if self.method() == "upi" and self.mandate is not None:
            return calendar.off_last_day(at, self.mandate.since, self.terms().cycle)
        return at

    def next_debit(self, now: datetime) -> datetime | None:
        """When money is next taken, as far as it is known; None where nothing will be."""
        if self.status not in COLLECTING or self.cancel_at is not None or self.mandate is None:
            return None
        if self.debit is not None:
            return self.debit.due_at
        return None if self.disputes else self.due(now)

    def move(self, status: Status, now: datetime) -> None:
        """Raises IllegalMove, which stops the run where it is, before anything is stored."""
        moved(NEXT, self.status, status)
        if self.status is status:
            return
        self.status, self.since = status, now
        if status in ENDED:
            self.pending = None
            self._retire_mandate()

    def try_out(self, now: datetime) -> None:
        """The plan may be used before it is paid."""
        self.trial_ends_at = calendar.trial_end(now, self.terms().trial_days)
        self.move(Status.TRIAL, now)

    def begin(self, payment_id: str, paid_at: datetime, mandate: Mandate | None, now: datetime) -> None:
        """A checkout is paid: the first period starts, or the one of the plan that was changed to. Without a
        mandate nothing can be debited later: it ends as paid."""
        if self.pending is not None:
            self.plan, self.pending = self.pending.plan, None
        self._retire_mandate()
        self.mandate, self.period = mandate, self.period + 1
        self.anchor_at = self.period_start = paid_at
        self.anchor_period = self.period
        self.period_end = calendar.boundary(paid_at, self.terms().cycle, 1)
        self.cancel_at = None if mandate else self.period_end
        self.next_plan, self.lapsed, self.reason = None, False, None
        self.payment_id, self.checkouts = payment_id, [*self.checkouts, payment_id]
        self.forget_series()
        self.move(Status.ACTIVE, now)

    def _retire_mandate(self) -> None:
        if self.mandate is not None:
            self.replaced = [*self.replaced, self.mandate]

    def renew(self, period: int, payment_id: str, paid_at: datetime, now: datetime) -> None:
        """The debit for `period` went through. A period that would be over before it was paid, as after a
        long outage of ours, starts when it is paid: several are never debited in a row to catch up."""
        terms, owed_from = self.renewal_terms(), self.period_end or paid_at
        self.lapsed = self.lapsed or calendar.boundary(owed_from, terms.cycle, 1) <= paid_at
        begun = paid_at if self.lapsed else owed_from
        if self.lapsed or terms.cycle is not self.terms().cycle:
            self.anchor_at, self.anchor_period = begun, period
        self.plan, self.next_plan, self.lapsed = terms, None, False
        self.payment_id, self.reason = payment_id, None
        self.period, self.period_start = period, begun
        anchor = self.anchor_at or begun
        self.period_end = calendar.boundary(anchor, terms.cycle, period - self.anchor_period + 1)
        self.forget_series()
        self.move(Status.ACTIVE, now)

    def miss(self, now: datetime) -> None:
        """The announced debit failed: past due while attempts are left, then halted."""
        if self.debit is not None:
            self.first_due_at = self.first_due_at or self.debit.due_at
        self.debit = None
        tries = self.attempt - self.series_from
        self.move(Status.PAST_DUE if tries < calendar.DEBIT_ATTEMPTS else Status.HALTED, now)

    def withdraw(self) -> None:
        """The announced debit was taken back: it counts for nothing."""
        if self.debit is not None:
            self.debit, self.series_from = None, self.series_from + 1

    def cancel(self, at_period_end: bool, now: datetime) -> None:
        """At the end of what is paid or tried, else now. A change of plan that is not paid yet is dropped."""
        paid = self.status in (Status.ACTIVE, Status.PAUSED)
        end = self.trial_ends_at if self.status is Status.TRIAL else self.period_end if paid else None
        self.cancel_at = end if at_period_end and end is not None and end > now else now
        self.pending = None
        if self.cancel_at <= now:
            self.move(Status.CANCELLED, now)

    def resume(self, now: datetime) -> None:
        self.lapsed = (self.period_end or now) <= now
        self.first_due_at, self.series_from, self.reason = None, self.attempt, None
        self.move(Status.PAST_DUE if self.lapsed else Status.ACTIVE, now)

    def withhold(self, reason: Reason, now: datetime) -> None:
        """The renewal is not debited: what is paid for stays usable, and nothing follows it until the
        customer resumes."""
        self.debit, self.reason = None, reason
        self.move(Status.PAUSED if self.status is Status.ACTIVE else Status.HALTED, now)

    def hold(self, dispute_id: str) -> None:
        """The customer's bank disputes a payment."""
        if dispute_id not in self.disputes:
            self.disputes = [*self.disputes, dispute_id]

    def release(self, dispute_id: str, now: datetime) -> None:
        """The dispute was won. Where the paid period is over, the next one starts when it is paid."""
        self.disputes = [one for one in self.disputes if one != dispute_id]
        waits = self.status in COLLECTING and self.debit is None and self.cancel_at is None
        if not self.disputes and waits and (self.period_end or now) <= now:
            self.lapsed, self.first_due_at, self.series_from = True, None, self.attempt
            self.move(Status.PAST_DUE, now)

    def lose(self, dispute_id: str, now: datetime) -> None:
        """The dispute was lost: the money is gone, and so is what it bought."""
        self.disputes = [one for one in self.disputes if one != dispute_id]
        self.cancel_at = now
        self.move(Status.CANCELLED, now)

    def lose_earlier(self, dispute_id: str, now: datetime) -> None:
        """A dispute about the payment of an earlier period was lost: the present one is paid for and stays,
        and nothing follows it."""
        self.disputes = [one for one in self.disputes if one != dispute_id]
        self.cancel(at_period_end=True, now=now)

    def forget_series(self) -> None:
        self.attempt = self.series_from = 0
        self.debit = self.first_due_at = None

    def view(self, now: datetime) -> "SubscriptionView":
        terms = self.terms()
        return SubscriptionView(
            subscription_id=self.subscription_id,
            plan_id=terms.plan_id,
            status=self.status,
            amount=terms.amount,
            currency=terms.currency,
            current_period_start=self.period_start,
            current_period_end=self.period_end,
            next_debit_at=self.next_debit(now),
            cancel_at=self.cancel_at,
            next_plan_id=self.next_plan.plan_id if self.next_plan else None,
            mandate=MandateView(method=self.mandate.method, max_amount=self.mandate.max_amount)
            if self.mandate
            else None,
            trial_ends_at=self.trial_ends_at,
            pending_plan_id=self.pending.plan.plan_id if self.pending else None,
            reason_code=self.reason,
            on_hold=bool(self.disputes),
            version=self.version,
        )


class MandateView(BaseModel):
    """What a caller sees of a mandate."""

    method: str
    max_amount: int | None = None


class SubscriptionView(BaseModel):
    """What a caller is answered; the same fields as a read of the row."""

    subscription_id: str
    plan_id: str
    status: Status
    amount: int
    currency: str
    current_period_start: AwareDatetime | None = None
    current_period_end: AwareDatetime | None = None
    next_debit_at: AwareDatetime | None = None
    cancel_at: AwareDatetime | None = None
    next_plan_id: str | None = None
    mandate: MandateView | None = None
    trial_ends_at: AwareDatetime | None = None
    pending_plan_id: str | None = None
    """Begins as soon as its checkout is paid."""
    reason_code: str | None = None
    on_hold: bool = False
    """A payment is disputed: no access until the bank has decided."""
    version: int
