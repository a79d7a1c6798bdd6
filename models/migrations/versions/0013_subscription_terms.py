"""Trials, changes of plan in mid-cycle and yearly caps of subscriptions."""

from alembic import op

revision = "0013"
down_revision = "0012"

UP = """
ALTER TABLE finance.subscription_plans
    ADD COLUMN family text,
    ADD COLUMN trial_days integer NOT NULL DEFAULT 0 CHECK (trial_days BETWEEN 0 AND 92);
UPDATE finance.subscription_plans SET family = tier;

ALTER TABLE finance.user_subscriptions
    ADD COLUMN trial_ends_at timestamptz,
    ADD COLUMN pending_plan_id text REFERENCES finance.subscription_plans,
    ADD COLUMN payment_id text,
    -- Checkouts whose money the process has taken; another captured one has not been heard of yet.
    ADD COLUMN checkouts text[] NOT NULL DEFAULT '{}',
    ADD COLUMN reason_code text,
    ADD COLUMN on_hold boolean NOT NULL DEFAULT false;

-- One trial a person and family of plans, whatever became of the subscription.
CREATE TABLE finance.trials (
    user_id text NOT NULL,
    family text NOT NULL,
    subscription_id text NOT NULL UNIQUE REFERENCES finance.user_subscriptions,
    began_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, family)
);

-- Whom a person names as family, as far as they are customers too: the fee cap counts them together.
CREATE TABLE user_management.family_links (
    user_id text NOT NULL REFERENCES user_management.users ON DELETE CASCADE,
    member_id text NOT NULL,
    PRIMARY KEY (user_id, member_id),
    CHECK (user_id <> member_id)
);
CREATE INDEX family_links_of_member ON user_management.family_links (member_id);
"""

DOWN = """
DROP TABLE user_management.family_links;
DROP TABLE finance.trials;
ALTER TABLE finance.user_subscriptions
    DROP COLUMN trial_ends_at, DROP COLUMN pending_plan_id, DROP COLUMN payment_id, DROP COLUMN checkouts,
    DROP COLUMN reason_code, DROP COLUMN on_hold;
ALTER TABLE finance.subscription_plans DROP COLUMN family, DROP COLUMN trial_days;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
