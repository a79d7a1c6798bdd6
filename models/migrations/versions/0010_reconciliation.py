"""The billing column's reconciliation: tables, constraints and triggers."""

from alembic import op

revision = "0010"
down_revision = "0009"

UP = """
CREATE TABLE finance.reconciliations (
    date date PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('running', 'open', 'balanced', 'resolved')),
    reading integer NOT NULL,
    lines bigint NOT NULL,
    matched bigint NOT NULL,
    bank bigint NOT NULL,
    settled_until timestamptz,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    version bigint NOT NULL
);

-- What one reading of the report says, until it is merged. Lost after a crash of Postgres, and read again.
CREATE UNLOGGED TABLE finance.report_lines (
    date date NOT NULL,
    reading integer NOT NULL,
    number bigint NOT NULL,
    settlement_id text NOT NULL,
    entity_id text NOT NULL,
    kind text NOT NULL,
    payment_id text,
    utr text,
    amount bigint NOT NULL,
    debit bigint NOT NULL,
    credit bigint NOT NULL,
    fee bigint NOT NULL,
    tax bigint NOT NULL,
    PRIMARY KEY (date, reading, number)
);

CREATE TABLE finance.settlement_lines (
    settlement_id text NOT NULL,
    entity_id text NOT NULL,
    -- The report may hold the same thing twice: the second time is a line of its own.
    occurrence bigint NOT NULL,
    date date NOT NULL,
    reading integer NOT NULL,
    kind text NOT NULL,
    payment_id text,
    utr text,
    amount bigint NOT NULL,
    debit bigint NOT NULL,
    credit bigint NOT NULL,
    fee bigint NOT NULL,
    tax bigint NOT NULL,
    verdict text NOT NULL DEFAULT 'new' CHECK (verdict IN ('new', 'matched', 'extra_line', 'wrong_amount',
        'wrong_fee', 'gone')),
    expected_fee bigint NOT NULL DEFAULT 0,
    expected_tax bigint NOT NULL DEFAULT 0,
    -- What the ledger has of this line so far; a later reading books the difference only.
    booked_bank bigint NOT NULL DEFAULT 0,
    booked_fee bigint NOT NULL DEFAULT 0,
    booked_tax bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (settlement_id, entity_id, occurrence)
);
CREATE INDEX settlement_lines_of_day ON finance.settlement_lines (date, verdict);
CREATE INDEX settlement_lines_entity ON finance.settlement_lines (entity_id);

CREATE TABLE finance.breaks (
    break_id text PRIMARY KEY,
    date date NOT NULL REFERENCES finance.reconciliations,
    kind text NOT NULL CHECK (kind IN ('missing_line', 'extra_line', 'wrong_amount', 'wrong_fee')),
    reference text NOT NULL,
    payment_id text,
    expected bigint NOT NULL,
    found bigint NOT NULL,
    difference bigint NOT NULL CHECK (difference <> 0),
    difference_tax bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'awaiting_second', 'resolved')),
    resolution text CHECK (resolution IN ('accept', 'post_adjustment', 'claim_gateway', 'write_off')),
    note_id text,
    first_by text,
    second_by text,
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz,
    version bigint NOT NULL,
    UNIQUE (date, kind, reference),
    CHECK (first_by IS NOT NULL OR status = 'open'),
    CHECK (first_by <> second_by),
    -- Above fifty thousand rupees no one person decides.
    CHECK (status <> 'resolved' OR abs(difference) <= 5000000 OR second_by IS NOT NULL)
);
CREATE INDEX breaks_newest ON finance.breaks (opened_at DESC);
"""

DOWN = """
DROP TABLE finance.breaks;
DROP TABLE finance.settlement_lines;
DROP TABLE finance.report_lines;
DROP TABLE finance.reconciliations;
"""


def upgrade() -> None:
    if UP.strip():
        op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    if DOWN.strip():
        op.get_bind().exec_driver_sql(DOWN)
