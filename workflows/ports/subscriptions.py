"""What `Subscription` does to the world. Each is safe to repeat by the key that its docstring names."""

from temporalio import activity

from models.messages.subscription_state import Debit, PlanTerms
from models.messages.subscriptions import (
    Begun,
    Collect,
    DebitResult,
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


class SubscriptionsPort:
    """Implemented by `activities.subscriptions.SubscriptionActivities`."""

    @activity.defn(name="subscriptions.open")
    async def open(self, given: SubscriptionInput) -> Opened:
        """Writes the row `awaiting_payment`, once a subscription.

        Raises:
            Rejected: `plan_unknown`, `consent_required`, `already_subscribed`.
        """
        ...

    @activity.defn(name="subscriptions.plan")
    async def plan(self, plan_id: str) -> PlanTerms:
        """A plan on offer. Raises Rejected `plan_unknown`."""
        ...

    @activity.defn(name="subscriptions.save")
    async def save(self, save: Save) -> int:
        """Stores the state's projection and what it entitles to; the row's version."""
        ...

    @activity.defn(name="subscriptions.begin")
    async def begin(self, start: Start) -> Begun:
        """The first period starts: row and entitlement, once."""
        ...

    @activity.defn(name="subscriptions.notify")
    async def notify(self, notice: Notice) -> Debit:
        """Tells the customer and the gateway of a debit, once an attempt (its derived payment id)."""
        ...

    @activity.defn(name="subscriptions.withdraw")
    async def withdraw(self, withdraw: Withdraw) -> bool:
        """Takes a debit back; False where it has left already."""
        ...

    @activity.defn(name="subscriptions.debit")
    async def debit(self, collect: Collect) -> DebitResult:
        """The irreversible call: sends the debit if it has not been withdrawn, at most once.

        Raises:
            Unavailable: it has certainly not left.
            Unknown: it may have left; `look` finds out.
        """
        ...

    @activity.defn(name="subscriptions.look")
    async def look(self, collect: Collect) -> DebitResult:
        """What the gateway has of the debit, found by its receipt, our payment id."""
        ...

    @activity.defn(name="subscriptions.late")
    async def late(self, late: Late) -> LateDebit:
        """The debit of an order, if it was given up and the bank has taken the money after all."""
        ...

    @activity.defn(name="subscriptions.renew")
    async def renew(self, renew: Renew) -> int:
        """Payment, journal entry, invoice, period, entitlement and event in one transaction, once a debit."""
        ...

    @activity.defn(name="subscriptions.miss")
    async def miss(self, miss: Miss) -> int:
        """Records a debit that did not go through. The row's version."""
        ...
