"""The billing column's subscriptions: tables, constraints and triggers."""

from alembic import op

revision = "0009"
down_revision = "0008"

UP = """
CREATE TABLE finance.subscription_plans (
    plan_id text PRIMARY KEY,
    name text NOT NULL,
    tier text NOT NULL CHECK (tier IN ('premium', 'enterprise')),
    amount bigint NOT NULL CHECK (amount >= 100),
    currency text NOT NULL,
    cycle text NOT NULL CHECK (cycle IN ('monthly', 'quarterly', 'yearly')),
    research_services boolean NOT NULL,
    sac text NOT NULL,
    place integer NOT NULL,
    offered boolean NOT NULL DEFAULT true
);

CREATE TABLE finance.user_subscriptions (
    subscription_id text PRIMARY KEY,
    user_id text NOT NULL,
    plan_id text NOT NULL REFERENCES finance.subscription_plans,
    next_plan_id text REFERENCES finance.subscription_plans,
    status text NOT NULL CHECK (status IN ('awaiting_payment', 'trial', 'active', 'awaiting_approval',
        'past_due', 'halted', 'paused', 'cancelled', 'expired')),
    amount bigint NOT NULL,
    currency text NOT NULL,
    period integer NOT NULL,
    current_period_start timestamptz,
    current_period_end timestamptz,
    next_debit_at timestamptz,
    cancel_at timestamptz,
    token_id text,
    gateway_customer_id text,
    method text,
    mandate_max bigint,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CHECK (current_period_start < current_period_end)
);
CREATE INDEX user_subscriptions_of ON finance.user_subscriptions (user_id, created_at DESC);
CREATE UNIQUE INDEX user_subscriptions_one_open ON finance.user_subscriptions (user_id)
    WHERE status NOT IN ('cancelled', 'expired');

CREATE TABLE finance.debits (
    payment_id text PRIMARY KEY,
    subscription_id text NOT NULL REFERENCES finance.user_subscriptions,
    period integer NOT NULL,
    attempt integer NOT NULL CHECK (attempt >= 1),
    amount bigint NOT NULL CHECK (amount >= 100),
    message_id text NOT NULL,
    noticed_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    gateway_order_id text NOT NULL,
    gateway_payment_id text,
    state text NOT NULL CHECK (state IN ('noticed', 'sending', 'sent', 'captured', 'failed', 'void',
        'withdrawn', 'returned')),
    failure_code text,
    sent_at timestamptz,
    version bigint NOT NULL,
    UNIQUE (subscription_id, period, attempt),
    -- RBI e-mandate framework: the customer has 24 hours between the notice and the debit.
    CONSTRAINT debits_after_notice CHECK (due_at >= noticed_at + interval '24 hours'),
    CHECK (sent_at IS NULL OR sent_at >= due_at)
);
CREATE INDEX debits_of_order ON finance.debits (gateway_order_id);
-- `returned` is money of a debit that came when nobody wanted it any more, on its way back.
CREATE UNIQUE INDEX debits_one_a_period ON finance.debits (subscription_id, period)
    WHERE state IN ('sending', 'sent', 'captured');
"""

DOWN = """
DROP TABLE finance.debits;
DROP TABLE finance.user_subscriptions;
DROP TABLE finance.subscription_plans;
"""


def upgrade() -> None:
    if UP.strip():
        op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    if DOWN.strip():
        op.get_bind().exec_driver_sql(DOWN)
