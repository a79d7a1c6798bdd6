"""Revenue recognised over time, and closed periods."""

from alembic import op

revision = "0014"
down_revision = "0013"

RECOGNITION = """
-- What was sold with a payment is earned from starts_on to the day before ends_on.
CREATE TABLE finance.revenue_plans (
    payment_id text PRIMARY KEY REFERENCES finance.payments,
    kind text NOT NULL CHECK (kind IN ('subscription', 'course')),
    reference_id text NOT NULL,
    net bigint NOT NULL CHECK (net >= 0),
    starts_on date NOT NULL,
    ends_on date NOT NULL CHECK (ends_on >= starts_on),
    made_at timestamptz NOT NULL
);
CREATE INDEX revenue_plans_of_reference ON finance.revenue_plans (kind, reference_id);

-- Each run recognised what was earned through its day and had not been recognised before.
CREATE TABLE finance.revenue_runs (
    number bigint PRIMARY KEY CHECK (number > 0),
    day date NOT NULL,
    segments bigint NOT NULL,
    subscriptions bigint NOT NULL CHECK (subscriptions >= 0),
    courses bigint NOT NULL CHECK (courses >= 0),
    entry_id text UNIQUE REFERENCES finance.journal_entries,
    made_at timestamptz NOT NULL,
    CHECK ((entry_id IS NULL) = (subscriptions + courses = 0))
);
CREATE INDEX revenue_runs_by_day ON finance.revenue_runs (day);
CREATE TRIGGER revenue_runs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON finance.revenue_runs
    FOR EACH STATEMENT EXECUTE FUNCTION finance.append_only();

-- A stretch of a plan that is earned evenly. A refund, a stop or progress cuts it: from cut_on on `kept` of
-- it is earned, and what is left begins a stretch of its own. Counted in the runs after since_run.
CREATE TABLE finance.revenue_segments (
    payment_id text NOT NULL REFERENCES finance.revenue_plans,
    number integer NOT NULL CHECK (number > 0),
    amount bigint NOT NULL CHECK (amount >= 0),
    starts_on date NOT NULL,
    ends_on date NOT NULL CHECK (ends_on >= starts_on),
    since_run bigint NOT NULL CHECK (since_run >= 0),
    cut_on date,
    kept bigint CHECK (kept BETWEEN 0 AND amount),
    last_on date NOT NULL GENERATED ALWAYS AS (coalesce(cut_on, greatest(ends_on - 1, starts_on))) STORED,
    PRIMARY KEY (payment_id, number),
    CHECK ((cut_on IS NULL) = (kept IS NULL))
);
CREATE INDEX revenue_segments_by_end ON finance.revenue_segments (last_on);
CREATE INDEX revenue_segments_by_run ON finance.revenue_segments (since_run);

-- Paise of a stretch that are earned through a day: whole days over all days, rounded down, so that the
-- last day brings the sum to the paisa. A stretch of no days is earned on its first.
CREATE FUNCTION finance.earned(s finance.revenue_segments, through date) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN through IS NULL THEN 0
                WHEN through >= s.cut_on THEN s.kept
                WHEN through < s.starts_on THEN 0
                ELSE s.amount * least(through - s.starts_on + 1, greatest(s.ends_on - s.starts_on, 1))
                     / greatest(s.ends_on - s.starts_on, 1) END
$$;
"""

DOWN = """
DROP FUNCTION finance.earned;
DROP TABLE finance.revenue_segments, finance.revenue_runs, finance.revenue_plans;
"""


def upgrade() -> None:
    for part in (RECOGNITION,):
        op.get_bind().exec_driver_sql(part)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
