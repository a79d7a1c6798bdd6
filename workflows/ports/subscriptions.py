"""What `Subscription` does to the world. Each is safe to repeat by the key that its docstring names."""

from temporalio import activity

from models.messages.subscription_state import Debit, PlanTerms
from models.messages.subscriptions import (
    Begun,
    Collect,
    DebitResult,
    EndMandate,
    Late,
    LateDebit,
    Miss,
    Notice,
    Open,
    Opened,
    Quote,
    Renew,
    Renewed,
    Save,
    Saved,
    Start,
    Tell,
    Withdraw,
)


class SubscriptionsPort:
    """Our own books. Implemented by `activities.subscriptions.SubscriptionActivities`."""

    @activity.defn(name="subscriptions.open")
    async def open(self, asked: Open) -> Opened:
        """Writes the row `awaiting_payment`, once a subscription.

        Raises:
            Rejected: `plan_unknown`, `consent_required`, `fee_cap_reached`, `already_subscribed`,
                `trial_not_offered`, `trial_used`.
        """
        ...

    @activity.defn(name="subscriptions.quote")
    async def quote(self, asked: Quote) -> PlanTerms:
        """The terms of a plan that the subscription may be changed to.

        Raises:
            Rejected: `plan_unknown`, `consent_required`; where it takes a checkout also `fee_cap_reached`,
                and `checkout_open`: that of another plan, or of the first payment, may still be paid.
        """
        ...

    @activity.defn(name="subscriptions.save")
    async def save(self, save: Save) -> Saved:
        """Stores the state's projection and what it entitles to; what a period that is cut short leaves.

        Raises:
            Rejected: `fee_cap_reached`, `consent_required`: a change of plan that is wanted anew may not be.
        """
        ...

    @activity.defn(name="subscriptions.begin")
    async def begin(self, start: Start) -> Begun:
        """A checkout's period starts: row, entitlement and revenue plan, once; what it cuts short."""
        ...

    @activity.defn(name="subscriptions.renew")
    async def renew(self, renew: Renew) -> Renewed:
        """Payment, journal entry, invoice, period, entitlement and event in one transaction, once a debit."""
        ...

    @activity.defn(name="subscriptions.miss")
    async def miss(self, miss: Miss) -> int:
        """Records a debit that did not go through. The row's version."""
        ...

    @activity.defn(name="subscriptions.tell")
    async def tell(self, given: Tell) -> None:
        """Mails the customer, once a topic and occasion."""
        ...


class DebitsPort:
    """The gateway. Implemented by `activities.debits.DebitActivities`."""

    @activity.defn(name="subscriptions.notify")
    async def notify(self, notice: Notice) -> Debit:
        """Tells the customer and the gateway of a debit, once an attempt (its derived payment id).

        Raises:
            Rejected: the gateway takes no notice for this mandate; a `domain.subscriptions.Reason`: nothing
                may be debited.
        """
        ...

    @activity.defn(name="subscriptions.withdraw")
    async def withdraw(self, withdraw: Withdraw) -> bool:
        """Takes a debit back; False where it has left already."""
        ...

    @activity.defn(name="subscriptions.debit")
    async def debit(self, collect: Collect) -> DebitResult:
        """The irreversible call: sends the debit if it has not been withdrawn, at most once. What monitoring
        blocks is withdrawn, with its code.

        Raises:
            Unavailable: it has certainly not left.
            Unknown: it may have left; `look` finds out.
        """
        ...

    @activity.defn(name="subscriptions.look")
    async def look(self, collect: Collect) -> DebitResult:
        """What the gateway has of the debit, found by its receipt, our payment id."""
        ...

    @activity.defn(name="subscriptions.unsure")
    async def unsure(self, collect: Collect) -> None:
        """Shows the debit's payment as `unknown`: nobody has told its outcome in all its time."""
        ...

    @activity.defn(name="subscriptions.late")
    async def late(self, late: Late) -> LateDebit:
        """The debit of an order, if it was given up and the bank has taken the money after all."""
        ...

    @activity.defn(name="subscriptions.end_mandate")
    async def end_mandate(self, ending: EndMandate) -> None:
        """Ends a mandate at the gateway; repeatable."""
        ...
