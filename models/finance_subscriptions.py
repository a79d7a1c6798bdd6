"""Tables of the schema `finance`: plans, subscriptions, and the debits of their renewals."""

from datetime import datetime

from sqlalchemy import Column, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import BigInteger, Field, SQLModel

from models.platform import instant


class SubscriptionPlan(SQLModel, table=True):
    """What is sold: a tier for a billing cycle at a price that includes GST."""

    __tablename__ = "subscription_plans"
    __table_args__ = {"schema": "finance"}

    plan_id: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    tier: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    """Paise, GST included."""
    currency: str = Field(sa_type=Text)
    cycle: str = Field(sa_type=Text)
    research_services: bool
    """Whether it carries research services, so that the client's consent (MITC) precedes the fee."""
    sac: str = Field(sa_type=Text)
    place: int
    """Order in which plans are shown."""
    offered: bool = True
    family: str | None = Field(default=None, sa_type=Text)
    """Plans of one family are the same thing for another time or price: one trial for all of them."""
    trial_days: int = 0
    """Days that the plan may be tried before it is paid; 0 for none."""


class SubscriptionRow(SQLModel, table=True):
    """The projection of one `Subscription` process that readers see."""

    __tablename__ = "user_subscriptions"
    __table_args__ = {"schema": "finance"}

    subscription_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text)
    plan_id: str = Field(sa_type=Text)
    next_plan_id: str | None = Field(default=None, sa_type=Text)
    """The plan that the next period begins with, where a change is due."""
    status: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    period: int
    """Number of the current billing period; 0 before the first payment."""
    current_period_start: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    current_period_end: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    next_debit_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    cancel_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    token_id: str | None = Field(default=None, sa_type=Text)
    gateway_customer_id: str | None = Field(default=None, sa_type=Text)
    method: str | None = Field(default=None, sa_type=Text)
    mandate_max: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime = Field(sa_column=instant())
    changed_at: datetime = Field(sa_column=instant())
    version: int = Field(sa_type=BigInteger)
    trial_ends_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    pending_plan_id: str | None = Field(default=None, sa_type=Text)
    """The plan that begins as soon as its checkout is paid."""
    payment_id: str | None = Field(default=None, sa_type=Text)
    """What paid for the current period."""
    checkouts: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """Checkouts whose money the process has taken."""
    reason_code: str | None = Field(default=None, sa_type=Text)
    """Why it is paused or halted, where the customer did not ask for it."""
    on_hold: bool = False
    """A payment is disputed: no access and no debit until the bank has decided."""


class TrialRow(SQLModel, table=True):
    """A trial that was taken: one a person and family of plans."""

    __tablename__ = "trials"
    __table_args__ = {"schema": "finance"}

    user_id: str = Field(primary_key=True, sa_type=Text)
    family: str = Field(primary_key=True, sa_type=Text)
    subscription_id: str = Field(sa_type=Text, unique=True)
    began_at: datetime = Field(sa_column=instant())


class DebitRow(SQLModel, table=True):
    """One attempt to debit a renewal: noticed, then sent at most once, then what the bank said."""

    __tablename__ = "debits"
    __table_args__ = {"schema": "finance"}

    payment_id: str = Field(primary_key=True, sa_type=Text)
    """Derived from subscription, period and attempt; also the gateway order's receipt."""
    subscription_id: str = Field(sa_type=Text)
    period: int
    attempt: int
    amount: int = Field(sa_type=BigInteger)
    message_id: str = Field(sa_type=Text)
    noticed_at: datetime = Field(sa_column=instant())
    due_at: datetime = Field(sa_column=instant())
    gateway_order_id: str = Field(sa_type=Text)
    gateway_payment_id: str | None = Field(default=None, sa_type=Text)
    state: str = Field(sa_type=Text)
    failure_code: str | None = Field(default=None, sa_type=Text)
    sent_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    version: int = Field(sa_type=BigInteger)
