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
    kind text NOT NULL CHECK (kind IN ('subscription', 'course')),
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
                ELSE least(s.kept, s.amount
                     * least(through - s.starts_on + 1, greatest(s.ends_on - s.starts_on, 1))
                     / greatest(s.ends_on - s.starts_on, 1)) END
$$;
"""

PERIODS = """
-- A month that finance has closed, with what it held: nothing is dated into it any more.
CREATE TABLE finance.periods (
    period text PRIMARY KEY CHECK (period = to_char(first_on, 'YYYY-MM')),
    first_on date NOT NULL UNIQUE CHECK (extract(day FROM first_on) = 1),
    next_on date NOT NULL CHECK (next_on = (first_on + interval '1 month')::date),
    closed_at timestamptz NOT NULL,
    closed_by text NOT NULL,
    entries bigint NOT NULL,
    turnover bigint NOT NULL,
    book_hash text NOT NULL,
    documents bigint NOT NULL,
    documents_hash text NOT NULL
);
CREATE TRIGGER periods_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON finance.periods
    FOR EACH STATEMENT EXECUTE FUNCTION finance.append_only();
CREATE INDEX journal_by_date ON finance.journal_entries (date, entry_id);
CREATE INDEX invoices_by_day ON finance.invoices (issued_on);

-- The day itself, or the first one after it that is in no closed period. No period closes until the
-- transaction that asked has ended, so that what is dated by the answer lands where it says.
CREATE FUNCTION finance.open_day(day date) RETURNS date LANGUAGE plpgsql AS $$
DECLARE
    following date;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('finance.periods', 0));
    LOOP
        SELECT next_on INTO following FROM finance.periods WHERE first_on <= day AND day < next_on;
        IF NOT FOUND THEN
            RETURN day;
        END IF;
        day := following;
    END LOOP;
END $$;

CREATE FUNCTION finance.refuse_closed_period() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    day date := (to_jsonb(new) ->> tg_argv[0])::date;
BEGIN
    IF finance.open_day(day) <> day THEN
        RAISE EXCEPTION '%% of %% is in a closed period', tg_table_name, day
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER journal_entries_in_open_period BEFORE INSERT ON finance.journal_entries
    FOR EACH ROW EXECUTE FUNCTION finance.refuse_closed_period('date');
CREATE TRIGGER invoices_in_open_period BEFORE INSERT ON finance.invoices
    FOR EACH ROW EXECUTE FUNCTION finance.refuse_closed_period('issued_on');
"""

VOUCHERS = """
CREATE TABLE finance.vouchers (
    voucher_id text PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('awaiting_second', 'posted', 'rejected')),
    date date NOT NULL,
    lines jsonb NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    note_id text NOT NULL,
    first_by text NOT NULL,
    second_by text,
    entry_id text UNIQUE REFERENCES finance.journal_entries,
    opened_at timestamptz NOT NULL,
    ended_at timestamptz,
    version bigint NOT NULL,
    CHECK ((status = 'posted') = (entry_id IS NOT NULL)),
    CHECK ((status = 'awaiting_second') = (ended_at IS NULL)),
    -- Above fifty thousand rupees no one person posts.
    CHECK (status <> 'posted' OR amount <= 5000000 OR second_by <> first_by AND second_by IS NOT NULL)
);
"""

DOWN = """
DROP TABLE finance.vouchers;
DROP TRIGGER invoices_in_open_period ON finance.invoices;
DROP TRIGGER journal_entries_in_open_period ON finance.journal_entries;
DROP FUNCTION finance.refuse_closed_period, finance.open_day;
DROP INDEX finance.invoices_by_day, finance.journal_by_date;
DROP TABLE finance.periods;
DROP FUNCTION finance.earned;
DROP TABLE finance.revenue_segments, finance.revenue_runs, finance.revenue_plans;
"""


def upgrade() -> None:
    for part in (RECOGNITION, PERIODS, VOUCHERS):
        op.get_bind().exec_driver_sql(part)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
